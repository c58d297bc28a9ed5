import { Injectable, type ExecutionContext } from '@nestjs/common';
import { performance } from 'node:perf_hooks';
import { Authenticator } from '../../core/authenticator.js';
import { Clock } from '../../core/clock.js';
import type { Principal } from '../../core/principal.js';
import { RememberedPrincipal } from '../../core/principal-note.js';
import { isReconsidered } from '../../core/connections/reconsideration.js';
import type { RequestContext } from '../../core/request-context.js';
import { isStrictlyFresh } from '../../core/strict-freshness.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { FreshnessFeed } from '../../freshness/freshness.feed.js';
import type { AccessTokenClaims } from './access-token.claims.js';
import { AccessTokenVerifier } from './access-token.verifier.js';
import { presentedTokenOf, type PresentedToken } from './presented-token.js';
import { RememberedTokens, type RememberedToken, type TokenKey } from './remembered-tokens.js';
import { SEEN_EVERY_MS, SessionActivity } from '../session-activity.js';
import type { StoredSession } from '../session.js';
import { SessionStore } from '../session.store.js';
import { invalidToken } from '../sessions.errors.js';
import { SessionsSettings } from '../sessions.settings.js';
import type { VerificationKey } from '../signing-keys/signing-key.js';
import { SigningKeys } from '../signing-keys/signing-keys.js';

/**
 * Proves who is asking: a valid access token of a session that is alive now. The first time, signature and session are
 * checked; from then on a token that is remembered costs a hash and a few look-ups, as long as the freshness feed says
 * that nothing was revoked. When that cannot be known, the pipeline refuses with 503: it never guesses.
 */
@Injectable()
export class AccessTokenAuthenticator extends Authenticator {
  readonly #remembered: RememberedTokens;

  constructor(
    private readonly verifier: AccessTokenVerifier,
    private readonly sessions: SessionStore,
    private readonly activity: SessionActivity,
    private readonly keys: SigningKeys,
    private readonly feed: FreshnessFeed,
    private readonly settings: SessionsSettings,
    private readonly clock: Clock,
  ) {
    super();
    this.#remembered = new RememberedTokens(settings.rememberedTokens);
    feed.onReset(() => {
      this.#remembered.clear();
    });
  }

  authenticate(
    execution: ExecutionContext,
    context?: RequestContext,
  ): Principal | undefined | Promise<Principal> {
    let key: TokenKey | undefined;
    let known: RememberedToken | undefined;
    const presented = presentedTokenOf(execution, this.settings.cookies, (token) => {
      key = RememberedTokens.keyOf(token);
      known = this.#remembered.get(key);
      return known !== undefined;
    });
    if (!presented) return undefined;
    const strict = this.settings.freshness === 'database' || isStrictlyFresh(execution.getHandler());
    // Of what is only still open nothing was asked: an idle session ends all the same.
    const used = !context || !isReconsidered(context);
    if (key && known && !strict) return this.#proveKnown(known, key, presented, used);
    return this.prove(presented, strict, used, key);
  }

  /** Proves one token. `strict` asks the database, whatever is remembered; `used` counts it as a use of the session. */
  prove(
    presented: PresentedToken,
    strict: boolean,
    used = true,
    key = RememberedTokens.keyOf(presented.token),
  ): Principal | Promise<Principal> {
    const known = strict ? undefined : this.#remembered.get(key);
    return known ? this.#proveKnown(known, key, presented, used) : this.#proveAnew(presented, key);
  }

