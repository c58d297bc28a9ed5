import type { ThrottlerStorage } from '@nestjs/throttler';
import { randomInt } from 'node:crypto';
import type { Clock } from '../core/clock.js';
import type { CountedKey } from './request-counter.js';
import { RequestCounter } from './request-counter.js';
import { allows, outcomeOf, rate, startingTime, type Rate, type RateOutcome } from './gcra.js';

type StockRecord = Awaited<ReturnType<ThrottlerStorage['increment']>>;

/** Slots for each key of the table, so that a flood of ten tables' worth still finds most slots unused; 8 bytes each. */
const SLOTS_PER_KEY = 8;
const LEAST_SLOTS = 65_536;
/** How many neighbours compete for who has to leave. */
const CANDIDATES = 8;
const SWEEP_INTERVAL_US = 60_000_000;

/** Places of the table that is made first; it doubles until all its keys have one. */
const FIRST_PLACES = 1_024;
/** Of a place; the second one is its generation. */
const NUMBERS = 2;

/**
 * The kit's throttler storage: in this process, synchronous, one number a key, with a bounded number of keys.
 *
 * Guarantees: atomic (JavaScript runs one decision to its end, so parallel requests cannot pass on one reading);
 * not durable, not shared between processes. Memory is bounded by `maxKeys`; keys give theirs back as they run out, all but
 * some 20 bytes each that stand ready for others.
 *
 * Nobody can reset a limit by flooding it with other keys: when the table is full, a key that leaves hands its
 * arrival time to one of the overflow slots (the later of both times stays), and a key that is not in the table
 * starts from its slot. So a flood makes strangers share a limit; it never makes the throttler forget one.
 * Slots are chosen by a hash with a secret seed, so that nobody can aim at the slot of somebody else.
 */
export class GcraStorage extends RequestCounter implements ThrottlerStorage {
  readonly #clock: Clock;
  readonly #maxKeys: number;
  /** Where the numbers of a key are: side by side, for an object with a number of its own is three places in memory. */
  readonly #places = new Map<string, number>();
  /**
   * Two numbers a place, side by side: the theoretical arrival time, in microseconds since the epoch, and how often the place
   * was given away, by which who found a key there sees whether it still is that key's.
   */
  #numbers = new Float64Array(FIRST_PLACES * NUMBERS);
  readonly #free: number[] = [];
  #used = 0;
  /** Arrival times of keys that had to leave; made when the first one has to. */
  #overflow = new Float64Array(0);
  readonly #seed = randomInt(2 ** 32);
  /** Until when some overflow slot may hold a time that matters. */
  #overflowUntilUs = 0;
  #nextSweepUs = 0;
  #hand: MapIterator<[string, number]>;

  constructor(clock: Clock, maxKeys: number) {
    super();
    this.#clock = clock;
    this.#maxKeys = maxKeys;
    this.#hand = this.#places.entries();
  }

  /** How many keys are remembered right now; never more than `maxKeys`. */
  get size(): number {
    return this.#places.size;
  }

