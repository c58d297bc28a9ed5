import { Logger } from '@nestjs/common';
import type { ThrottlerStorage } from '@nestjs/throttler';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { SecurityEvents, type PublishedSecurityEvent } from '../../src/core/security-events.js';
import { rate } from '../../src/throttler/gcra.js';
import { GcraStorage } from '../../src/throttler/gcra.storage.js';
import { DistributedStorage } from '../../src/throttler/distributed.storage.js';
import { ThrottlingService } from '../../src/throttler/throttling.service.js';
import { resolveThrottlingOptions } from '../../src/throttler/throttling.options.js';
import { FrozenClock } from './frozen-clock.js';

const LIMIT = rate(10, 60);

/** A storage that two replicas share, with a switch that makes it fail. */
class SwitchedStorage extends GcraStorage {
  asked = 0;
  mode: 'works' | 'fails' | 'hangs' | 'throws' | 'lies' = 'works';

  override increment(...given: Parameters<GcraStorage['increment']>): ReturnType<GcraStorage['increment']> {
    this.asked += 1;
    switch (this.mode) {
      case 'works':
        return super.increment(...given);
      case 'fails':
        return Promise.reject(new Error('connection refused'));
      case 'hangs':
        return new Promise(() => undefined);
      case 'throws':
        throw new Error('not connected');
      case 'lies':
        return Promise.resolve({
          totalHits: Number.NaN,
          timeToExpire: 1,
          isBlocked: false,
          timeToBlockExpire: 0,
        });
    }
  }
}

function replica(
  shared: ThrottlerStorage,
  clock: FrozenClock,
): { storage: DistributedStorage; events: PublishedSecurityEvent[] } {
  const events: PublishedSecurityEvent[] = [];
  const port = new SecurityEvents(clock);
  port.subscribe((event) => void events.push(event));
  const settings = { storageDeadlineMs: 20, outagePercent: 50 };
  return {
    storage: new DistributedStorage(shared, new GcraStorage(clock, 1_000), clock, port, settings),
    events,
  };
}

async function passed(storage: DistributedStorage, times: number): Promise<number> {
  const answers = await Promise.all(Array.from({ length: times }, () => storage.consume('key', LIMIT)));
  return answers.filter(({ allowed }) => allowed).length;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a storage that replicas share', () => {
  test('THR-11 of 200 parallel requests on two replicas at a limit of 10 exactly 10 pass', async () => {
    const clock = new FrozenClock();
    const shared = new SwitchedStorage(clock, 1_000);
    const [one, two] = [replica(shared, clock), replica(shared, clock)];
    const counts = await Promise.all([passed(one.storage, 100), passed(two.storage, 100)]);
    expect(counts[0] + counts[1]).toBe(10);
  });

  test.each(['fails', 'hangs', 'throws', 'lies'] as const)(
    'that %s is replaced by a smaller limit in this process, which says so once',
    async (mode) => {
      const clock = new FrozenClock();
      const shared = new SwitchedStorage(clock, 1_000);
      shared.mode = mode;
      const { storage, events } = replica(shared, clock);
      const errors = vi.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
      expect(await passed(storage, 30)).toBe(5);
      expect(errors).toHaveBeenCalledOnce();
      expect(events.map(({ action, outcome }) => [action, outcome])).toEqual([
        ['throttle.degraded', 'failure'],
      ]);
    },
  );

  test('is left alone for a second after it failed, and used again once it answers', async () => {
    const clock = new FrozenClock();
    const shared = new SwitchedStorage(clock, 1_000);
    shared.mode = 'fails';
    const { storage, events } = replica(shared, clock);
    vi.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
    vi.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    for (let at = 0; at < 10; at += 1) await storage.consume('key', LIMIT);
    expect(shared.asked).toBe(1);
    shared.mode = 'works';
    clock.advanceSeconds(1);
    expect(await passed(storage, 30)).toBe(10);
    expect(events.map(({ action }) => action)).toEqual(['throttle.degraded', 'throttle.restored']);
  });

  test('refuses with the time that its record names', async () => {
    const clock = new FrozenClock();
    const { storage } = replica(new SwitchedStorage(clock, 1_000), clock);
    await passed(storage, 10);
    expect(await storage.consume('key', LIMIT)).toMatchObject({
      allowed: false,
      remaining: 0,
      retryAfterSeconds: 6,
    });
  });
});

describe('the service', () => {
  test('THR-09 one account from a hundred sources is limited by the key of the account', async () => {
    const settings = resolveThrottlingOptions({});
    const service = new ThrottlingService(new GcraStorage(new FrozenClock(), 1_000), settings);
    let allowed = 0;
    for (let source = 0; source < 100; source += 1) {
      allowed += (await service.consume('sign-in:9f2c', service.strict)).allowed ? 1 : 0;
    }
    expect(allowed).toBe(5);
    expect(await service.consume('sign-in:77aa', service.strict)).toMatchObject({ allowed: true });
  });
});
