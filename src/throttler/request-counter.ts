import type { Rate, RateOutcome } from './gcra.js';

/**
 * Port: where requests are counted. Atomic: `consume` counts and answers in one step, so that parallel requests
 * cannot all pass on one reading. Whether it is shared between processes, and what it does in an outage, is said
 * by each implementation; none may let a request pass because it could not count it.
 */
export abstract class RequestCounter {
  /** Counts one request of `key` against `limit`. Answers without a promise where it can. */
  abstract consume(key: string | CountedKey, limit: Rate): RateOutcome | Promise<RateOutcome>;
}

/** A key that is counted again and again; the counter keeps with it what it found under it. */
export class CountedKey {
  /** Owned by the counter. */
  found: unknown;

  constructor(readonly text: string) {}
}
