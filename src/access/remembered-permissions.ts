import { performance } from 'node:perf_hooks';
import type { HeldTable } from './held.js';

/** What a subject holds, as it was read. */
export interface ReadPermissions {
  readonly held: HeldTable;
  /** Seconds until one of its grants begins or ends by itself; undefined when none does. */
  readonly secondsToChange: number | undefined;
}

interface Remembered {
  readonly held: HeldTable;
  readonly endsAtMs: number;
}

/**
 * What subjects hold, in memory, until somebody changes it or a grant begins or ends. Bounded: the subject that was read
 * first makes room. Kept by a clock that nobody can set.
 */
export class RememberedPermissions {
  readonly #subjects = new Map<string, Remembered>();
  /** Grows with everything that is forgotten: what was read before that may be of yesterday. */
  #version = 0;

  constructor(private readonly capacity: number) {}

  get size(): number {
    return this.#subjects.size;
  }

  /** @param nowMs of `performance.now()`, for who has asked it already */
  get(subject: string, nowMs = performance.now()): HeldTable | undefined {
    const known = this.#subjects.get(subject);
    if (!known) return undefined;
    if (nowMs < known.endsAtMs) return known.held;
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
      const endsAtMs =
        secondsToChange === undefined ? Number.POSITIVE_INFINITY : askedAtMs + secondsToChange * 1000;
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
