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

/** A key that is counted again and again; the counter keeps with it where it found it. */
export class CountedKey {
  /** Owned by the counter that found it last, as are the numbers below. */
  counter: RequestCounter | undefined;
  place = 0;
  generation = 0;

  /** @param group where the key was made: its text is `group` and a name */
  constructor(
    readonly text: string,
    readonly group?: object,
  ) {}
}
