/**
 * The generic cell rate algorithm (ITU-T I.371): a limit that remembers one number a key, the theoretical arrival
 * time. It lets `requests` through at once and then one more each `window / requests`, so it has no window edge
 * at which a caller gets the double. Pure: no clock, no storage.
 */

/** A limit, prepared: times in whole microseconds, so that adding intervals up stays exact. */
export interface Rate {
  readonly requests: number;
  readonly windowSeconds: number;
  /** Time that gives one request back. */
  readonly intervalUs: number;
  /** How far the theoretical arrival time may run ahead of now: exactly `requests` intervals. */
  readonly toleranceUs: number;
}

/** What a limit answers. */
export interface RateOutcome {
  readonly allowed: boolean;
  /** Requests that would still be let through at this very moment. */
  readonly remaining: number;
  /** Whole seconds, rounded up, until the next request is let through; 0 when one would be now. */
  readonly retryAfterSeconds: number;
  /** Whole seconds, rounded up, until nothing of the quota is used any more. */
  readonly resetSeconds: number;
}

/** The highest quota whose interval is still a meaningful number of microseconds. */
export const MAX_REQUESTS = 1_000_000;
/** One day: longer memories belong into a durable store, not into a throttler. */
export const MAX_WINDOW_SECONDS = 86_400;

/**
 * Prepares a limit of `requests` in any `windowSeconds`.
 *
 * @throws TypeError when `requests` is no whole number from 1 to 1,000,000, or `windowSeconds` none from 1 to 86,400.
 */
export function rate(requests: number, windowSeconds: number): Rate {
  if (!isWithin(requests, MAX_REQUESTS)) {
    throw new TypeError(`A limit needs a whole number of requests from 1 to ${MAX_REQUESTS}.`);
  }
  if (!isWithin(windowSeconds, MAX_WINDOW_SECONDS)) {
    throw new TypeError(`A limit needs a window of whole seconds from 1 to ${MAX_WINDOW_SECONDS}.`);
  }
  // Rounded up, so that rounding can only make a limit stricter.
  const intervalUs = Math.ceil((windowSeconds * 1_000_000) / requests);
  return { requests, windowSeconds, intervalUs, toleranceUs: intervalUs * requests };
}

export function isWithin(value: unknown, highest: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= highest;
}

/** The arrival time that a key starts from: never in the past, never further ahead than a whole quota. */
export function startingTime(arrivalUs: number, limit: Rate, nowUs: number): number {
  // Further ahead than a quota means that the clock was set back: the caller has used it up, and no more than that.
  return Math.min(Math.max(arrivalUs, nowUs), nowUs + limit.toleranceUs);
}

/** Whether one more request from `startUs` on is within the limit; the next arrival time is then one interval later. */
export function allows(startUs: number, limit: Rate, nowUs: number): boolean {
  return startUs + limit.intervalUs - nowUs <= limit.toleranceUs;
}

/** Describes a decision for the caller: `arrivalUs` is the arrival time after it. */
export function outcomeOf(allowed: boolean, arrivalUs: number, limit: Rate, nowUs: number): RateOutcome {
  const aheadUs = arrivalUs - nowUs;
  const waitUs = aheadUs + limit.intervalUs - limit.toleranceUs;
  return {
    allowed,
    remaining: Math.max(0, Math.floor((limit.toleranceUs - aheadUs) / limit.intervalUs)),
    retryAfterSeconds: waitUs > 0 ? Math.ceil(waitUs / 1_000_000) : 0,
    resetSeconds: Math.ceil(aheadUs / 1_000_000),
  };
}
