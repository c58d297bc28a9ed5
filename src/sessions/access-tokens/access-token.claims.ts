import { isAssuranceLevel, type AssuranceLevel } from '../../core/assurance.js';
import { invalidToken } from '../sessions.errors.js';

/** Access tokens live at most 15 minutes; enforced when one is made and when one is verified. */
export const MAX_ACCESS_TOKEN_SECONDS = 900;

/** What an access token says (RFC 9068 2.2). No personal data and no permissions: these are looked up. */
export interface AccessTokenClaims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string;
  readonly exp: number;
  readonly iat: number;
  readonly jti: string;
  readonly sid: string;
  readonly client_id: string;
  readonly auth_time: number;
  readonly acr: AssuranceLevel;
  readonly amr: readonly string[];
  /** The number of the freshness feed when it was minted: what was revoked later kills it. A claim of our own. */
  readonly seq: number;
}

export interface ExpectedClaims {
  readonly issuer: string;
  readonly audience: string;
  readonly nowSeconds: number;
  readonly clockToleranceSeconds: number;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** RFC 8176: `pwd`, `otp`, `hwk`. */
const METHOD = /^[a-z0-9_]{1,32}$/;
const CLIENT_ID = /^[\x21-\x7e]{1,128}$/;

/** In lower case, as PostgreSQL prints it: one id has one spelling. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

export function isMethodList(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= 8 &&
    value.every((each) => typeof each === 'string' && METHOD.test(each))
  );
}

export function isClientId(value: unknown): value is string {
  return typeof value === 'string' && CLIENT_ID.test(value);
}

/** NumericDate of RFC 7519, whole seconds only. */
function isInstant(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/**
 * Reads the claims of a token whose signature holds. Says itself what libraries leave open: that `exp` is there, that
 * `iat` is not in the future, that there is one audience, that every claim has its shape.
 *
 * @throws ZeroTrustError `invalid-credentials`.
 */
export function readClaims(payload: unknown, expected: ExpectedClaims): AccessTokenClaims {
  if (typeof payload !== 'object' || payload === null) throw invalidToken('the claims are malformed');
  const claims = payload as Partial<Record<keyof AccessTokenClaims | 'nbf', unknown>>;
  const { exp, iat, nbf = iat } = claims;
  const latestStart = expected.nowSeconds + expected.clockToleranceSeconds;
  if (claims.iss !== expected.issuer) throw invalidToken('the token is from another issuer');
  if (claims.aud !== expected.audience) throw invalidToken('the token is for another audience');
  if (!isInstant(exp) || !isInstant(iat) || !isInstant(nbf)) throw invalidToken('the claims are malformed');
  if (iat > latestStart || nbf > latestStart) throw invalidToken('the token is not valid yet');
  if (expected.nowSeconds >= exp + expected.clockToleranceSeconds) {
    throw invalidToken('the token has expired');
  }
  if (exp <= iat || exp - iat > MAX_ACCESS_TOKEN_SECONDS) throw invalidToken('the claims are malformed');
  if (
    !isUuid(claims.sub) ||
    !isUuid(claims.sid) ||
    !isUuid(claims.jti) ||
    !isClientId(claims.client_id) ||
    !isInstant(claims.auth_time) ||
    !isAssuranceLevel(claims.acr) ||
    !isMethodList(claims.amr) ||
    !Number.isSafeInteger(claims.seq) ||
    (claims.seq as number) < 0
  ) {
    throw invalidToken('the claims are malformed');
  }
  return payload as AccessTokenClaims;
}
