import type { Clock } from '../core/clock.js';
import type { CacheLimits } from './encryption.options.js';

interface Entry<Value> {
  readonly value: Value;
  readonly loadedAtMs: number;
}

/**
 * Opened keys in memory: for a bounded time, a bounded number of them, and loaded once for all who ask at the
 * same time (a thousand requests after a restart must not become a thousand look-ups).
 * Dropped keys are left to the garbage collector: JavaScript can promise no erasure.
 */
export class DataKeyCache<Value extends object> {
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #flights = new Map<string, Promise<Value>>();

  constructor(
    private readonly limits: CacheLimits,
    private readonly clock: Clock,
  ) {}

  async get(name: string, load: () => Promise<Value>): Promise<Value> {
    const held = this.#held(name);
    if (held) return held;
    const flight = this.#flights.get(name);
    // The flight runs in the transaction of whoever started it. If that one breaks, it is not our failure.
    if (flight) return flight.catch(() => this.#load(name, load));
    const own = this.#load(name, load);
    this.#flights.set(name, own);
    try {
      return await own;
    } finally {
      this.#flights.delete(name);
    }
  }

  async #load(name: string, load: () => Promise<Value>): Promise<Value> {
    // The life starts before the look-up: what it finds may be as old as its beginning.
    const loadedAtMs = this.clock.nowMs();
    const value = await load();
    this.#entries.delete(name);
    this.#entries.set(name, { value, loadedAtMs });
    if (this.#entries.size > this.limits.entries) this.#dropOldest();
    return value;
  }

  #held(name: string): Value | undefined {
    const entry = this.#entries.get(name);
    if (!entry) return undefined;
    this.#entries.delete(name);
    const ageMs = this.clock.nowMs() - entry.loadedAtMs;
    // A clock that was set back must not lengthen a life.
    if (ageMs < 0 || ageMs >= this.limits.lifeMs) return undefined;
    // A Map keeps the order of insertion: taken out and put back, the entry is the youngest.
    this.#entries.set(name, entry);
    return entry.value;
  }

  #dropOldest(): void {
    const oldest = this.#entries.keys().next();
    if (!oldest.done) this.#entries.delete(oldest.value);
  }
}
