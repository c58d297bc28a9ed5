import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CountedKeys } from '../../src/throttler/counted-keys.js';
import { rate } from '../../src/throttler/gcra.js';
import { GcraStorage } from '../../src/throttler/gcra.storage.js';
import { CountedKey } from '../../src/throttler/request-counter.js';
import { FrozenClock } from './frozen-clock.js';

const MINUTE = rate(5, 60);

describe('keys that are counted again and again', () => {
  test('are made once for a name, and differ by group and name', () => {
    const keys = new CountedKeys();
    const [first, second] = [keys.group('a|'), keys.group('b|')];
    expect(first.of('x')).toBe(first.of('x'));
    expect([first.of('x').text, first.of('y').text, second.of('x').text]).toEqual(['a|x', 'a|y', 'b|x']);
  });

  test('THR-14 a flood of names makes no more of them than are kept, and loses nobody their count', () => {
    const keys = new CountedKeys();
    const group = keys.group('a|');
    const storage = new GcraStorage(new FrozenClock(), 100_000);
    const before = group.of('caller');
    for (let used = 0; used < 5; used += 1) storage.consume(before, MINUTE);
    for (let at = 0; at < 20_000; at += 1) storage.consume(group.of(`flood-${at}`), MINUTE);
    expect(group.of('caller')).not.toBe(before);
    expect(storage.consume(group.of('caller'), MINUTE).allowed).toBe(false);
  });

  test('count like their text, whatever the table forgets and whoever else counts the same text', () => {
    const name = fc.integer({ min: 0, max: 12 }).map((at) => `key-${at}`);
    const step = fc.record({ name, kept: fc.boolean(), seconds: fc.constantFrom(0, 0, 0, 1, 13, 61) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 20 }), (steps, most) => {
        const clock = new FrozenClock();
        const [storage, byText] = [new GcraStorage(clock, most), new GcraStorage(clock, most)];
        // Which slot a key that had to leave goes to is a secret of each table: there must be room for all.
        fc.pre(most > 12 || new Set(steps.map((each) => each.name)).size <= most);
        const kept = new Map<string, CountedKey>();
        for (const each of steps) {
          clock.advanceSeconds(each.seconds);
          const key = kept.get(each.name) ?? new CountedKey(each.name);
          kept.set(each.name, key);
          expect(storage.consume(each.kept ? key : each.name, MINUTE)).toEqual(
            byText.consume(each.name, MINUTE),
          );
          expect(storage.size).toBe(byText.size);
        }
      }),
    );
  });

  test('THR-14 a key that was kept does not count beside the table once it had to leave', () => {
    const storage = new GcraStorage(new FrozenClock(), 1_000);
    const key = new CountedKey('attacker');
    for (let used = 0; used < 5; used += 1) storage.consume(key, MINUTE);
    for (let at = 0; at < 50_000; at += 1) storage.consume(`flood-${at}`, MINUTE);
    expect(storage.consume('attacker', MINUTE).allowed).toBe(false);
    expect(storage.consume(key, MINUTE).allowed).toBe(false);
  });

  test('THR-14 a key that was forgotten does not count as the one that took its place', () => {
    const clock = new FrozenClock();
    const storage = new GcraStorage(clock, 1_000);
    const [first, second] = [new CountedKey('first'), new CountedKey('second')];
    for (let used = 0; used < 5; used += 1) storage.consume(first, MINUTE);
    clock.advanceSeconds(61);
    // The first has run out by now, and nothing else is there: the second gets its place.
    for (let used = 0; used < 5; used += 1) storage.consume(second, MINUTE);
    expect(storage.consume(first, MINUTE).remaining).toBe(4);
    expect(storage.consume(second, MINUTE).allowed).toBe(false);
  });

  test('count in each table by itself', () => {
    const clock = new FrozenClock();
    const [one, other] = [new GcraStorage(clock, 1_000), new GcraStorage(clock, 1_000)];
    const key = new CountedKey('caller');
    for (let used = 0; used < 5; used += 1) expect(one.consume(key, MINUTE).allowed).toBe(true);
    expect(other.consume(key, MINUTE).remaining).toBe(4);
    expect(one.consume(key, MINUTE).allowed).toBe(false);
  });
});
