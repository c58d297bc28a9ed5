import * as fc from 'fast-check';
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  RememberedTokens,
  type RememberedToken,
} from '../../../src/sessions/access-tokens/remembered-tokens.js';

/** Without a dot all of it is the signature, as of the last part of a token. */
const keyOf = (text: string) => RememberedTokens.keyOf(`.${text}`);

const tokenOf = (sessionId: string): RememberedToken => ({ sessionId }) as RememberedToken;

describe('verified tokens in memory', () => {
  test('are found again under their whole text, and a changed letter is another token', () => {
    const tokens = new RememberedTokens(2);
    const token = tokenOf('s');
    tokens.add(RememberedTokens.keyOf('a.b.c'), token, tokens.version);
    expect(tokens.get(RememberedTokens.keyOf('a.b.c'))).toMatchObject(token);
    for (const other of ['a.b.d', 'A.b.c', 'a.B.c', 'a.b.c ', ' a.b.c', 'a.b.', 'a.b', '.c', 'c', '']) {
      expect(tokens.get(RememberedTokens.keyOf(other)), other).toBeUndefined();
    }
  });

  test('are known by what they say and the SHA-256 of their signature, whose text is not kept', () => {
    const signature = createHash('sha256').update('.c').digest('base64url');
    expect(RememberedTokens.keyOf('a.b.c')).toEqual({ said: 'a.b', signature });
  });

  test('are each their own: no text is found that was not put there', () => {
    const letters = fc.stringMatching(/^[ab]{0,2}$/);
    const text = fc.tuple(letters, letters, letters).map((parts) => parts.join('.'));
    fc.assert(
      fc.property(fc.uniqueArray(text, { maxLength: 5 }), text, (known, other) => {
        const tokens = new RememberedTokens(10);
        for (const each of known) tokens.add(RememberedTokens.keyOf(each), tokenOf(each), tokens.version);
        const found = tokens.get(RememberedTokens.keyOf(other))?.sessionId;
        // Two with one signature, which nobody can make: the later one makes the other unknown, and nothing else.
        const laterOfOne = known.filter((each) => each.split('.')[2] === other.split('.')[2]).at(-1);
        expect(found).toBe(laterOfOne === other ? other : undefined);
      }),
    );
  });

  test('are never more than may be, and those that were verified last', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4 }),
        fc.uniqueArray(fc.string({ unit: fc.constantFrom('a', 'b', 'c') }), { maxLength: 8 }),
        (most, keys) => {
          const tokens = new RememberedTokens(most);
          for (const key of keys) tokens.add(keyOf(key), tokenOf(key), tokens.version);
          expect(tokens.size).toBe(Math.min(most, keys.length));
          for (const [at, key] of keys.entries()) {
            expect(tokens.get(keyOf(key))?.sessionId).toBe(at >= keys.length - most ? key : undefined);
          }
        },
      ),
    );
  });

  test('are not kept when all were forgotten since it was asked what they are', () => {
    const tokens = new RememberedTokens(3);
    const before = tokens.version;
    tokens.add(keyOf('a'), tokenOf('a'), before);
    expect(tokens.get(keyOf('a'))?.sessionId).toBe('a');
    tokens.clear();
    expect(tokens.version).toBeGreaterThan(before);
    tokens.add(keyOf('b'), tokenOf('b'), before);
    expect(tokens.size).toBe(0);
    tokens.add(keyOf('b'), tokenOf('b'), tokens.version);
    tokens.add(keyOf('c'), tokenOf('c'), tokens.version);
    expect(tokens.size).toBe(2);
  });

  test('are forgotten one by one, or all at once', () => {
    const tokens = new RememberedTokens(3);
    for (const key of ['a', 'b', 'c']) tokens.add(keyOf(key), tokenOf(key), tokens.version);
    tokens.forget(keyOf('b'));
    expect(['a', 'b', 'c'].map((key) => tokens.get(keyOf(key))?.sessionId)).toEqual(['a', undefined, 'c']);
    tokens.clear();
    expect([tokens.size, tokens.get(keyOf('a'))]).toEqual([0, undefined]);
  });
});
