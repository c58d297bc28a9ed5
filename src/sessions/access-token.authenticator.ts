import { Injectable, type ExecutionContext } from '@nestjs/common';
import { Authenticator } from '../core/authenticator.js';
import type { Principal } from '../core/principal.js';
import type { AccessTokenClaims } from './access-token.claims.js';
import { AccessTokenVerifier } from './access-token.verifier.js';
import { bearerTokenOf } from './bearer-token.js';
import { SessionStore, type StoredSession } from './session.store.js';
import { invalidToken } from './sessions.errors.js';

/**
 * Proves who is asking: a valid access token of a session that is alive now. The session is read for every request, so
 * a logout is felt by the next one (ASVS 7.4.1). When it cannot be read, the pipeline refuses with 503.
 */
@Injectable()
export class AccessTokenAuthenticator extends Authenticator {
  constructor(
    private readonly verifier: AccessTokenVerifier,
    private readonly sessions: SessionStore,
  ) {
    super();
  }

  authenticate(execution: ExecutionContext): undefined | Promise<Principal> {
    const token = bearerTokenOf(execution);
    return token === undefined ? undefined : this.#prove(token);
  }

  async #prove(token: string): Promise<Principal> {
    const claims = await this.verifier.verify(token);
    const session = await this.sessions.byId(claims.sid);
    if (!session) throw invalidToken('the session is unknown');
    if (session.ended) throw invalidToken('the session has ended');
    if (session.expired) throw invalidToken('the session has expired');
    // A token must not say more, or less, of its session than the session itself does.
    if (!agrees(claims, session)) throw invalidToken('the token contradicts its session');
    const { id: sessionId, subject, clientId, acr, amr, authTime } = session;
    return { kind: 'account', subject, sessionId, clientId, acr, amr, authTime };
  }
}

function agrees(claims: AccessTokenClaims, session: StoredSession): boolean {
  return (
    claims.sub === session.subject &&
    claims.client_id === session.clientId &&
    claims.acr === session.acr &&
    claims.auth_time === session.authTime &&
    claims.amr.join(' ') === session.amr.join(' ')
  );
}
