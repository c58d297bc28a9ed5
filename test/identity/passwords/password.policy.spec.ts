import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isCommonPassword } from '../../../src/identity/passwords/common-passwords.js';
import { resolveIdentityOptions, type IdentityOptions } from '../../../src/identity/identity.options.js';
import { isPasswordText, PasswordPolicy } from '../../../src/identity/passwords/password.policy.js';

const owner = { localPart: 'alice.liddell', displayName: 'Alice Pleasance' };

function faultsOf(password: string, options: IdentityOptions = {}): Promise<string[]> {
  return new PasswordPolicy(resolveIdentityOptions(options)).faultsOf(password, owner);
}

describe('a new password', () => {
  test('PWD-19 fifty common passwords of legal length are refused, with the reason', async () => {
    const { dictionary } = await import('@zxcvbn-ts/language-common');
    const top = dictionary['passwords-common']
      .slice(0, 3000)
      .filter((each) => each.length >= 8)
      .slice(0, 50);
    expect(top).toHaveLength(50);
    for (const password of [...top, ...top.map((each) => each.toUpperCase())]) {
      expect(await faultsOf(password, { minPasswordLength: 8 }), password).toEqual([
        expect.stringContaining('attackers try first'),
      ]);
    }
  });

  test('PWD-19 every one of the bundled list is refused, whatever its case', async () => {
    const { dictionary } = await import('@zxcvbn-ts/language-common');
    const list = dictionary['passwords-common'];
    expect(list.length).toBeGreaterThan(40_000);
    const missed: string[] = [];
    for (const password of list) if (!(await isCommonPassword(password.toUpperCase()))) missed.push(password);
    // Letters that have no capital of their own come back from it as others.
    expect(missed.filter((password) => password.toUpperCase().toLowerCase() === password)).toEqual([]);
  });

  test('PWD-19 a common one is not made better by doubling, pairing or counting', async () => {
    for (const password of [
      'passwordpassword',
      'Password1234567',
      'letmeinletmeinletmein',
      'aaaaaaaaaaaaaaaaaaaa',
      'abcabcabcabcabcabc',
      'abcdefghijklmnop',
      'ponmlkjihgfedcba',
      '12345678901234567890',
      '98765432109876543210',
      'ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ',
    ]) {
      expect(await isCommonPassword(password), password).toBe(true);
    }
  });

  test('PWD-19 one with the name of the product, the account or its owner is refused, with the reason', async () => {
    for (const password of [
      'acmeportal is my home',
      'my ACMEPORTAL tower 9',
      'xx-alice.liddell-77-y',
      'rain in gotham again',
      'who is pleasance then',
      'who is ALICE by night',
    ]) {
      expect(
        await faultsOf(password, { productName: 'AcmePortal to go', contextWords: ['Gotham'] }),
        password,
      ).toEqual([expect.stringContaining('must not contain')]);
    }
  });

  test('PWD-19 there are no composition rules: 15 random letters, digits, spaces or emoji will do', async () => {
    for (const password of [
      'qkzvwjxmfhytpbn',
      'QKZVWJXMFHYTPBN',
      '482915730264918',
      'tea house rain moss',
      '    🐈‍⬛ 🪐 🌧     ',
      'ñandú élève Größe',
      '!"§$%&/()=?`*+#',
    ]) {
      expect(await faultsOf(password), password).toEqual([]);
    }
  });

  test('has 15 characters or more, and never a minimum below 8; characters are code points', async () => {
    expect(await faultsOf('qkzvwjxmfhytpb')).toEqual(['password must have at least 15 characters']);
    expect(await faultsOf('🐈🐕🦜🐠🦎🐢🐇🐎🐖🐑🦆🦉🦊🐻')).toEqual([
      'password must have at least 15 characters',
    ]);
    expect(await faultsOf('🐈🐕🦜🐠🦎🐢🐇🐎🐖🐑🦆🦉🦊🐻🐼')).toEqual([]);
    expect(await faultsOf('qkzvwjx', { minPasswordLength: 8 })).toHaveLength(1);
    expect(() => resolveIdentityOptions({ minPasswordLength: 7 })).toThrow('minPasswordLength');
  });

  test('PWD-07 PWD-08 has at most 1024 bytes, which 256 characters of any script fit into', async () => {
    for (const password of ['🐈🐕'.repeat(128), 'e\u0301x'.repeat(128), 'qw'.repeat(512)]) {
      expect(isPasswordText(password)).toBe(true);
    }
    expect(isPasswordText('x'.repeat(1025))).toBe(false);
    expect(isPasswordText('é'.repeat(513))).toBe(false);
    expect(await faultsOf('x'.repeat(1_000_000))).toEqual(['password must be a text of 1 to 1024 bytes']);
  });

  test('is a text, and no half of a surrogate pair, of which all are one in UTF-8', () => {
    for (const value of ['', undefined, null, 7, {}, ['a'], 'abc\uD800defghijklmnop', '\uDC00'.repeat(20)]) {
      expect(isPasswordText(value)).toBe(false);
    }
  });

  test('what may be set may be presented, and no refusal repeats it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 40 }), async (password) => {
        const faults = await faultsOf(password);
        if (faults.length === 0) expect(isPasswordText(password)).toBe(true);
        if (password.length > 10) expect(faults.join()).not.toContain(password);
      }),
      { numRuns: 200 },
    );
  });
});
