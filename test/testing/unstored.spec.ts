import { describe, expect, test } from 'vitest';
import type { FeedEntry } from '../../src/freshness/feed-entry.js';
import { FrozenClock } from '../../src/testing/frozen.clock.js';
import { UnstoredFeed } from '../../src/testing/unstored.feed.js';
import { UnstoredUnitOfWork } from '../../src/testing/unstored.unit-of-work.js';

describe('a unit of work without a database', () => {
  const unitOfWork = new UnstoredUnitOfWork();

  test('runs what is to come before the end inside of it, and what is to come after outside', async () => {
    const order: [string, boolean][] = [];
    const say = (what: string) => (): void => {
      order.push([what, unitOfWork.active]);
    };
    const result = await unitOfWork.run(async () => {
      await unitOfWork.afterCommit(say('after'));
      unitOfWork.beforeCommit(say('before'));
      await unitOfWork.run(async () => {
        await Promise.resolve();
        say('joined')();
      });
      await unitOfWork.runDetached(async () => {
        await unitOfWork.afterCommit(say('after the detached one'));
      });
      return 7;
    });
    expect(result).toBe(7);
    expect(order).toEqual([
      ['joined', true],
      ['after the detached one', false],
      ['before', true],
      ['after', false],
    ]);
  });

  test('runs neither when the work fails, and none that is to come after when one before fails', async () => {
    const ran: string[] = [];
    const failing = (work: () => void) =>
      unitOfWork.run(async () => {
        await unitOfWork.afterCommit(() => void ran.push('after'));
        work();
      });
    await expect(
      failing(() => {
        unitOfWork.beforeCommit(() => void ran.push('before'));
        throw new Error('the work failed');
      }),
    ).rejects.toThrow('the work failed');
    await expect(
      failing(() => {
        unitOfWork.beforeCommit(() => {
          throw new Error('the hook failed');
        });
      }),
    ).rejects.toThrow('the hook failed');
    expect(ran).toEqual([]);
  });

  test('outside of one, what is to come after comes at once, and nothing can come before', async () => {
    const ran: string[] = [];
    await unitOfWork.afterCommit(() => void ran.push('after'));
    expect(ran).toEqual(['after']);
    expect(() => {
      unitOfWork.beforeCommit(() => undefined);
    }).toThrow('there is no unit of work');
  });

  test('asks no database, and says what to do instead', async () => {
    expect(() => unitOfWork.manager as unknown).toThrow('has no database');
    await expect(unitOfWork.query()).rejects.toThrow('withTestPrincipals()');
  });
});

test('a feed without a database tells this process, in order, for as long as somebody listens', async () => {
  const feed = new UnstoredFeed();
  const heard: string[] = [];
  const end = feed.on('grants', ({ id }) => void heard.push(id));
  const entry = (kind: FeedEntry['kind'], id: string): FeedEntry => ({ kind, id });
  await feed.append(entry('grants', 'a'), entry('roles', 'b'), entry('grants', 'c'));
  end();
  await feed.append(entry('grants', 'd'));
  expect(heard).toEqual(['a', 'c']);
  expect([feed.seq, feed.isFresh(), feed.revoked()]).toEqual([4, true, false]);
});

describe('a frozen clock', () => {
  test('stands where it was set until it is moved', () => {
    const clock = new FrozenClock(new Date('2026-03-01T12:00:00.500Z'));
    expect(clock.nowMs()).toBe(Date.parse('2026-03-01T12:00:00.500Z'));
    clock.advanceSeconds(601);
    expect(clock.nowSeconds()).toBe(Date.parse('2026-03-01T12:10:01Z') / 1000);
  });

  test.each([-1, 0.5, Number.NaN])('is not moved by %s seconds', (seconds) => {
    expect(() => {
      new FrozenClock().advanceSeconds(seconds);
    }).toThrow(RangeError);
  });
});
