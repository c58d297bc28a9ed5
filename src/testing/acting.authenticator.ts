import type { ExecutionContext } from '@nestjs/common';
import { Authenticator } from '../core/authenticator.js';
import type { Clock } from '../core/clock.js';
import type { Principal } from '../core/principal.js';
import type { RequestContext } from '../core/request-context.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { presentedTokenOf, type PresentedToken } from '../sessions/access-tokens/presented-token.js';
import { principalOf } from './acting.js';
import { CREDENTIAL_PREFIX, madeUnder } from './acting.credentials.js';
import { assertTestEnvironment } from './test-environment.js';

interface Known {
  readonly principal: Principal;
  readonly endsAtSeconds: number;
}

/** Proves whom `actingAs` has made; whatever else a request carries is for the application's own authenticator, if any. */
export class ActingAuthenticator extends Authenticator {
  /** Who has asked this application, since their first request. */
  readonly #known = new Map<string, Known>();

  constructor(
    private readonly clock: Clock,
    private readonly own?: Authenticator,
  ) {
    super();
    assertTestEnvironment();
  }

  authenticate(
    execution: ExecutionContext,
    context: RequestContext,
  ): Principal | undefined | Promise<Principal | undefined> {
    const presented = this.#presented(execution);
    // As a header alone: a cookie is what a browser sends for whatever page asks it to.
    if (presented?.delivery === 'token' && presented.token.startsWith(CREDENTIAL_PREFIX)) {
      return this.#prove(presented.token);
    }
    if (this.own) return this.own.authenticate(execution, context);
    if (!presented) return undefined;
    throw refused('the credential is none of actingAs()');
  }

  /** With an authenticator of the application beside, what is malformed is for that one to refuse. */
  #presented(execution: ExecutionContext): PresentedToken | undefined {
    try {
      return presentedTokenOf(execution, true);
    } catch (error) {
      if (!this.own) throw error;
      return undefined;
    }
  }

  #prove(credential: string): Principal {
    assertTestEnvironment();
    const as = madeUnder(credential);
    if (!as) throw refused('the credential was not made in this process');
    const nowSeconds = this.clock.nowSeconds();
    let known = this.#known.get(credential);
    if (!known) {
      const { expiresInSeconds = Number.POSITIVE_INFINITY } = as;
      known = { principal: principalOf(as, nowSeconds), endsAtSeconds: nowSeconds + expiresInSeconds };
      this.#known.set(credential, known);
    }
    if (nowSeconds >= known.endsAtSeconds) throw refused('the credential has expired');
    return known.principal;
  }
}

/** As a refused access token looks to its caller (RFC 6750 3.1). */
function refused(detail: string): ZeroTrustError {
  const headers = { 'WWW-Authenticate': 'Bearer error="invalid_token"' };
  return new ZeroTrustError('invalid-credentials', { detail, headers });
}
