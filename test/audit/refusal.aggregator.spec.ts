import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RefusalAggregator } from '../../src/audit/refusal.aggregator.js';
import { AT_MS, publishedEvent } from './published-event.js';

const refusal = (actor: string, occurredAtMs = AT_MS): ReturnType<typeof publishedEvent> =>
  publishedEvent({ actor, occurredAtMs });

describe('repeated refusals', () => {
  test('the first of a window are written one by one, the rest is counted with first and last time', () => {
    const aggregator = new RefusalAggregator({ wholePerKey: 2, maxKeys: 10 });
    const whole = [0, 1, 2, 3, 4].map((second) => aggregator.admit(refusal('alice', AT_MS + second * 1000)));
    expect(whole).toEqual([true, true, false, false, false]);
    expect(aggregator.drain()).toMatchObject([
      { example: { actor: 'alice' }, count: 3, startMs: AT_MS + 2000, endMs: AT_MS + 4000 },
    ]);
  });

  test('a new window begins with whole refusals again, and hands over no count twice', () => {
    const aggregator = new RefusalAggregator({ wholePerKey: 1, maxKeys: 10 });
    aggregator.admit(refusal('alice'));
    aggregator.admit(refusal('alice'));
    expect(aggregator.drain()).toHaveLength(1);
    expect(aggregator.drain()).toEqual([]);
    expect(aggregator.admit(refusal('alice'))).toBe(true);
  });

  test.each([
    { actor: 'bob' },
    { reason: 'another reason' },
    { handler: 'InvoicesController.list' },
    { target: { type: 'document', id: '1' } },
    { sessionId: 'another session' },
    { detail: { code: 'permission-denied' } },
  ])('a refusal that differs in %o is not counted as the same', (difference) => {
    const aggregator = new RefusalAggregator({ wholePerKey: 1, maxKeys: 10 });
    expect(aggregator.admit(publishedEvent())).toBe(true);
    expect(aggregator.admit(publishedEvent(difference))).toBe(true);
    expect(aggregator.admit(publishedEvent({ id: 'another', requestId: 'another' }))).toBe(false);
  });

  test('AUD-30 however many different refusals come, memory stays bounded and no count is lost', () => {
    const aggregator = new RefusalAggregator({ wholePerKey: 1, maxKeys: 100 });
    let whole = 0;
    for (let at = 0; at < 10_000; at += 1) whole += aggregator.admit(refusal(String(at))) ? 1 : 0;
    const counted = aggregator.drain();
    expect(whole).toBe(100);
    expect(counted).toHaveLength(1);
    expect(counted[0]).toMatchObject({
      count: 9_900,
      example: { action: 'access.refused', reason: 'more different refusals than are told apart' },
    });
    expect(counted[0]?.example.actor).toBeUndefined();
  });

  test('what could not be written is counted on, whatever happens in between', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 0, max: 30 }), fc.constantFrom('lost', 'written')), {
          maxLength: 300,
        }),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 1, max: 10 }),
        (steps, wholePerKey, maxKeys) => {
          const aggregator = new RefusalAggregator({ wholePerKey, maxKeys });
          let refusals = 0;
          let accounted = 0;
          for (const step of [...steps, 'written'] as const) {
            if (typeof step === 'number') {
              refusals += 1;
              accounted += aggregator.admit(refusal(String(step))) ? 1 : 0;
              continue;
            }
            const counted = aggregator.drain();
            expect(counted.length).toBeLessThanOrEqual(2 * maxKeys + 1);
            if (step === 'lost') aggregator.restore(counted);
            else accounted += counted.reduce((sum, { count }) => sum + count, 0);
          }
          expect(accounted).toBe(refusals);
        },
      ),
    );
  });
});
