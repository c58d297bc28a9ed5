import { createHash, createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { XaesKey } from '../../src/encryption/xaes.js';

interface XaesVectors {
  readonly vectors: readonly Record<'key' | 'nonce' | 'plaintext' | 'aad' | 'ciphertext', string>[];
  readonly accumulated: {
    readonly streamStartsWith: string;
    readonly iterations: number;
    readonly hash: string;
  };
}

const published = JSON.parse(
  readFileSync(new URL('../vectors/xaes/xaes-256-gcm.json', import.meta.url), 'utf8'),
) as XaesVectors;
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe('XAES-256-GCM against the vectors of C2SP', () => {
  test.each(published.vectors)('the vector with key $key seals and opens as published', (vector) => {
    const key = new XaesKey(createSecretKey(hex(vector.key)));
    const nonce = hex(vector.nonce);

    const sealed = key.seal(nonce, hex(vector.plaintext), hex(vector.aad));

    expect(sealed.toString('hex')).toBe(vector.ciphertext);
    expect(key.open(nonce, sealed, hex(vector.aad))).toEqual(hex(vector.plaintext));
  });

  test('10,000 random messages give the published hash, and every one opens again', () => {
    const { iterations, hash, streamStartsWith } = published.accumulated;
    // The largest message takes 32 + 24 + 2 * 256 bytes of the stream.
    const stream = createHash('shake128', { outputLength: iterations * 568 }).digest();
    expect(stream.subarray(0, 16).toString('hex')).toBe(streamStartsWith);
    let offset = 0;
    const read = (bytes: number): Buffer => stream.subarray(offset, (offset += bytes));
    const readPrefixed = (): Buffer => read(read(1).readUInt8());
    const accumulated = createHash('shake128', { outputLength: 32 });

    let opened = 0;
    for (let i = 0; i < iterations; i++) {
      const key = new XaesKey(createSecretKey(read(32)));
      const nonce = read(24);
      const plaintext = readPrefixed();
      const aad = readPrefixed();
      const sealed = key.seal(nonce, plaintext, aad);
      accumulated.update(sealed);
      if (key.open(nonce, sealed, aad)?.equals(plaintext)) opened++;
    }

    expect(accumulated.digest('hex')).toBe(hash);
    expect(opened).toBe(iterations);
  });

  test('a key that is not 32 bytes and a nonce that is not 24 bytes are refused', () => {
    const key = new XaesKey(createSecretKey(Buffer.alloc(32, 7)));

    expect(() => new XaesKey(createSecretKey(Buffer.alloc(16, 7)))).toThrow(TypeError);
    expect(() => key.seal(Buffer.alloc(12), Buffer.alloc(1), Buffer.alloc(0))).toThrow(TypeError);
    expect(() => key.open(Buffer.alloc(25), Buffer.alloc(17), Buffer.alloc(0))).toThrow(TypeError);
  });

  test('what is shorter than a tag opens as nothing', () => {
    const key = new XaesKey(createSecretKey(Buffer.alloc(32, 7)));
    for (let length = 0; length < 16; length++) {
      expect(key.open(Buffer.alloc(24), Buffer.alloc(length), Buffer.alloc(0))).toBeUndefined();
    }
  });
});
