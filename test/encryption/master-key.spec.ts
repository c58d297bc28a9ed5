import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { BootError } from '../../src/core/zero-trust-error.js';
import { generateMasterKey, parseMasterKey } from '../../src/encryption/master-key.js';

const base64url = (bytes: Buffer): string => bytes.toString('base64url');
const counting = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
const half = Buffer.from('f3a1c09d5e7b4268b0d1bf27934ce658', 'hex');

const REFUSED: readonly (readonly [string, string | undefined])[] = [
  ['unset', undefined],
  ['empty', ''],
  ['blank', '  \n'],
  ['"secret"', 'secret'],
  ['"changeme"', 'changeme'],
  ['31 bytes', base64url(randomBytes(31))],
  ['33 bytes', base64url(randomBytes(33))],
  ['31 bytes in hex', randomBytes(31).toString('hex')],
  ['all zero', base64url(Buffer.alloc(32))],
  ['all zero in hex', '0'.repeat(64)],
  ['one byte repeated', base64url(Buffer.alloc(32, 0xa7))],
  ['a short pattern repeated', base64url(Buffer.alloc(32, randomBytes(5)))],
  ['one half repeated', base64url(Buffer.concat([half, half]))],
  ['deadbeef repeated', 'deadbeef'.repeat(8)],
  ['counting bytes', counting.toString('hex')],
  ['counting bytes backwards', Buffer.from(counting).reverse().toString('base64')],
  ['counting in steps of seven', base64url(counting.map((value) => value * 7) as Buffer)],
  ['32 printable characters as the key', base64url(Buffer.from('correct horse battery staple 123'))],
  ['a passphrase of 43 characters', 'ThisIsTheMasterKeyOfOurProductionSystem2026'],
  ['a passphrase in lower case', 'thequickbrownfoxjumpsoverthelazydogs-and-40'],
  ['base64 of few characters', 'AkkAflhfGiAGDbbDickiJlDJGeeGlfblAcGAJhhJcic'],
  ['a placeholder filled up', `CHANGE-ME-${base64url(randomBytes(32)).slice(0, 33)}`],
  ['hex digits of too few kinds', '01'.repeat(31) + 'fe'],
  ['base64 with bits that no byte owns', `${'A1b2C3d4E5f6G7h8I9j0K_l-MnOpQrStUvWxYzaBcDe'.slice(0, 42)}B`],
  ['base64 mixed with base64url', `${'+_'.repeat(5)}${base64url(randomBytes(32)).slice(0, 33)}`],
];

describe('The master key', () => {
  test.each(REFUSED)('ENC-10 JWT-21 %s is refused by its name, without a trace of the key', (_case, text) => {
    let thrown: unknown;
    try {
      parseMasterKey(text);
    } catch (error) {
      thrown = error;
    }

    expect(thrown).toBeInstanceOf(BootError);
    const printed = `${String(thrown)} ${(thrown as Error).stack ?? ''} ${JSON.stringify(thrown)}`;
    expect(printed).toContain('masterKey (ZERO_TRUST_MASTER_KEY)');
    expect(printed).toContain('zero-trust keys generate');
    const presented = text?.trim();
    if (presented && !['secret', 'changeme'].includes(presented)) expect(printed).not.toContain(presented);
  });

  test('base64, base64url and hex of the same bytes are the same key', () => {
    const bytes = Buffer.from('f3a1c09d5e7b4268a0d1bf27934ce65880fb12c7d93e4a6605b97f3d21ae8c44', 'hex');
    const base64 = bytes.toString('base64');
    expect(base64).toMatch(/[+/].*=$/);
    const texts = [
      base64,
      base64.slice(0, 43),
      base64url(bytes),
      `${base64url(bytes)}=`,
      bytes.toString('hex'),
      ` ${base64}\n`,
    ];

    for (const text of texts) expect(parseMasterKey(text).export(), text).toEqual(bytes);
    expect(parseMasterKey(bytes.toString('hex').toUpperCase()).export()).toEqual(bytes);
  });

  test('keys as a generator draws them are accepted', () => {
    // A fixed stream: once in ten million a random key would hold one of the placeholders by chance.
    const stream = createHash('shake128', { outputLength: 3000 * 32 }).digest();
    for (let i = 0; i < 3000; i++) {
      const text = stream.subarray(i * 32, (i + 1) * 32).toString(i % 2 === 0 ? 'base64url' : 'hex');
      expect(parseMasterKey(text).symmetricKeySize, text).toBe(32);
    }
  });

  test('a generated key is accepted and never the same twice', () => {
    const generated = Array.from({ length: 500 }, generateMasterKey);

    expect(new Set(generated).size).toBe(500);
    for (const text of generated) expect(parseMasterKey(text).symmetricKeySize).toBe(32);
  });
});
