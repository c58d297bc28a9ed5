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

  test('of a proof that was looked up before they say the same as of one that was not', () => {
    const id = fc.constantFrom('a', 'b', 'c');
    const kind = fc.constantFrom('session', 'subject', 'client', 'grants');
    fc.assert(
      fc.property(
        fc.array(fc.record({ kind, id }), { maxLength: 30 }),
        fc.record({ sessionId: id, subject: id, clientId: id, feedSeq: fc.integer({ min: 0, max: 30 }) }),
        (entries, proof) => {
          const revocations = new Revocations(RETAIN_MS);
          const known = { ...proof, clearAsOf: -1 };
          expect(revocations.covers(known)).toBe(false);
          for (const [at, entry] of entries.entries()) {
            revocations.add({ ...entry, seq: at + 1 }, 0);
            expect(revocations.covers(known)).toBe(revocations.covers(proof));
          }
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

  test('what was minted at the very number of an entry is alive, and dead at any before', () => {
    const revocations = new Revocations(RETAIN_MS);
    revocations.add({ kind: 'subject', id: 'a', seq: 7 }, 0);
    revocations.add({ kind: 'client', id: 'c', seq: 9 }, 0);
    const covered = (subject: string, clientId: string, feedSeq: number): boolean =>
      revocations.covers({ sessionId: 's', subject, clientId, feedSeq });
    expect([covered('a', 'x', 6), covered('a', 'x', 7), covered('x', 'x', 0)]).toEqual([true, false, false]);
    expect([covered('x', 'c', 8), covered('x', 'c', 9), covered('x', 'x', -1)]).toEqual([true, false, false]);
  });

  test('an entry that is read twice is forgotten as if it had been read once', () => {
    const revocations = new Revocations(RETAIN_MS);
    revocations.add({ kind: 'session', id: 's', seq: 1 }, 0);
    revocations.add({ kind: 'session', id: 's', seq: 1 }, 500);
    revocations.forget(RETAIN_MS - 1);
    expect(revocations.size).toBe(1);
    revocations.forget(RETAIN_MS);
    expect(revocations.size).toBe(0);
  });

  test('are counted, forgotten and cleared whatever their kind', () => {
    const kinds = ['session', 'session', 'session', 'subject', 'subject', 'client'] as const;
    const filled = (): Revocations => {
      const revocations = new Revocations(RETAIN_MS);
      for (const [at, kind] of kinds.entries()) revocations.add({ kind, id: `i-${at}`, seq: at + 1 }, 0);
      return revocations;
    };
    const proof = { sessionId: 'i-0', subject: 'i-3', clientId: 'i-5', feedSeq: 0 };
    expect([filled().size, filled().covers(proof)]).toEqual([6, true]);
    const [forgotten, cleared] = [filled(), filled()];
    forgotten.forget(RETAIN_MS);
    cleared.clear();
    for (const empty of [forgotten, cleared]) expect([empty.size, empty.covers(proof)]).toEqual([0, false]);
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
