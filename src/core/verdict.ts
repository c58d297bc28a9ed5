import type { SecurityEvent } from './security-events.js';
import { ZeroTrustError } from './zero-trust-error.js';

/** A decision is a value, two-valued: it lets the call pass, or it refuses with both voices. */
export type Verdict =
  | { readonly passed: true }
  | (RefusedThing & { readonly passed: false; readonly reason: string; readonly error: ZeroTrustError });

/** What was refused, for log and audit. */
export interface RefusedThing {
  readonly target?: SecurityEvent['target'];
  readonly detail?: SecurityEvent['detail'];
}

export type Refusal = Exclude<Verdict, { passed: true }>;

/** The verdict of a stage that has nothing against a call. */
export const PASSED: Verdict = Object.freeze({ passed: true });

/** Refuses: `error` is for the caller, `reason` (a fixed phrase) and `thing` for log and audit. */
export function refused(reason: string, error: ZeroTrustError, thing: RefusedThing = {}): Verdict {
  return { ...thing, passed: false, reason, error };
}

/** Whatever is thrown on the way is a refusal (ASVS 16.5.3). */
export function refusalOf(thrown: unknown): Refusal {
  if (thrown instanceof ZeroTrustError) return { passed: false, reason: thrown.detail, error: thrown };
  const detail = 'a check could not be made';
  return {
    passed: false,
    reason: detail,
    error: new ZeroTrustError('temporarily-unavailable', { detail, cause: thrown }),
  };
}

const UNREADABLE: Refusal = Object.freeze({
  passed: false,
  reason: 'a stage gave no verdict',
  error: new ZeroTrustError('permission-denied', { detail: 'a stage gave no verdict' }),
});

/** What stands between a call and the next stage. A verdict that is neither of the two is one: types bind nobody at run time. */
export function refusalIn(verdict: unknown): Refusal | undefined {
  const { passed, error } = (verdict ?? {}) as { readonly passed?: unknown; readonly error?: unknown };
  if (passed === true) return undefined;
  return passed === false && error instanceof ZeroTrustError ? (verdict as Refusal) : UNREADABLE;
}
