import { describe, expect, test, vi } from 'vitest';
import { rate } from '../../src/throttler/gcra.js';
import { GcraStorage } from '../../src/throttler/gcra.storage.js';
import { FrozenClock } from './frozen-clock.js';

const MINUTE = rate(5, 60);

describe('the storage in this process', () => {
  test('THR-11 of 200 parallel requests at a limit of 10 exactly 10 pass', async () => {
    const storage = new GcraStorage(new FrozenClock(), 1_000);
    const answers = await Promise.all(
      Array.from({ length: 200 }, async () => {
        await Promise.resolve();
        return storage.consume('key', rate(10, 60)).allowed;
      }),
    );
    expect(answers.filter(Boolean)).toHaveLength(10);
  });

  test('THR-14 200,000 distinct keys stay within the bound, and are forgotten once they have run out', () => {
    const clock = new FrozenClock();
    const storage = new GcraStorage(clock, 50_000);
    for (let at = 0; at < 200_000; at += 1) storage.consume(`key-${at}`, MINUTE);
    expect(storage.size).toBe(50_000);
    clock.advanceSeconds(61);
    storage.consume('one more', MINUTE);
    expect(storage.size).toBe(1);
  });

  test('THR-14 stays within its bound whatever a clock says', () => {
    const clock = new FrozenClock();
    const storage = new GcraStorage(clock, 3);
    vi.spyOn(clock, 'nowMs').mockReturnValue(Number.NaN);
    for (let at = 0; at < 20; at += 1) storage.consume(`key-${at}`, MINUTE);
    expect(storage.size).toBe(3);
  });

  test('each of many keys keeps its own count, however many came after it', () => {
    const storage = new GcraStorage(new FrozenClock(), 10_000);
    const used = (at: number): number => at % 5;
    for (let at = 0; at < 5_000; at += 1) {
      for (let times = 0; times < used(at); times += 1) storage.consume(`key-${at}`, MINUTE);
    }
    for (let at = 0; at < 5_000; at += 1) {
      expect(storage.consume(`key-${at}`, MINUTE).remaining, `key-${at}`).toBe(4 - used(at));
    }
  });

  test('THR-14 a flood of other keys does not reset a limit that is used up', () => {
    const storage = new GcraStorage(new FrozenClock(), 1_000);
    for (let used = 0; used < 5; used += 1) storage.consume('attacker', MINUTE);
    for (let at = 0; at < 50_000; at += 1) storage.consume(`flood-${at}`, MINUTE);
    expect(storage.consume('attacker', MINUTE).allowed).toBe(false);
  });

  test('THR-14 a limit that is used up outlasts a flood whose keys are all used up too', () => {
    const storage = new GcraStorage(new FrozenClock(), 1_000);
    for (let used = 0; used < 5; used += 1) storage.consume('attacker', MINUTE);
    for (let at = 0; at < 10_000; at += 1) {
      for (let used = 0; used < 5; used += 1) storage.consume(`flood-${at}`, MINUTE);
    }
    expect(storage.consume('attacker', MINUTE).allowed).toBe(false);
  });

  test('THR-14 during a flood of keys strangers are still let in', () => {
    const storage = new GcraStorage(new FrozenClock(), 1_000);
    for (let at = 0; at < 50_000; at += 1) storage.consume(`flood-${at}`, MINUTE);
    const strangers = Array.from({ length: 500 }, (_, at) => storage.consume(`stranger-${at}`, MINUTE));
    // A slot is shared by chance: of 500 strangers half of one meets five others in his.
    expect(strangers.filter(({ allowed }) => allowed).length).toBeGreaterThan(480);
  });

  test('when the flood is over, nobody shares a limit any more', () => {
    const clock = new FrozenClock();
    const storage = new GcraStorage(clock, 1_000);
    for (let at = 0; at < 200_000; at += 1) storage.consume(`flood-${at}`, MINUTE);
    clock.advanceSeconds(61);
    for (let at = 0; at < 900; at += 1) {
      expect(storage.consume(`stranger-${at}`, MINUTE).remaining).toBe(4);
    }
  });

  test('a guard of @nestjs/throttler can count in it', async () => {
    const clock = new FrozenClock();
    const storage = new GcraStorage(clock, 1_000);
    const hit = (): ReturnType<GcraStorage['increment']> => storage.increment('key', 60_000, 2, 0, 'default');
    expect(await hit()).toEqual({ totalHits: 1, timeToExpire: 30, isBlocked: false, timeToBlockExpire: 0 });
    expect(await hit()).toMatchObject({ totalHits: 2, isBlocked: false });
    expect(await hit()).toMatchObject({ totalHits: 3, isBlocked: true, timeToBlockExpire: 30 });
  });
});
