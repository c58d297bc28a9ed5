import * as fc from 'fast-check';
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { RememberedTokens, type RememberedToken } from '../../src/sessions/remembered-tokens.js';

const tokenOf = (sessionId: string): RememberedToken => ({ sessionId }) as RememberedToken;

describe('verified tokens in memory', () => {
  test('are found again under their whole text, which memory does not hold', () => {
    const key = RememberedTokens.keyOf('a.b.c');
    expect(key).toBe(createHash('sha256').update('a.b.c').digest('base64url'));
    const tokens = new RememberedTokens(2);
    const token = tokenOf('s');
    tokens.add(key, token);
    expect(tokens.get(key)).toBe(token);
    for (const other of ['a.b.d', 'A.b.c', 'a.b.c ', '']) {
      expect(tokens.get(RememberedTokens.keyOf(other))).toBeUndefined();
    }
  });

  test('are never more than may be, and those that were verified last', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4 }),
        fc.uniqueArray(fc.string(), { maxLength: 8 }),
        (most, keys) => {
          const tokens = new RememberedTokens(most);
          for (const key of keys) tokens.add(key, tokenOf(key));
          expect(tokens.size).toBe(Math.min(most, keys.length));
          for (const [at, key] of keys.entries()) {
            expect(tokens.get(key)?.sessionId).toBe(at >= keys.length - most ? key : undefined);
          }
        },
      ),
    );
  });

  test('are forgotten one by one, or all at once', () => {
    const tokens = new RememberedTokens(3);
    for (const key of ['a', 'b', 'c']) tokens.add(key, tokenOf(key));
    tokens.forget('b');
    expect(['a', 'b', 'c'].map((key) => tokens.get(key)?.sessionId)).toEqual(['a', undefined, 'c']);
    tokens.clear();
    expect([tokens.size, tokens.get('a')]).toEqual([0, undefined]);
  });
});
