import { describe, expect, test } from 'vitest';
import { readClaims } from '../../../src/sessions/access-tokens/access-token.claims.js';

const NOW = 1_800_000_000;
const ID = '018f4d7e-0000-7000-8000-000000000001';
const good = {
  ...{
    iss: 'https://a.test',
    sub: ID,
    aud: 'urn:a',
    exp: NOW + 900,
    iat: NOW,
    jti: ID,
    sid: ID,
    client_id: 'c',
  },
  ...{ auth_time: NOW - 5, acr: 'aal1', amr: ['pwd'], seq: 0 },
};
const expected = { issuer: 'https://a.test', audience: 'urn:a', nowSeconds: NOW, clockToleranceSeconds: 5 };

/** On its own, so that each check is seen although passport-jwt makes some of them before. */
function verdict(part: object, at = NOW): string {
  try {
    readClaims({ ...good, ...part }, { ...expected, nowSeconds: at });
    return 'accepted';
  } catch (error) {
    return (error as { detail: string }).detail;
  }
}

describe('The claims, read without any library before them', () => {
  test('JWT-10 one exact audience, one exact issuer', () => {
    expect(verdict({})).toBe('accepted');
    for (const aud of ['urn:b', 'urn:A', 'urn:a ', ['urn:a'], ['urn:a', 'urn:b'], undefined]) {
      expect(verdict({ aud })).toBe('the token is for another audience');
    }
    for (const iss of ['https://a.test/', 'https://A.test', ['https://a.test'], undefined]) {
      expect(verdict({ iss })).toBe('the token is from another issuer');
    }
  });

  test('JWT-13 accepted up to, and not at, five seconds after exp', () => {
    expect(verdict({}, NOW + 904)).toBe('accepted');
    expect(verdict({}, NOW + 905)).toBe('the token has expired');
  });

  test('JWT-12 accepted from five seconds before iat and nbf', () => {
    expect(verdict({}, NOW - 5)).toBe('accepted');
    expect(verdict({}, NOW - 6)).toBe('the token is not valid yet');
    expect(verdict({ nbf: NOW + 5 })).toBe('accepted');
    expect(verdict({ nbf: NOW + 6 })).toBe('the token is not valid yet');
    // One does not excuse the other.
    expect(verdict({ nbf: NOW, iat: NOW + 6 })).toBe('the token is not valid yet');
  });

  test('JWT-14 a life of more than 900 seconds, or of none, is not one of ours', () => {
    expect(verdict({ exp: NOW + 901 })).toBe('the claims are malformed');
    expect(verdict({ iat: NOW, exp: NOW })).toBe('the claims are malformed');
    expect(verdict({ iat: NOW + 3, exp: NOW + 1 })).toBe('the claims are malformed');
  });

  test('V9.2.1 exp, iat and nbf are whole seconds', () => {
    for (const name of ['exp', 'iat', 'nbf', 'auth_time']) {
      for (const value of [null, String(NOW), NOW + 0.5, Number.NaN, Infinity, 1e20, -NOW, 0, [NOW], true]) {
        expect([name, value, verdict({ [name]: value })]).toEqual([name, value, 'the claims are malformed']);
      }
    }
    expect(verdict({ exp: undefined })).toBe('the claims are malformed');
    expect(verdict({ iat: undefined })).toBe('the claims are malformed');
  });

  test('a claim of another shape is refused', () => {
    const shapes: [string, unknown[]][] = [
      [
        'sub',
        ['alice@example.test', ID.toUpperCase(), `${ID} `, ` ${ID}`, `${ID}\n`, [ID], 1, null, undefined],
      ],
      ['sid', ['', `{${ID}}`, [ID], undefined]],
      ['jti', ['1', [ID], undefined]],
      ['client_id', ['', 'a b', 'x'.repeat(129), ' a', 'a ', 'ä', ['a'], 1, undefined]],
      ['acr', ['aal0', 'AAL1', '', 1, ['aal1'], undefined]],
      [
        'amr',
        [
          [],
          'pwd',
          ['PWD'],
          ['!pwd'],
          ['pwd!'],
          [''],
          ['x'.repeat(33)],
          [['pwd']],
          ['pwd', 1],
          Array.from({ length: 9 }, () => 'pwd'),
          undefined,
        ],
      ],
      ['seq', [-1, 0.5, '0', [0], 2 ** 53, null, undefined]],
    ];
    for (const [name, values] of shapes) {
      for (const value of values) {
        expect([name, value, verdict({ [name]: value })]).toEqual([name, value, 'the claims are malformed']);
      }
    }
  });

  test('a claim of the largest shape that there is, is accepted', () => {
    for (const part of [
      { client_id: 'c'.repeat(128) },
      { amr: Array.from({ length: 8 }, () => 'x'.repeat(32)) },
      { acr: 'aal3' },
      { seq: Number.MAX_SAFE_INTEGER },
      { exp: NOW + 1 },
    ]) {
      expect([part, verdict(part)]).toEqual([part, 'accepted']);
    }
  });

  test('what is no object has no claims', () => {
    for (const payload of [undefined, null, 'text', 1]) {
      expect(() => readClaims(payload, expected)).toThrow('invalid-credentials: the claims are malformed');
    }
    expect(() => readClaims([], expected)).toThrow('invalid-credentials: the token is from another issuer');
  });

  test('a claim that we do not know is let be: a newer replica may have minted it', () => {
    expect(verdict({ seq: 7 })).toBe('accepted');
  });
});
