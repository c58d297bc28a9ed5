import { describe, expect, test } from 'vitest';
import { resolveThrottlingOptions, type ThrottlingOptions } from '../../src/throttler/throttling.options.js';

describe('the options of the throttler', () => {
  test('left out are the strict choice', () => {
    expect(resolveThrottlingOptions({})).toEqual({
      sourceRequests: 300,
      sourceWindowSeconds: 60,
      routeRequests: 120,
      routeWindowSeconds: 60,
      principalRequests: 120,
      principalWindowSeconds: 60,
      strictRequests: 5,
      strictWindowSeconds: 60,
      messageRequests: 6_000,
      messageWindowSeconds: 60,
      streamsPerCaller: 100,
      ipv6PrefixBits: 64,
      maxKeys: 100_000,
      storageDeadlineMs: 250,
      outagePercent: 50,
      announceQuota: true,
    });
  });

  test('an option that is given as undefined is left out', () => {
    expect(resolveThrottlingOptions({ routeRequests: undefined }).routeRequests).toBe(120);
  });

  test.each<[object, string]>([
    [{ sourceRequests: 0 }, 'sourceRequests must be a whole number from 1 to 1000000'],
    [{ strictRequests: Number.NaN }, 'strictRequests must be'],
    [{ routeRequests: Number.POSITIVE_INFINITY }, 'routeRequests must be'],
    [{ principalWindowSeconds: 0.5 }, 'principalWindowSeconds must be'],
    [{ principalRequests: '5' }, 'principalRequests must be'],
    [{ ipv6PrefixBits: 128 }, 'ipv6PrefixBits must be a whole number from 16 to 64'],
    [{ ipv6PrefixBits: 8 }, 'ipv6PrefixBits must be'],
    [{ streamsPerCaller: 0 }, 'streamsPerCaller must be a whole number from 1 to 100000'],
    [{ maxKeys: 10 }, 'maxKeys must be a whole number from 1000'],
    [{ announceQuota: 'no' }, 'announceQuota must be true or false'],
    [{ storage: {} }, 'storage has no increment()'],
    [{ storage: 'redis://localhost' }, 'storage must be a ThrottlerStorage'],
    [{ sourceRequest: 5 }, 'unknown option "sourceRequest"'],
  ])('%o stops the start and says why', (given, fault) => {
    expect(() => resolveThrottlingOptions(given as ThrottlingOptions)).toThrow(fault);
  });

  test('every fault is named at once', () => {
    expect(() => resolveThrottlingOptions({ maxKeys: 0, outagePercent: 0 })).toThrow(
      /maxKeys[^]*outagePercent/,
    );
  });
});
