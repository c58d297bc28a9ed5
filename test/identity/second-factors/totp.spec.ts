import { Secret, TOTP } from 'otpauth';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeTotp, isTotpCode, stepOf } from '../../../src/identity/second-factors/totp.js';

/** RFC 6238, appendix B, SHA-1: eight digits there; six digits are the last six of them. */
const RFC_SECRET = Buffer.from('12345678901234567890');
const VECTORS = [
  [59, '94287082', 0x1],
  [1111111109, '07081804', 0x23523ec],
  [1111111111, '14050471', 0x23523ed],
  [1234567890, '89005924', 0x273ef07],
  [2000000000, '69279037', 0x3f940aa],
  [20000000000, '65353130', 0x27bc86aa],
] as const;

const codeAt = (secret: Buffer, ms: number): string =>
  TOTP.generate({ secret: new Secret({ buffer: Uint8Array.from(secret).buffer }), timestamp: ms });

describe('RFC 6238', () => {
  test.each(VECTORS)('at %d s the code of the vectors is taken, for its step', (seconds, digits, step) => {
    expect(stepOf(digits.slice(-6), RFC_SECRET, seconds * 1000)).toBe(step);
    // One digit more, or the eight digits of the vector themselves, are not.
    expect(stepOf(digits, RFC_SECRET, seconds * 1000)).toBeUndefined();
  });

  test('MFA-05 one step before and one after the present one fit, and no other', () => {
    const secret = Buffer.from('a secret of 20 bytes');
    const now = 1_790_000_010_000;
    const taken = [-3, -2, -1, 0, 1, 2, 3].map((steps) =>
      stepOf(codeAt(secret, now + steps * 30_000), secret, now),
    );
    const step = Math.floor(now / 30_000);
    expect(taken).toEqual([undefined, undefined, step - 1, step, step + 1, undefined, undefined]);
  });

  test('a code of another secret does not fit', () => {
    const now = 1_790_000_010_000;
    expect(stepOf(codeAt(Buffer.from('a secret of 20 bytes'), now), RFC_SECRET, now)).toBeUndefined();
  });

  test('a secret that is a view of a larger buffer is read as itself', () => {
    const large = Buffer.concat([Buffer.from('before'), RFC_SECRET, Buffer.from('after')]);
    expect(stepOf('287082', large.subarray(6, 26), 59_000)).toBe(1);
  });
});

describe('what is a code', () => {
  test.each([
    [123456],
    [' 123456 '],
    ['123456\n'],
    ['１２３４５６'],
    ['1234567'],
    ['12345'],
    ['1e5'],
    ['+12345'],
    ['0x1234'],
    ['12 456'],
    [['123456']],
    [{ code: '123456' }],
    [null],
    [undefined],
    [''],
  ])('MFA-15 %j is none', (code) => {
    expect(isTotpCode(code)).toBe(false);
    expect(stepOf(code as string, RFC_SECRET, 59_000)).toBeUndefined();
  });

  test('MFA-15 nothing but six ASCII digits is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 8 }), (text) => {
        expect(isTotpCode(text)).toBe(text.length === 6 && text.replaceAll(/[0-9]/g, '') === '');
      }),
    );
    expect(isTotpCode('000000')).toBe(true);
  });
});

test('an app is told everything by the URI, and what the owner is called cannot add to it', () => {
  const { secret, otpauthUri } = describeTotp(RFC_SECRET, {
    issuer: 'Client portal',
    label: 'a&secret=AAAA?x@example.test',
  });
  expect(secret).toBe('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ');
  const uri = new URL(otpauthUri);
  expect([uri.protocol, uri.host]).toEqual(['otpauth:', 'totp']);
  expect(decodeURIComponent(uri.pathname)).toBe('/Client portal:a&secret=AAAA?x@example.test');
  expect(Object.fromEntries(uri.searchParams)).toEqual({
    issuer: 'Client portal',
    secret,
    algorithm: 'SHA1',
    digits: '6',
    period: '30',
  });
});
