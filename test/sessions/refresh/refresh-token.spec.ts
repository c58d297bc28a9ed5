import fc from 'fast-check';
import { createHash, createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  hashOfSecret,
  newFamilySecret,
  readRefreshToken,
  REFRESH_TOKEN_LENGTH,
  writeRefreshToken,
} from '../../../src/sessions/refresh/refresh-token.js';
import { SESSION_DELIVERIES, type SessionDelivery } from '../../../src/sessions/session.js';

const KEY = createSecretKey(randomBytes(32));
const ALPHABET = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
const PREFIX = 'zt_refresh_';
const LAST_GENERATION = 2 ** 31 - 2;

const delivery = fc.constantFrom(...SESSION_DELIVERIES);
const parts = fc.record({
  sessionId: fc.uuid(),
  secret: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
  generation: fc.integer({ min: 0, max: LAST_GENERATION }),
});
const written = fc
  .tuple(parts, delivery)
  .map(([token, way]) => ({ token, way, text: writeRefreshToken(token, way, KEY) }));
const other = (way: SessionDelivery): SessionDelivery => (way === 'cookie' ? 'token' : 'cookie');
const readAll = (text: unknown, key = KEY): unknown[] =>
  SESSION_DELIVERIES.map((way) => readRefreshToken(text, way, key)).filter((read) => read !== undefined);

describe('A refresh token', () => {
  test('says what was written, in one shape: prefix, one length, one alphabet', () => {
    fc.assert(
      fc.property(written, ({ token, way, text }) => {
        expect(readRefreshToken(text, way, KEY)).toEqual(token);
        expect(text).toMatch(/^zt_refresh_[\w-]{91}$/);
        expect(text.length).toBe(REFRESH_TOKEN_LENGTH);
        expect(writeRefreshToken(token, way, KEY)).toBe(text);
      }),
      { seed: 1 },
    );
  });

  test('REF-18 with any one character changed, dropped, added or swapped is none', () => {
    fc.assert(
      fc.property(
        written,
        fc.nat(REFRESH_TOKEN_LENGTH - 1),
        fc.constantFrom(...ALPHABET, '=', '+', '/', ' ', '\0', '\n', '.', 'é'),
        ({ text }, at, character) => {
          const changed = text.slice(0, at) + character + text.slice(at + 1);
          if (changed !== text) expect(readAll(changed)).toEqual([]);
          expect(readAll(text.slice(0, at) + text.slice(at + 1))).toEqual([]);
          expect(readAll(text.slice(0, at) + character + text.slice(at))).toEqual([]);
          expect(readAll(text + character)).toEqual([]);
          expect(readAll(character + text)).toEqual([]);
          const swapped = text.slice(0, at) + (text[at + 1] ?? '') + (text[at] ?? '') + text.slice(at + 2);
          if (swapped !== text) expect(readAll(swapped)).toEqual([]);
        },
      ),
      { seed: 2, numRuns: 500 },
    );
  });

  test('has one spelling: every other last character, also one that decodes to the same bytes, is refused', () => {
    const { text } = fc.sample(written, { seed: 3, numRuns: 1 })[0]!;
    const bytes = (of: string): string => Buffer.from(of.slice(PREFIX.length), 'base64url').toString('hex');
    const last = ALPHABET.map((character) => text.slice(0, -1) + character);
    const same = last.filter((each) => bytes(each) === bytes(text));
    expect(same.length).toBe(4);
    expect(last.filter((each) => readAll(each).length > 0)).toEqual([text]);
  });

  test('REF-18 in another encoding is none: base64, hex, percent, quotes, JSON, upper and lower case, doubled', () => {
    fc.assert(
      fc.property(written, ({ text }) => {
        const body = text.slice(PREFIX.length);
        const bytes = Buffer.from(body, 'base64url');
        const spelt = [
          ...[bytes.toString('base64'), bytes.toString('hex'), body, `${PREFIX}${bytes.toString('base64')}`],
          ...[text.toUpperCase(), text.toLowerCase(), `${text}=`, `"${text}"`, `${text} `, ` ${text}`],
          ...[`${text}\n`, `${text}\0`, text + text, `${text},${text}`, encodeURIComponent(`${text}\0`)],
          ...[
            `${PREFIX}${text}`,
            text.replace('zt_', 'ZT_'),
            `\uFEFF${text}`,
            Array.from(text).join('\u200B'),
          ],
        ].filter((each) => each !== text);
        for (const each of spelt) expect(readAll(each)).toEqual([]);
      }),
      { seed: 4, numRuns: 50 },
    );
  });

  test('REF-18 whatever else is presented is none, and nothing throws', () => {
    const odd = fc.oneof(
      fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true, withTypedArray: true }),
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: fc.constantFrom(...ALPHABET), minLength: 85, maxLength: 95 }).map((s) => PREFIX + s),
    );
    fc.assert(
      fc.property(odd, (text) => {
        expect(readAll(text)).toEqual([]);
      }),
      { seed: 5, numRuns: 2_000 },
    );
    const text = writeRefreshToken(
      { sessionId: crypto.randomUUID(), secret: newFamilySecret(), generation: 0 },
      'token',
      KEY,
    );
    const dressed = [
      [text],
      { toString: () => text },
      new String(text),
      { toString: 1 },
      Object.create(null),
    ];
    for (const each of dressed as unknown[]) expect(readAll(each)).toEqual([]);
    expect(readAll('zt_refresh_' + 'A'.repeat(1_000_000))).toEqual([]);
  });

  test('is one for its own delivery and its own key alone', () => {
    fc.assert(
      fc.property(written, fc.uint8Array({ minLength: 32, maxLength: 32 }), ({ text, way }, bytes) => {
        expect(readRefreshToken(text, other(way), KEY)).toBeUndefined();
        expect(readAll(text, createSecretKey(Buffer.from(bytes)))).toEqual([]);
      }),
      { seed: 6 },
    );
  });

  test('whose MAC is right but whose generation the database could not count on is none', () => {
    for (const generation of [2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
      const secret = newFamilySecret();
      const text = writeRefreshToken({ sessionId: crypto.randomUUID(), secret, generation }, 'token', KEY);
      expect(readAll(text)).toEqual([]);
    }
  });

  test('REF-15 has 128 random bits of its family, of which SHA-256 is all that is kept', () => {
    const secrets = Array.from({ length: 10_000 }, newFamilySecret);
    expect(new Set(secrets.map((each) => each.toString('hex'))).size).toBe(10_000);
    // Every one of the 128 bits is up about half of the time: six standard deviations on either side.
    for (let bit = 0; bit < 128; bit += 1) {
      const up = secrets.filter((each) => (each[bit >> 3]! >> (bit & 7)) & 1).length;
      expect(Math.abs(up - 5_000)).toBeLessThan(300);
    }
    const [secret] = secrets;
    expect(hashOfSecret(secret!)).toEqual(createHash('sha256').update(secret!).digest());
  });
});
