import fc from 'fast-check';
import { generateKeyPairSync } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { ZeroTrustError } from '../../../src/core/zero-trust-error.js';
import { AccessTokenVerifier } from '../../../src/sessions/access-tokens/access-token.verifier.js';
import {
  isOwnEncodingOf,
  MAX_TOKEN_LENGTH,
  parseCompactJws,
} from '../../../src/sessions/access-tokens/compact-jws.js';
import { SessionsSettings } from '../../../src/sessions/sessions.settings.js';
import {
  importSigningKey,
  makeSigningKey,
  type SigningKey,
} from '../../../src/sessions/signing-keys/signing-key.js';
import { encode, forge, HeldClock, ISSUER } from '../sessions-application.js';

describe('One token, one spelling', () => {
  let key: SigningKey;
  let token: string;
  let verifier: AccessTokenVerifier;
  beforeAll(async () => {
    key = await makeSigningKey();
    const clock = new HeldClock();
    const now = clock.nowSeconds();
    const id = '018f4d7e-0000-7000-8000-000000000001';
    const claims = {
      ...{ iss: ISSUER, sub: id, aud: ISSUER, exp: now + 900, iat: now, jti: id, sid: id, client_id: 'c' },
      ...{ auth_time: now, acr: 'aal1', amr: ['pwd'], seq: 0 },
    };
    token = forge({ alg: 'ES256', typ: 'at+jwt', kid: key.kid }, claims, key.privateKey);
    const keys = { find: (kid: string) => (kid === key.kid ? key : undefined) };
    const settings = new SessionsSettings({ issuer: ISSUER, audience: ISSUER });
    verifier = new AccessTokenVerifier(keys as never, settings, clock);
  });

  const verdict = (text: string): Promise<string> =>
    verifier.verify(text).then(
      () => 'accepted',
      (error: unknown) => (error instanceof ZeroTrustError ? error.code : `not ours: ${String(error)}`),
    );

  test('V9.1.1 any change of one character is refused', async () => {
    expect(await verdict(token)).toBe('accepted');
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/= ';
    const character = fc.oneof(
      fc.nat(alphabet.length - 1).map((at) => alphabet.charAt(at)),
      fc.nat(0x24f).map((code) => String.fromCharCode(code)),
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), character, async (at, other) => {
        fc.pre(token[at] !== other);
        expect(await verdict(token.slice(0, at) + other + token.slice(at + 1))).toBe('invalid-credentials');
      }),
      { numRuns: 600 },
    );
  });

  test('V9.1.1 any character added, left out or swapped is refused', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(token.length - 2),
        fc.string({ minLength: 1, maxLength: 3 }),
        async (at, more) => {
          expect(await verdict(token.slice(0, at) + more + token.slice(at))).toBe('invalid-credentials');
          expect(await verdict(token.slice(0, at) + token.slice(at + 1))).toBe('invalid-credentials');
          const swapped = token.slice(0, at) + token[at + 1]! + token[at]! + token.slice(at + 2);
          expect(await verdict(swapped)).toBe(swapped === token ? 'accepted' : 'invalid-credentials');
        },
      ),
      { numRuns: 200 },
    );
    for (const text of [
      ` ${token}`,
      `${token} `,
      `${token}\n`,
      `${token}\u0000`,
      `\uFEFF${token}`,
      token.repeat(2),
    ]) {
      expect(await verdict(text)).toBe('invalid-credentials');
    }
  });

  test('V9.1.1 no flipped bit of header, claims or signature survives', async () => {
    const parts = token.split('.').map((part) => Buffer.from(part, 'base64url'));
    await fc.assert(
      fc.asyncProperty(fc.nat(2), fc.nat(), fc.nat(7), async (part, at, bit) => {
        const flipped = parts.map((bytes) => Buffer.from(bytes));
        const bytes = flipped[part]!;
        bytes[at % bytes.length]! ^= 1 << bit;
        expect(await verdict(flipped.map((each) => each.toString('base64url')).join('.'))).toBe(
          'invalid-credentials',
        );
      }),
      { numRuns: 400 },
    );
  });

  test('whatever text comes, it is refused as ours, never as an unexpected error', async () => {
    const part = fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.json().map(encode),
      fc.constantFrom(...token.split('.')),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 5 }), async (parts) => {
        const text = parts.join('.');
        fc.pre(text !== token);
        expect(await verdict(text)).toBe('invalid-credentials');
      }),
      { numRuns: 500 },
    );
  });

  test('what was taken apart is written again as the same text', () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(object, fc.uint8Array(), fc.uint8Array({ minLength: 1 }), (header, payload, signature) => {
        const text = [
          encode(header),
          Buffer.from(payload).toString('base64url'),
          Buffer.from(signature).toString('base64url'),
        ].join('.');
        fc.pre(text.length <= MAX_TOKEN_LENGTH);
        const jws = parseCompactJws(text);
        expect(jws.header).toEqual(JSON.parse(JSON.stringify(header)));
        expect(isOwnEncodingOf(jws.header, jws.headerBytes)).toBe(isOwnEncodingOf(header, jws.headerBytes));
        const again = [jws.headerBytes, jws.payload, jws.signature].map((each) => each.toString('base64url'));
        expect(again.join('.')).toBe(text);
      }),
    );
  });

  test('a header is an object in UTF-8', () => {
    const bytes = (hex: string): string => Buffer.from(hex, 'hex').toString('base64url');
    for (const header of [
      ...['[]', '1', '"x"', 'null', '{', '{}{}', '\uFEFF{}'].map(encode),
      bytes('7b2261223a22ff227d'),
      bytes('fffe7b007d00'),
    ]) {
      expect(() => parseCompactJws(`${header}.AA.AA`)).toThrow('the token is not in compact form');
    }
    expect(parseCompactJws(`${encode('{}')}..AA`).payload.length).toBe(0);
  });

  test('there are three parts, the first and the last not empty, each in its one spelling', () => {
    const header = encode('{}');
    for (const text of [
      ...['', '.', '..', header, `${header}.`, `${header}.AA`, `${header}..`, `.AA.AA`, `..AA`],
      ...[`${header}.AA.AA.`, `${header}.AA.AA.AA`, `.${header}.AA.AA`],
      // Spare bits, padding, the other alphabet, a blank, a length that no bytes have.
      ...['AB', 'AA==', 'AA=', '+A', '/w', 'A A', 'A\n', 'A'].flatMap((part) => [
        `${header}.${part}.AA`,
        `${header}.AA.${part}`,
      ]),
    ]) {
      expect(() => parseCompactJws(text), text).toThrow('the token is not in compact form');
    }
  });

  test('4,096 characters are taken apart, and not one more', () => {
    const start = `${encode('{}')}.AAA.`;
    const fill = (length: number): string => start + 'A'.repeat(length - start.length);
    expect(parseCompactJws(fill(MAX_TOKEN_LENGTH)).header).toEqual({});
    expect(() => parseCompactJws(fill(MAX_TOKEN_LENGTH + 1))).toThrow('the token is too long');
  });

  test('the operator is told what the parser said', () => {
    const thrown = (header: string): unknown => {
      try {
        return parseCompactJws(`${encode(header)}.AA.AA`);
      } catch (error) {
        return (error as Error).cause;
      }
    };
    expect(thrown('{')).toBeInstanceOf(SyntaxError);
    expect(thrown('[]')).toBeUndefined();
  });
});

describe('A key that comes back from the database', () => {
  test('JWT-21 is what its row says, or nothing', async () => {
    const key = await makeSigningKey();
    const pkcs8 = (each: SigningKey['privateKey']): Buffer => each.export({ type: 'pkcs8', format: 'der' });
    const own = pkcs8(key.privateKey);
    const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
    const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey;
    const other = await makeSigningKey();

    expect((await importSigningKey(own, key.kid, 'ES256'))?.kid).toBe(key.kid);
    for (const bytes of [
      pkcs8(rsa),
      pkcs8(p521),
      pkcs8(other.privateKey),
      own.subarray(1),
      Buffer.alloc(0),
    ]) {
      expect(await importSigningKey(bytes, key.kid, 'ES256')).toBeUndefined();
    }
    expect(await importSigningKey(own, other.kid, 'ES256')).toBeUndefined();
  });
});
