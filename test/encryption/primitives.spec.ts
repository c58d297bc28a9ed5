import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { deriveKey, masterKeyId } from '../../src/encryption/key-derivation.js';

interface Wycheproof<Group, Case> {
  readonly testGroups: readonly (Group & {
    readonly tests: readonly (Case & { readonly tcId: number; readonly result: 'valid' | 'invalid' })[];
  })[];
}

function wycheproof<Group, Case>(name: string): Wycheproof<Group, Case> {
  const url = new URL(`../vectors/wycheproof/${name}_test.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as Wycheproof<Group, Case>;
}
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe('The primitives that encryption stands on, against Wycheproof', () => {
  const gcm = wycheproof<
    { readonly keySize: number; readonly ivSize: number },
    Record<'key' | 'iv' | 'aad' | 'msg' | 'ct' | 'tag', string>
  >('aes_gcm').testGroups.find(({ keySize, ivSize }) => keySize === 256 && ivSize === 96)!;

  test('AES-256-GCM with 96-bit nonces gives every published ciphertext and refuses every altered tag', () => {
    expect(gcm.tests.length).toBe(66);
    for (const { tcId, result, key, iv, aad, msg, ct, tag } of gcm.tests) {
      const cipher = createCipheriv('aes-256-gcm', hex(key), hex(iv), { authTagLength: 16 }).setAAD(hex(aad));
      const sealed = Buffer.concat([cipher.update(hex(msg)), cipher.final(), cipher.getAuthTag()]);
      const open = (): Buffer => {
        const decipher = createDecipheriv('aes-256-gcm', hex(key), hex(iv), { authTagLength: 16 });
        decipher.setAAD(hex(aad)).setAuthTag(hex(tag));
        return Buffer.concat([decipher.update(hex(ct)), decipher.final()]);
      };

      if (result === 'valid') {
        expect(sealed.toString('hex'), `tcId ${tcId}`).toBe(ct + tag);
        expect(open().toString('hex'), `tcId ${tcId}`).toBe(msg);
      } else {
        expect(open, `tcId ${tcId}`).toThrow();
      }
    }
  });

  test('HKDF-SHA-256 gives every published key and refuses every length beyond its limit', () => {
    const groups = wycheproof<
      object,
      {
        readonly ikm: string;
        readonly salt: string;
        readonly info: string;
        readonly size: number;
        readonly okm: string;
      }
    >('hkdf_sha256').testGroups;
    const tests = groups.flatMap((group) => group.tests);
    expect(tests.length).toBe(86);
    for (const { tcId, result, ikm, salt, info, size, okm } of tests) {
      const derive = (): string =>
        Buffer.from(hkdfSync('sha256', hex(ikm), hex(salt), hex(info), size)).toString('hex');
      if (result === 'valid') expect(derive(), `tcId ${tcId}`).toBe(okm);
      else expect(derive, `tcId ${tcId}`).toThrow();
    }
  });
});

describe('Keys derived from the master key', () => {
  const master = createSecretKey(hex('f3a1c09d5e7b4268a0d1bf27934ce65880fb12c7d93e4a6605b97f3d21ae8c44'));
  const other = createSecretKey(hex('f3a1c09d5e7b4268a0d1bf27934ce65880fb12c7d93e4a6605b97f3d21ae8c45'));
  const bytes = (...of: Parameters<typeof deriveKey>): string =>
    deriveKey(...of)
      .export()
      .toString('hex');

  test('no two uses, purposes or master keys share one, and none is the master key', () => {
    const derived = [
      master.export().toString('hex'),
      bytes(master, 'kek', ''),
      bytes(master, 'kek-id', ''),
      bytes(master, 'secret', ''),
      bytes(master, 'secret', 'a'),
      bytes(master, 'secret', 'b'),
      bytes(other, 'secret', 'a'),
    ];

    expect(new Set(derived).size).toBe(derived.length);
    expect(bytes(master, 'secret', 'a')).toBe(bytes(master, 'secret', 'a'));
  });

  test('are HKDF-SHA-256 under the documented label, so that stored data outlives this code', () => {
    const label = 'nestjs-zero-trust\0v1\0secret\0pepper';
    const expected = Buffer.from(hkdfSync('sha256', master.export(), '', label, 32)).toString('hex');

    expect(bytes(master, 'secret', 'pepper')).toBe(expected);
  });

  test('the id of a master key is 16 bytes that tell two keys apart', () => {
    expect(masterKeyId(master)).toMatch(/^[0-9a-f]{32}$/);
    expect(masterKeyId(master)).not.toBe(masterKeyId(other));
  });
});