  override consume(key: string | CountedKey, limit: Rate): RateOutcome {
    const nowUs = this.#clock.nowMs() * 1000;
    // The second half is for a clock that was set back.
    if (nowUs >= this.#nextSweepUs || nowUs < this.#nextSweepUs - SWEEP_INTERVAL_US) this.#sweep(nowUs);
    const place = typeof key === 'string' ? this.#placeOf(key, nowUs) : this.#foundOf(key, nowUs);
    const startUs = startingTime(this.#arrivalAt(place), limit, nowUs);
    const allowed = allows(startUs, limit, nowUs);
    const arrivalUs = allowed ? startUs + limit.intervalUs : startUs;
    this.#numbers[place * NUMBERS] = arrivalUs;
    return outcomeOf(allowed, arrivalUs, limit, nowUs);
  }

  /** The stock port, so that a ThrottlerGuard of the host works on this storage too. `blockDuration` has no meaning here. */
  increment(
    key: string,
    ttl: number,
    limit: number,
    _blockDuration: number,
    throttlerName: string,
  ): Promise<StockRecord> {
    const outcome = this.consume(`stock|${throttlerName}|${key}`, rate(limit, Math.ceil(ttl / 1000)));
    return Promise.resolve({
      totalHits: outcome.allowed ? limit - outcome.remaining : limit + 1,
      timeToExpire: outcome.resetSeconds,
      isBlocked: !outcome.allowed,
      timeToBlockExpire: outcome.retryAfterSeconds,
    });
  }

  #placeOf(key: string, nowUs: number): number {
    return this.#places.get(key) ?? this.#admit(key, nowUs);
  }

  /** What was found under a key counts as long as the table holds it. */
  #foundOf(key: CountedKey, nowUs: number): number {
    if (key.counter === this && this.#generationOf(key.place) === key.generation) return key.place;
    const place = this.#placeOf(key.text, nowUs);
    key.counter = this;
    key.place = place;
    key.generation = this.#generationOf(place);
    return place;
  }

  #arrivalAt(place: number): number {
    return this.#numbers[place * NUMBERS] ?? 0;
  }

  #generationOf(place: number): number {
    return this.#numbers[place * NUMBERS + 1] ?? 0;
  }

  #admit(key: string, nowUs: number): number {
    if (this.#places.size >= this.#maxKeys) this.#evict(nowUs);
    // The slot is asked only while a flood is felt; else a new key costs no hash.
    const arrivalUs = nowUs < this.#overflowUntilUs ? (this.#overflow[this.#slotOf(key)] ?? 0) : 0;
    const place = this.#free.pop() ?? this.#nextPlace();
    this.#numbers[place * NUMBERS] = arrivalUs;
    this.#places.set(key, place);
    return place;
  }

  #nextPlace(): number {
    const { length } = this.#numbers;
    if (this.#used * NUMBERS === length) {
      const numbers = this.#numbers;
      this.#numbers = new Float64Array(length * 2);
      this.#numbers.set(numbers);
    }
    this.#used += 1;
    return this.#used - 1;
  }

  /** Makes room: of a few neighbours the one that has used least of its quota leaves. */
  #evict(nowUs: number): void {
    let leaving: string | undefined;
    let leastUs = 0;
    let left = 0;
    for (let seen = 0; seen < CANDIDATES; seen += 1) {
      let next = this.#hand.next();
      if (next.done) {
        this.#hand = this.#places.entries();
        next = this.#hand.next();
      }
      if (next.done) break;
      const [key, place] = next.value;
      const arrivalUs = this.#arrivalAt(place);
      if (leaving === undefined || arrivalUs < leastUs) [leaving, left, leastUs] = [key, place, arrivalUs];
    }
    if (leaving === undefined) return;
    this.#forget(leaving, left);
    if (leastUs <= nowUs) return;
    if (this.#overflow.length === 0) {
      const wanted = Math.max(LEAST_SLOTS, this.#maxKeys * SLOTS_PER_KEY);
      this.#overflow = new Float64Array(2 ** Math.ceil(Math.log2(wanted)));
    }
    const slot = this.#slotOf(leaving);
    this.#overflow[slot] = Math.max(this.#overflow[slot] ?? 0, leastUs);
    this.#overflowUntilUs = Math.max(this.#overflowUntilUs, leastUs);
  }

  /** Forgets what no longer limits anybody; about 2 ms for 100,000 keys, at most once a minute. */
  #sweep(nowUs: number): void {
    this.#nextSweepUs = nowUs + SWEEP_INTERVAL_US;
    for (const [key, place] of this.#places) {
      if (this.#arrivalAt(place) <= nowUs) this.#forget(key, place);
    }
  }

  #forget(key: string, place: number): void {
    this.#places.delete(key);
    this.#numbers[place * NUMBERS + 1] = this.#generationOf(place) + 1;
    this.#free.push(place);
  }

  /** FNV-1a from a secret start, then the finaliser of MurmurHash3, whose top bits depend on every character. */
  #slotOf(key: string): number {
    let hash = this.#seed;
    for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) & (this.#overflow.length - 1);
  }
}
