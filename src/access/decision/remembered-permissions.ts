import { performance } from 'node:perf_hooks';
import type { HeldTable } from './held.js';

/** What a subject holds, as it was read. */
export interface ReadPermissions {
  readonly held: HeldTable;
  /** Seconds until one of its grants begins or ends by itself; undefined when none does. */
  readonly secondsToChange: number | undefined;
}

/** What was read of one subject, as long as it counts. */
export class RememberedTable {
  #held: HeldTable | undefined;
  readonly #endsAtMs: number | undefined;

  /** @param endsAtMs of `performance.now()`; undefined when it does not end by itself */
  constructor(held: HeldTable, endsAtMs: number | undefined) {
    this.#held = held;
    this.#endsAtMs = endsAtMs;
  }

  /** Undefined once it does not count any more. @param nowMs of `performance.now()` */
  heldAt(nowMs: number): HeldTable | undefined {
    return this.#endsAtMs === undefined || nowMs < this.#endsAtMs ? this.#held : undefined;
  }

  /** Tells whoever holds on to it, and lets go of the table. */
  forget(): void {
    this.#held = undefined;
  }
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

  /** @param nowMs of `performance.now()`, for who has asked it already */
  get(subject: string, nowMs = performance.now()): RememberedTable | undefined {
    const known = this.#subjects.get(subject);
    if (!known || known.heldAt(nowMs)) return known;
    this.#drop(subject);
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
        if (oldest !== undefined) this.#drop(oldest);
      }
      const endsAtMs = secondsToChange === undefined ? undefined : askedAtMs + secondsToChange * 1000;
      this.#drop(subject);
      this.#subjects.set(subject, new RememberedTable(held, endsAtMs));
    }
    return held;
  }

  forget(subject: string): void {
    this.#version += 1;
    this.#drop(subject);
  }

  forgetAll(): void {
    this.#version += 1;
    for (const known of this.#subjects.values()) known.forget();
    this.#subjects.clear();
  }

  /** Who holds on to it would not hear of a change any more. */
  #drop(subject: string): void {
    this.#subjects.get(subject)?.forget();
    this.#subjects.delete(subject);
  }
}
