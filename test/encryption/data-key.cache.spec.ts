import { describe, expect, test } from 'vitest';
import { Clock } from '../../src/core/clock.js';
import { DataKeyCache } from '../../src/encryption/data-key.cache.js';

class HeldClock extends Clock {
  now = 1_000_000;
  nowMs(): number {
    return this.now;
  }
}

interface Loaded {
  readonly serial: number;
}

function fixture(limits = { lifeMs: 300_000, entries: 10 }) {
  const clock = new HeldClock();
  const cache = new DataKeyCache<Loaded>(limits, clock);
  const loads: string[] = [];
  const get = (name: string): Promise<Loaded> =>
    cache.get(name, async () => {
      loads.push(name);
      await Promise.resolve();
      return { serial: loads.length };
    });
  return { clock, cache, loads, get };
}

describe('Opened keys in memory', () => {
  test('a hundred who ask at once cause one look-up', async () => {
    const { loads, get } = fixture();

    const answers = await Promise.all(Array.from({ length: 100 }, () => get('a')));

    expect(loads).toEqual(['a']);
    expect(new Set(answers).size).toBe(1);
  });

  test('a key is looked up again when its life is over, to the millisecond', async () => {
    const { clock, loads, get } = fixture();
    await get('a');

    clock.now += 299_999;
    await get('a');
    expect(loads.length).toBe(1);
    clock.now += 1;
    await get('a');
    expect(loads.length).toBe(2);
  });

  test('a clock that was set back does not lengthen a life', async () => {
    const { clock, loads, get } = fixture();
    await get('a');

    clock.now -= 3_600_000;
    await get('a');

    expect(loads.length).toBe(2);
  });

  test('the least recently used key goes when there are too many', async () => {
    const { loads, get } = fixture({ lifeMs: 300_000, entries: 2 });
    for (const name of ['a', 'b', 'a', 'c']) await get(name);
    expect(loads).toEqual(['a', 'b', 'c']);

    await get('a');
    expect(loads.length).toBe(3);
    await get('b');
    expect(loads.length).toBe(4);
  });

  test('when the first look-up breaks with its transaction, those who waited make their own', async () => {
    const { cache } = fixture();
    let breakFirst: (reason: Error) => void = () => undefined;
    const first = cache.get('a', () => new Promise((_, reject) => (breakFirst = reject)));
    const second = cache.get('a', () => Promise.resolve({ serial: 2 }));

    breakFirst(new Error('the transaction was rolled back'));

    await expect(first).rejects.toThrow('rolled back');
    expect(await second).toEqual({ serial: 2 });
    expect(await cache.get('a', () => Promise.resolve({ serial: 3 }))).toEqual({ serial: 2 });
  });

  test('a failure is not remembered', async () => {
    const { cache } = fixture();
    await expect(cache.get('a', () => Promise.reject(new Error('down')))).rejects.toThrow('down');

    expect(await cache.get('a', () => Promise.resolve({ serial: 1 }))).toEqual({ serial: 1 });
  });
});
