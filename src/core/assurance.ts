import type { Principal } from './principal.js';
import { ZeroTrustError } from './zero-trust-error.js';

/** NIST SP 800-63B, from the least to the most sure. */
export const ASSURANCE_LEVELS = ['aal1', 'aal2', 'aal3'] as const;
/** One of them. */
export type AssuranceLevel = (typeof ASSURANCE_LEVELS)[number];

/** How sure a handler must be of its caller, and since when at most. */
export interface AssuranceDemand {
  /** The least level. */
  readonly acr: AssuranceLevel;
  /** Seconds since the caller last actively authenticated, at most. @default as long as the session lives */
  readonly maxAgeSeconds?: number;
}

/** What the kit's own endpoints demand of whoever changes rights or accounts (ASVS 8.4.2). */
export const ADMINISTRATIVE_CHANGE: AssuranceDemand = Object.freeze({ acr: 'aal2', maxAgeSeconds: 600 });

/** How far `auth_time` may lie in the future: clocks of replicas differ (SessionsOptions allows as much). */
const CLOCK_TOLERANCE_SECONDS = 60;

export function isAssuranceLevel(value: unknown): value is AssuranceLevel {
  return (ASSURANCE_LEVELS as readonly unknown[]).includes(value);
}

/** Whether a principal was proved as surely and as lately as is demanded. What it does not say counts as not proved. */
export function meetsAssurance(
  principal: Principal | undefined,
  demand: AssuranceDemand,
  nowSeconds: number,
): boolean {
  // A time that is not said compares with nothing.
  const { acr, authTime = Number.NaN } = principal ?? {};
  if (!isAssuranceLevel(acr) || !isAssuranceLevel(demand.acr)) return false;
  if (ASSURANCE_LEVELS.indexOf(acr) < ASSURANCE_LEVELS.indexOf(demand.acr)) return false;
  if (demand.maxAgeSeconds === undefined) return true;
  const age = nowSeconds - authTime;
  return age >= -CLOCK_TOLERANCE_SECONDS && age <= demand.maxAgeSeconds;
}

/** The challenge of RFC 9470: it says what to authenticate again with, and how lately. */
export function insufficientAssurance({ acr, maxAgeSeconds }: AssuranceDemand): ZeroTrustError {
  const age = maxAgeSeconds === undefined ? '' : `, max_age="${maxAgeSeconds}"`;
  return new ZeroTrustError('insufficient-authentication', {
    detail: 'the authentication is too weak or too old',
    headers: {
      'WWW-Authenticate': `Bearer error="insufficient_user_authentication", acr_values="${acr}"${age}`,
    },
  });
}
