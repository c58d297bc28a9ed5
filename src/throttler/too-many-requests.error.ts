import { ZeroTrustError } from '../core/zero-trust-error.js';
import type { Rate, RateOutcome } from './gcra.js';

/** Which limit speaks; the name that callers read in `RateLimit` and `RateLimit-Policy`. */
export type LimitPolicy = 'source' | 'route' | 'principal' | 'account';

const REASONS: Readonly<Record<LimitPolicy, string>> = {
  source: 'the limit per source is used up',
  route: 'the limit per source and handler is used up',
  principal: 'the limit per principal and handler is used up',
  account: 'the limit per account is used up',
};

/** `"route";q=120;w=60`: draft-ietf-httpapi-ratelimit-headers-10, section 3. */
export function policyField(policy: LimitPolicy, limit: Rate): string {
  return `"${policy}";q=${limit.requests};w=${limit.windowSeconds}`;
}

/**
 * `"route";r=7;t=12`: section 4 of the same draft. `t` is when nothing of the quota will be used any more, or when
 * nothing is left, when the next request is let through: so that `Retry-After` is never earlier than `t`.
 */
export function quotaField(policy: LimitPolicy, outcome: RateOutcome): string {
  return outcome.allowed
    ? `"${policy}";r=${outcome.remaining};t=${outcome.resetSeconds}`
    : `"${policy}";r=0;t=${outcome.retryAfterSeconds}`;
}

/**
 * The one refusal of the throttler: 429 with `Retry-After` (RFC 6585), `RateLimit` and `RateLimit-Policy`. It says
 * nothing that depends on whether an account exists (ASVS 6.3.8), as long as its key was consumed in either case.
 */
export function tooManyRequests(policy: LimitPolicy, limit: Rate, outcome: RateOutcome): ZeroTrustError {
  return new ZeroTrustError('too-many-requests', {
    detail: REASONS[policy],
    headers: {
      'Retry-After': String(Math.max(1, outcome.retryAfterSeconds)),
      RateLimit: quotaField(policy, outcome),
      'RateLimit-Policy': policyField(policy, limit),
    },
  });
}
