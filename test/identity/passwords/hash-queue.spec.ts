import { describe, expect, test } from 'vitest';
import { HashQueue } from '../../../src/identity/passwords/hash-queue.js';

function held(): { work: () => Promise<string>; release: () => void; started: () => boolean } {
  let release = (): void => undefined;
  let started = false;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const work = async (): Promise<string> => {
    started = true;
    await gate;
    return 'done';
  };
  return { work, release, started: () => started };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the queue for hashes', () => {
  test('PWD-26 no more run at once and no more wait than it was told; beyond, 503 with Retry-After at once', async () => {
    const queue = new HashQueue(2, 3);
    const jobs = Array.from({ length: 5 }, held);
    const results = jobs.map(({ work }) => queue.run(work));
    await turn();
    expect(jobs.map(({ started }) => started())).toEqual([true, true, false, false, false]);

    const sixth = held();
    await expect(queue.run(sixth.work)).rejects.toMatchObject({
      code: 'temporarily-unavailable',
      headers: { 'Retry-After': '2' },
    });
    expect(sixth.started()).toBe(false);

    jobs[1]!.release();
    await turn();
    // First come, first served; and the place that became free can be taken.
    expect(jobs.map(({ started }) => started())).toEqual([true, true, true, false, false]);
    const seventh = held();
    results.push(queue.run(seventh.work));
    for (const { release } of [...jobs, seventh]) release();
    expect(await Promise.all(results)).toEqual(Array.from({ length: 6 }, () => 'done'));
  });

  test('a hash that fails gives its place back', async () => {
    const queue = new HashQueue(1, 1);
    const fail = (): Promise<never> => Promise.reject(new Error('broken'));
    const first = queue.run(fail);
    const second = queue.run(fail);
    await expect(first).rejects.toThrow('broken');
    await expect(second).rejects.toThrow('broken');
    await expect(queue.run(() => Promise.resolve(1))).resolves.toBe(1);
  });
});
