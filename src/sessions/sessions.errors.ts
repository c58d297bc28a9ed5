import { ZeroTrustError } from '../core/zero-trust-error.js';

/** Why a presented token was refused: for log and audit alone (ASVS 16.5.1). A closed list of phrases. */
export type TokenFault =
  | 'the Authorization header is malformed'
  | 'several Authorization headers were sent'
  | 'several cookies of one name were sent'
  | 'a token was sent in the query'
  | 'the token is too long'
  | 'the token is not in compact form'
  | 'the token header has unknown or missing members'
  | 'the token is of another type'
  | 'the algorithm is not the one of the key'
  | 'the signing key is unknown'
  | 'the signature does not hold'
  | 'the token has expired'
  | 'the token is not valid yet'
  | 'the token is for another audience'
  | 'the token is from another issuer'
  | 'the claims are malformed'
  | 'the session is unknown'
  | 'the session has ended'
  | 'the session has expired'
  | 'the session was idle for too long'
  | 'the token was revoked'
  | 'the token was handed over in another way'
  | 'the token contradicts its session'
  | 'no refresh token was presented'
  | 'the refresh token is not one of ours'
  | 'the refresh token was used before'
  | 'the refresh token is newer than its session';

const CHALLENGE = { 'WWW-Authenticate': 'Bearer error="invalid_token"' };

/** Every refused token looks the same to its caller: code, status and challenge (RFC 6750 3.1). */
export function invalidToken(fault: TokenFault, cause?: unknown): ZeroTrustError {
  return new ZeroTrustError('invalid-credentials', { detail: fault, cause, headers: CHALLENGE });
}

/** Two proofs in one request: nobody could say which of them says who is asking. */
export function ambiguousCredentials(
  detail:
    | 'a bearer token and a cookie were sent'
    | 'a refresh token was sent in the body and as a cookie'
    | 'one token was sent as a cookie and the other one was not',
): ZeroTrustError {
  return new ZeroTrustError('ambiguous-credentials', { detail });
}
