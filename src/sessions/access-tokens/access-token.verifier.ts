import { Injectable } from '@nestjs/common';
import { Clock } from '../../core/clock.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import type { AccessTokenClaims } from './access-token.claims.js';
import { AccessTokenStrategy } from './access-token.strategy.js';
import { isOwnEncodingOf, parseCompactJws, type CompactJws } from './compact-jws.js';
import { invalidToken, type TokenFault } from '../sessions.errors.js';
import { SessionsSettings } from '../sessions.settings.js';
import { SigningKeys } from '../signing-keys/signing-keys.js';

/** RFC 9068 2.1. */
export const ACCESS_TOKEN_TYPE = 'at+jwt';

/** What a good token says, and which key says so. */
export interface VerifiedToken {
  readonly claims: AccessTokenClaims;
  readonly kid: string;
}

/** Verifies access tokens: form, header, signature, claims, in this order. Whether the session lives comes after. */
@Injectable()
export class AccessTokenVerifier {
  constructor(
    private readonly keys: SigningKeys,
    private readonly settings: SessionsSettings,
    private readonly clock: Clock,
  ) {}

  /**
   * @throws ZeroTrustError `invalid-credentials`, the same for every cause (RFC 6750 3.1); what the database throws
   * when an unknown key was looked for and could not be.
   */
  async verify(token: string): Promise<VerifiedToken> {
    const jws = parseCompactJws(token);
    const kid = keyIdOf(jws);
    const key = await this.keys.find(kid);
    if (!key) throw invalidToken('the signing key is unknown');
    // The key says which algorithm; the header may only agree (RFC 8725 3.1).
    if (jws.header['alg'] !== key.algorithm) throw invalidToken('the algorithm is not the one of the key');
    const { issuer, audience, clockToleranceSeconds } = this.settings;
    const expected = { issuer, audience, clockToleranceSeconds, nowSeconds: this.clock.nowSeconds() };
    try {
      const claims = await new AccessTokenStrategy({ token, payload: jws.payload, key }, expected).run();
      // The text of the key itself: each token has another copy of it.
      return { claims, kid: key.kid };
    } catch (cause) {
      // Whatever goes wrong inside of a library about a token is the token's fault, never a 500.
      throw cause instanceof ZeroTrustError ? cause : invalidToken(faultOf(cause), cause);
    }
  }
}

/**
 * Exactly `alg`, `typ` and `kid`: so `crit`, `b64`, `zip`, `cty` and every header that would bring a key of its own
 * (`jwk`, `jku`, `x5u`, `x5c`) are refused unread.
 */
function keyIdOf({ header, headerBytes }: CompactJws): string {
  const { alg, typ, kid, ...others } = header;
  if (
    typeof alg !== 'string' ||
    typeof kid !== 'string' ||
    Object.keys(others).length > 0 ||
    !isOwnEncodingOf(header, headerBytes)
  ) {
    throw invalidToken('the token header has unknown or missing members');
  }
  if (typ !== ACCESS_TOKEN_TYPE) throw invalidToken('the token is of another type');
  return kid;
}

/** What jsonwebtoken says, in our words. It checks the signature before anything that is named here. */
function faultOf(error: unknown): TokenFault {
  if (!(error instanceof Error)) return 'the signature does not hold';
  if (error.name === 'TokenExpiredError') return 'the token has expired';
  if (error.name === 'NotBeforeError') return 'the token is not valid yet';
  if (error.message.startsWith('jwt audience invalid')) return 'the token is for another audience';
  if (error.message.startsWith('jwt issuer invalid')) return 'the token is from another issuer';
  if (/^invalid (exp|nbf) value$/.test(error.message)) return 'the claims are malformed';
  return 'the signature does not hold';
}
