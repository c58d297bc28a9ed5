import { performance } from 'node:perf_hooks';
import type { HeldTable } from './held.js';

/** What a subject holds, as it was read. */
export interface ReadPermissions {
  readonly held: HeldTable;
  /** Seconds until one of its grants begins or ends by itself; undefined when none does. */
  readonly secondsToChange: number | undefined;
}

/** What was read of one subject, as long as it counts. */
export interface RememberedTable {
  readonly held: HeldTable;
  /** Of `performance.now()`; undefined when it does not end by itself. */
  readonly endsAtMs: number | undefined;
}

/**
 * What subjects hold, in memory, until somebody changes it or a grant begins or ends. Bounded: the subject that was read
 * first makes room. Kept by a clock that nobody can set.
 */
export class RememberedPermissions {
  readonly #subjects = new Map<string, RememberedTable>();
  /** Grows with everything that is forgotten: what was read before that may be of yesterday. */
  #version = 0;

  constructor(private readonly capacity: number) {}

  get size(): number {
    return this.#subjects.size;
  }

  /** Whoever has kept what was read looks whether it still is the one of then: else it may not count any more. */
  get version(): number {
    return this.#version;
  }

  /** @param nowMs of `performance.now()`, for who has asked it already */
  get(subject: string, nowMs = performance.now()): RememberedTable | undefined {
    const known = this.#subjects.get(subject);
    if (!known || known.endsAtMs === undefined || nowMs < known.endsAtMs) return known;
    this.#subjects.delete(subject);
    return undefined;
  }

  /** Reads, and remembers what was read unless something was forgotten meanwhile. */
  async read(subject: string, read: () => Promise<ReadPermissions>): Promise<HeldTable> {
    const version = this.#version;
    const askedAtMs = performance.now();
    const { held, secondsToChange } = await read();
    if (version === this.#version) {
      if (this.#subjects.size >= this.capacity) {
        const [oldest] = this.#subjects.keys();
        if (oldest !== undefined) this.#subjects.delete(oldest);
      }
      const endsAtMs = secondsToChange === undefined ? undefined : askedAtMs + secondsToChange * 1000;
      this.#subjects.delete(subject);
      this.#subjects.set(subject, { held, endsAtMs });
    }
    return held;
  }

  forget(subject: string): void {
    this.#version += 1;
    this.#subjects.delete(subject);
  }

  forgetAll(): void {
    this.#version += 1;
    this.#subjects.clear();
  }
}
