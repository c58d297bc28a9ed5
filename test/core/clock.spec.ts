import { describe, expect, test, vi } from 'vitest';
import { Clock, SystemClock } from '../../src/core/clock.js';

/** Lets the time of the machine pass, by what it would be read as. */
function passing(): void {
  let now = 1_000_000;
  vi.spyOn(Date, 'now').mockImplementation(() => (now += 1_000));
}

describe('the clock of the machine', () => {
  test('stands still during one piece of work, with what it calls, and goes on after it', () => {
    passing();
    const clock = new SystemClock();
    const read = clock.during(() => [
      clock.nowMs(),
      clock.during(() => clock.nowMs()),
      clock.nowSeconds() * 1000,
    ]);
    expect(new Set(read).size).toBe(1);
    expect(clock.nowMs()).toBeGreaterThan(read[0] ?? Infinity);
    vi.restoreAllMocks();
  });

  test('goes on where the work waits, and where it fails', async () => {
    passing();
    const clock = new SystemClock();
    const [first, second, third] = await clock.during(async () => {
      const before = [clock.nowMs(), clock.nowMs()];
      await Promise.resolve();
      return [...before, clock.nowMs()];
    });
    expect(second).toBe(first);
    expect(third).toBeGreaterThan(second ?? Infinity);
    expect(() =>
      clock.during(() => {
        throw new Error('it failed');
      }),
    ).toThrow('it failed');
    expect(clock.nowMs()).not.toBe(clock.nowMs());
    vi.restoreAllMocks();
  });

  test('another clock need not stand still', () => {
    let now = 0;
    class Passing extends Clock {
      nowMs(): number {
        return (now += 1);
      }
    }
    const clock = new Passing();
    expect(clock.during(() => [clock.nowMs(), clock.nowMs()])).toEqual([1, 2]);
  });
});
