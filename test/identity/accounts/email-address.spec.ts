import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseEmail } from '../../../src/identity/accounts/email-address.js';

describe('an e-mail address', () => {
  test('PWD-11 every letter case of one address has one canonical form', () => {
    const spellings = ['alice@x.test', 'Alice@X.test', 'ALICE@x.TEST'];
    expect(new Set(spellings.map((each) => parseEmail(each)?.canonical))).toEqual(new Set(['alice@x.test']));
    expect(parseEmail('Alice@X.test')?.address).toBe('Alice@x.test');
  });

  test('an internationalised domain is one domain, in Unicode, in ASCII and in capitals', () => {
    for (const spelling of [
      'a@bücher.example',
      'a@BÜCHER.example',
      'a@xn--bcher-kva.example',
      'a@bu\u0308cher.example',
    ]) {
      expect(parseEmail(spelling)?.canonical).toBe('a@xn--bcher-kva.example');
    }
  });

  test('letters that only look like or lower to ASCII are no ASCII letters', () => {
    // KELVIN SIGN lowers to k, LATIN SMALL LETTER DOTLESS I uppers to I, the full-width one is NFKC for a.
    for (const local of ['\u212Aim', 'm\u0131ke', '\uFF41lice', 'аlice']) {
      expect(parseEmail(`${local}@x.test`)).toBeUndefined();
    }
  });

  test('dots and tags belong to the address', () => {
    expect(parseEmail('a.b+c@x.test')?.canonical).toBe('a.b+c@x.test');
    expect(parseEmail('ab@x.test')?.canonical).not.toBe(parseEmail('a.b@x.test')?.canonical);
  });

  test.each([
    ['a header', 'a@x.test\r\nBcc: x@y.test'],
    ['a header in the local part', 'a\r\nBcc: x@y.test'],
    ['a trailing line end', 'a@x.test\n'],
    ['two recipients', 'a@x.test,b@x.test'],
    ['two recipients, the other way', 'a@x.test;b@x.test'],
    ['two at signs', 'a@b@x.test'],
    ['a quoted local part', '"a b"@x.test'],
    ['angle brackets', '<a@x.test>'],
    ['a display name', 'A <a@x.test>'],
    ['a comment', 'a(c)@x.test'],
    ['surrounding spaces', ' a@x.test '],
    ['an inner space', 'a b@x.test'],
    ['NUL', 'a\0@x.test'],
    ['ten kilobytes', `${'a'.repeat(10_000)}@x.test`],
    ['nothing', ''],
    ['no local part', '@x.test'],
    ['no domain', 'a@'],
    ['no at sign', 'a.x.test'],
    ['two dots', 'a..b@x.test'],
    ['a leading dot', '.a@x.test'],
    ['two dots in the domain', 'a@x..test'],
    ['a trailing dot', 'a@x.test.'],
    ['a single label', 'a@localhost'],
    ['an IPv4 address', 'a@127.0.0.1'],
    ['an IPv4 address in full width', 'a@１２７.0.0.1'],
    ['an IPv6 literal', 'a@[::1]'],
    ['a port', 'a@x.test:25'],
    ['a path, which the IDNA of URLs cuts off', 'a@x.test/b'],
    ['a fragment, which it cuts off', 'a@x.test#b'],
    ['a percent escape, which it decodes', 'a@ex%41mple.test'],
    ['a soft hyphen, which it drops', 'a@x\u00AD.test'],
    ['a zero width space, which it drops', 'a@x\u200B.test'],
    ['broken punycode', 'a@xn--zz.test'],
    ['a label that ends in a hyphen', 'a@x-.test'],
    ['an underscore', 'a@x_y.test'],
    ['a label of 64 characters', `a@${'x'.repeat(64)}.test`],
    ['a local part of 65 characters', `${'a'.repeat(65)}@x.test`],
  ])('VAL-18 %s is refused', (_, text) => {
    expect(parseEmail(text)).toBeUndefined();
  });

  test('254 characters are the most, counted after the domain became ASCII', () => {
    const domain = `${'x'.repeat(63)}.${'y'.repeat(63)}.${'z'.repeat(57)}.test`;
    expect(parseEmail(`${'a'.repeat(63)}@${domain}`)?.canonical).toHaveLength(254);
    expect(parseEmail(`${'a'.repeat(64)}@${domain}`)).toBeUndefined();
    expect(parseEmail(`${'a'.repeat(64)}@${`${'ü'.repeat(55)}.`.repeat(3)}test`)).toBeUndefined();
  });

  test('what is accepted is printable ASCII with one at sign, and reading it again changes nothing', () => {
    const some = fc.oneof(
      fc.emailAddress(),
      fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => `${text}@x.test`),
      fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => `a@${text}.test`),
    );
    fc.assert(
      fc.property(some, (text) => {
        const parsed = parseEmail(text);
        if (!parsed) return;
        expect(parsed.canonical).toMatch(/^[\x21-\x3f\x41-\x7e]+@[a-z0-9.-]+$/);
        expect(parsed.canonical).toBe(parsed.address.toLowerCase());
        expect(parseEmail(parsed.canonical)?.canonical).toBe(parsed.canonical);
        expect(parseEmail(parsed.address)).toEqual(parsed);
        expect(parseEmail(parsed.address.toUpperCase())?.canonical).toBe(parsed.canonical);
      }),
      { numRuns: 2_000 },
    );
  });
});
