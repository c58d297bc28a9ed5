import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Revocations } from '../../src/freshness/revocations.js';

const RETAIN_MS = 1_000;

describe('revocations in memory', () => {
  test('cover exactly what a naive list of entries covers', () => {
    const id = fc.constantFrom('a', 'b', 'c');
    const kind = fc.constantFrom('session', 'subject', 'client', 'grants', 'keys');
    fc.assert(
      fc.property(
        fc.array(fc.record({ kind, id }), { maxLength: 30 }),
        fc.record({ sessionId: id, subject: id, clientId: id, feedSeq: fc.integer({ min: 0, max: 30 }) }),
        (entries, proof) => {
          const revocations = new Revocations(RETAIN_MS);
          const numbered = entries.map((entry, at) => ({ ...entry, seq: at + 1 }));
          for (const entry of numbered) revocations.add(entry, 0);
          const expected = numbered.some(
            (each) =>
              (each.kind === 'session' && each.id === proof.sessionId) ||
              (each.kind === 'subject' && each.id === proof.subject && each.seq > proof.feedSeq) ||
              (each.kind === 'client' && each.id === proof.clientId && each.seq > proof.feedSeq),
          );
          expect(revocations.covers(proof)).toBe(expected);
        },
      ),
    );
  });

  test('an entry that is read twice, or late, does not make a newer one older', () => {
    const revocations = new Revocations(RETAIN_MS);
    revocations.add({ kind: 'subject', id: 'a', seq: 9 }, 0);
    revocations.add({ kind: 'subject', id: 'a', seq: 3 }, 0);
    expect(revocations.covers({ sessionId: 's', subject: 'a', clientId: 'c', feedSeq: 8 })).toBe(true);
  });

  test('memory is given back once no token can be that old', () => {
    const revocations = new Revocations(RETAIN_MS);
    for (let at = 0; at < 1_000; at += 1) revocations.add({ kind: 'session', id: `s-${at}`, seq: at }, at);
    revocations.add({ kind: 'session', id: 's-0', seq: 1_000 }, 1_000);
    revocations.forget(RETAIN_MS + 500);
    expect(revocations.size).toBe(500);
    const alive = (sessionId: string): boolean =>
      revocations.covers({ sessionId, subject: 'a', clientId: 'c', feedSeq: 0 });
    expect(['s-0', 's-1', 's-500', 's-501', 's-999'].map(alive)).toEqual([true, false, false, true, true]);
  });
});
