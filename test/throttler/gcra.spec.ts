import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rate } from '../../src/throttler/gcra.js';
import { GcraStorage } from '../../src/throttler/gcra.storage.js';
import { FrozenClock } from './frozen-clock.js';

const limits = fc.record({
  requests: fc.integer({ min: 1, max: 200 }),
  windowSeconds: fc.integer({ min: 1, max: 3_600 }),
});

describe('the rate algorithm', () => {
  test('lets exactly the quota through at once, whatever the numbers', () => {
    fc.assert(
      fc.property(limits, ({ requests, windowSeconds }) => {
        const storage = new GcraStorage(new FrozenClock(), 1_000);
        const limit = rate(requests, windowSeconds);
        for (let used = 1; used <= requests; used += 1) {
          expect(storage.consume('key', limit)).toMatchObject({ allowed: true, remaining: requests - used });
        }
        expect(storage.consume('key', limit)).toMatchObject({ allowed: false, remaining: 0 });
      }),
      { numRuns: 100 },
    );
  });

  test('never lets more through than the quota and what time gave back, however the requests are spaced', () => {
    fc.assert(
      fc.property(limits, fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 300 }), (given, pauses) => {
        const clock = new FrozenClock();
        const storage = new GcraStorage(clock, 1_000);
        const limit = rate(given.requests, given.windowSeconds);
        let elapsed = 0;
        let passed = 0;
        for (const pause of pauses) {
          clock.advanceSeconds(pause);
          elapsed += pause;
          passed += storage.consume('key', limit).allowed ? 1 : 0;
          expect(passed).toBeLessThanOrEqual(
            given.requests + Math.ceil((elapsed * given.requests) / given.windowSeconds),
          );
        }
      }),
      { numRuns: 100 },
    );
  });

  test('a caller who waits as long as Retry-After says is let through, and not a second earlier', () => {
    fc.assert(
      fc.property(limits, ({ requests, windowSeconds }) => {
        const clock = new FrozenClock();
        const storage = new GcraStorage(clock, 1_000);
        const limit = rate(requests, windowSeconds);
        for (let used = 0; used < requests; used += 1) storage.consume('key', limit);
        const { retryAfterSeconds } = storage.consume('key', limit);
        clock.advanceSeconds(retryAfterSeconds - 1);
        if (retryAfterSeconds > 1) expect(storage.consume('key', limit).allowed).toBe(false);
        clock.advanceSeconds(1);
        expect(storage.consume('key', limit).allowed).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  test('a refused request costs nothing: whoever hammers is let in as early as whoever waits', () => {
    const clock = new FrozenClock();
    const storage = new GcraStorage(clock, 1_000);
    const limit = rate(1, 10);
    storage.consume('key', limit);
    for (let again = 0; again < 100; again += 1) expect(storage.consume('key', limit).allowed).toBe(false);
    clock.advanceSeconds(10);
    expect(storage.consume('key', limit).allowed).toBe(true);
  });

  test('a clock that is set back by a day locks nobody out for longer than one window', () => {
    const clock = new FrozenClock();
    const storage = new GcraStorage(clock, 1_000);
    const limit = rate(2, 60);
    storage.consume('key', limit);
    clock.advanceSeconds(-86_400);
    expect(storage.consume('key', limit).retryAfterSeconds).toBeLessThanOrEqual(30);
    clock.advanceSeconds(30);
    expect(storage.consume('key', limit).allowed).toBe(true);
  });

  test.each([
    [0, 60],
    [1.5, 60],
    [Number.NaN, 60],
    [Number.POSITIVE_INFINITY, 60],
    [1_000_001, 60],
    [5, 0],
    [5, -1],
    [5, 86_401],
    ['5' as unknown as number, 60],
  ])('a limit of %s requests in %s seconds is a mistake', (requests, windowSeconds) => {
    expect(() => rate(requests, windowSeconds)).toThrow(TypeError);
  });
});
