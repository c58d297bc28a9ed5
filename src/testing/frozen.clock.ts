import { Clock } from '../core/clock.js';

/**
 * Time that moves only when a test says so:
 *
 * ```ts
 * const clock = new FrozenClock();
 * builder.overrideProvider(Clock).useValue(clock);
 * clock.advanceSeconds(601);
 * ```
 */
export class FrozenClock extends Clock {
  #atMs: number;

  /** @default the time at which it is made */
  constructor(at: Date = new Date()) {
    super();
    this.#atMs = at.getTime();
  }

  nowMs(): number {
    return this.#atMs;
  }

  /** @throws RangeError for what is no whole number of seconds: time that went back would hide what it ends. */
  advanceSeconds(seconds: number): void {
    if (!Number.isInteger(seconds) || seconds < 0)
      throw new RangeError('advanceSeconds() takes a whole number of seconds, 0 or more.');
    this.#atMs += seconds * 1000;
  }
}