  #proveKnown(
    known: RememberedToken,
    key: TokenKey,
    presented: PresentedToken,
    used: boolean,
  ): Principal | Promise<Principal> {
    // A key that was given up, or has come to its end, takes what it signed with it.
    const nowMs = performance.now();
    const signedBy = this.keys.find(known.kid, nowMs);
    if (signedBy instanceof Promise || !this.feed.isFresh(nowMs)) {
      return this.#confirmed(known, key, presented, signedBy, used);
    }
    return this.#admit(known, key, presented, signedBy, used, nowMs);
  }

  async #confirmed(
    known: RememberedToken,
    key: TokenKey,
    presented: PresentedToken,
    signedBy: ReturnType<SigningKeys['find']>,
    used: boolean,
  ): Promise<Principal> {
    // Both at once: neither may fail while nobody looks.
    const confirming = this.feed.isFresh() ? undefined : this.feed.confirm();
    const [found] = await Promise.all([signedBy, confirming]);
    // What was remembered may be of a history that the database does not have any more.
    if (this.#remembered.get(key) !== known) return this.#proveAnew(presented, key);
    return this.#admit(known, key, presented, found, used);
  }

  #admit(
    known: RememberedToken,
    key: TokenKey,
    { delivery }: PresentedToken,
    signedBy: VerificationKey | undefined,
    used: boolean,
    nowMs = performance.now(),
  ): Principal {
    if (!signedBy) {
      this.#remembered.forget(key);
      throw invalidToken('the signing key is unknown');
    }
    if (this.feed.revoked(known)) {
      this.#remembered.forget(key);
      throw invalidToken('the token was revoked');
    }
    if (nowMs >= known.endsAtMs || this.clock.nowSeconds() >= known.endsAtSeconds) {
      this.#remembered.forget(key);
      throw invalidToken('the token has expired');
    }
    if (known.delivery !== delivery) throw invalidToken('the token was handed over in another way');
    if (used && nowMs - known.seenAtMs >= SEEN_EVERY_MS) {
      known.seenAtMs = Math.floor(nowMs);
      this.activity.seen(known.sessionId);
    }
    return known.principal;
  }

  async #proveAnew(presented: PresentedToken, key: TokenKey, isFirst = true): Promise<Principal> {
    const { claims, kid } = await this.verifier.verify(presented.token);
    const { version } = this.#remembered;
    const askedAtMs = performance.now();
    const session = await this.sessions.byId(claims.sid);
    if (!session) throw invalidToken('the session is unknown');
    if (session.ended) throw invalidToken('the session has ended');
    if (session.secondsLeft <= 0) throw invalidToken('the session has expired');
    // A token must not say more, or less, of its session than the session itself does.
    if (!agrees(claims, session)) throw invalidToken('the token contradicts its session');
    if (session.delivery !== presented.delivery)
      throw invalidToken('the token was handed over in another way');
    const known = this.#known(claims, kid, session, askedAtMs);
    // The session lives; its subject or client may have been revoked since the token was minted.
    if (!this.feed.isFresh()) await this.feed.confirm();
    if (this.feed.revoked(known)) throw invalidToken('the token was revoked');
    if (version !== this.#remembered.version) {
      // Read of a history that is gone: what the database has now is asked again, once.
      if (isFirst) return this.#proveAnew(presented, key, false);
      const detail = 'the database changes its history';
      throw new ZeroTrustError('temporarily-unavailable', { detail });
    }
    this.#remembered.add(key, known, version);
    return known.principal;
  }

  #known(claims: AccessTokenClaims, kid: string, session: StoredSession, askedAtMs: number): RememberedToken {
    const { id: sessionId, subject, clientId, acr, amr, authTime } = session;
    // One text for all sessions, and not what each was read with.
    const delivery = session.delivery === 'cookie' ? 'cookie' : 'token';
    const endsAtSeconds = claims.exp + this.settings.clockToleranceSeconds;
    const secondsLeft = Math.min(session.secondsLeft, endsAtSeconds - this.clock.nowSeconds());
    return {
      ...{ sessionId, subject, clientId, delivery, kid, feedSeq: claims.seq, clearAsOf: -1 },
      principal: new RememberedPrincipal({
        kind: 'account',
        subject,
        sessionId,
        clientId,
        acr,
        amr,
        authTime,
      }),
      endsAtSeconds,
      // Whole numbers lie in the object itself, others beside it.
      endsAtMs: Math.floor(askedAtMs + secondsLeft * 1000),
      seenAtMs: Math.floor(askedAtMs),
    };
  }
}

function agrees(claims: AccessTokenClaims, session: StoredSession): boolean {
  return (
    claims.sub === session.subject &&
    claims.client_id === session.clientId &&
    claims.acr === session.acr &&
    claims.auth_time === session.authTime &&
    claims.amr.join(' ') === session.amr.join(' ') &&
    // Minted in the future of this very database: it was restored since, and its revocations are gone with it.
    claims.seq <= session.feedSeq
  );
}
