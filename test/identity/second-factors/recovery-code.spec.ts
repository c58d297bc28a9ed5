import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makeRecoveryCode, parseRecoveryCode } from '../../../src/identity/second-factors/recovery-code.js';

describe('a recovery code', () => {
  test('has six groups of four and no letter that is taken for another', () => {
    const codes = Array.from({ length: 500 }, makeRecoveryCode);
    for (const code of codes) expect(code).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){5}$/);
    expect(new Set(codes).size).toBe(500);
    // All of the alphabet is drawn from: 120 bits, not fewer.
    expect(new Set(codes.join('').replaceAll('-', '')).size).toBe(32);
  });

  test('MFA-15 is read in any case, with blanks and dashes anywhere', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.constantFrom('', ' ', '-')), { minLength: 24, maxLength: 24 }),
        (typed) => {
          const code = makeRecoveryCode().replaceAll('-', '');
          const text = typed
            .map(([lower, gap], at) => gap + (lower ? code[at]!.toLowerCase() : code[at]!))
            .join('');
          expect(parseRecoveryCode(text)).toBe(code);
        },
      ),
    );
  });

  test.each([
    ['nothing', ''],
    ['only dashes', '------'],
    ['one character less', 'AAAA-BBBB-CCCC-DDDD-EEEE-FFF'],
    ['one character more', 'AAAA-BBBB-CCCC-DDDD-EEEE-FFFFF'],
    ['an O for a zero', 'OAAA-BBBB-CCCC-DDDD-EEEE-FFFF'],
    ['an I for a one', 'IAAA-BBBB-CCCC-DDDD-EEEE-FFFF'],
    ['a tab', 'AAAA\tBBBB-CCCC-DDDD-EEEE-FFFF'],
    ['a line end', 'AAAA-BBBB-CCCC-DDDD-EEEE-FFFF\n'],
    ['a no-break space', 'AAAA\u00a0BBBB-CCCC-DDDD-EEEE-FFFF'],
    ['a long s, which is an S in capitals', 'ſAAA-BBBB-CCCC-DDDD-EEEE-FFFF'],
    ['a Kelvin sign', '\u212aAAA-BBBB-CCCC-DDDD-EEEE-FFFF'],
    ['full-width letters', 'ＡAAA-BBBB-CCCC-DDDD-EEEE-FFFF'],
    ['an endless one', `AAAABBBBCCCCDDDDEEEEFFFF${' '.repeat(100)}`],
  ])('MFA-15 %s is none', (_, text) => {
    expect(parseRecoveryCode(text)).toBeUndefined();
  });
});
