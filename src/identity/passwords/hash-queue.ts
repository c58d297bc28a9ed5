import { ZeroTrustError } from '../../core/zero-trust-error.js';

/** A full queue of the default length is through in about this time. */
const RETRY_AFTER_SECONDS = 2;

/**
 * Lets a bounded number of hashes run at once and a bounded number wait, first come, first served. So a flood of
 * sign-ins can cost only `concurrency` times the memory of one hash, leaves libuv threads for everything else, and
 * whoever is let in waits no longer than the queue is.
 */
export class HashQueue {
  readonly #concurrency: number;
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(concurrency: number, limit: number) {
    this.#concurrency = concurrency;
    this.#limit = limit;
  }

  /** @throws ZeroTrustError `temporarily-unavailable` with `Retry-After`, at once, when the queue is full. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#concurrency) {
      this.#running += 1;
    } else if (this.#waiting.length < this.#limit) {
      // Whoever finishes hands its place over: `#running` stays as it is, and nobody can slip in between.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      throw new ZeroTrustError('temporarily-unavailable', {
        detail: 'the queue for password hashing is full',
        headers: { 'Retry-After': String(RETRY_AFTER_SECONDS) },
      });
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}
