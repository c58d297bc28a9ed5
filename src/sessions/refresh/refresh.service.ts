import { Injectable } from '@nestjs/common';
import { SecurityEvents } from '../../core/security-events.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { FreshnessFeed } from '../../freshness/freshness.feed.js';
import { ProofRefusals } from '../access-tokens/proof-refusals.js';
import { hashOfSecret, readRefreshToken, type RefreshToken } from './refresh-token.js';
import { RefreshStore, type PresentedGeneration, type RefreshState } from './refresh.store.js';
import type { SessionDelivery, StoredSession } from '../session.js';
import { SessionIssuer, type IssuedTokens } from '../session.issuer.js';
import { SessionStore } from '../session.store.js';
import { invalidToken, type TokenFault } from '../sessions.errors.js';
import { SessionsSettings } from '../sessions.settings.js';

/** `client_id` of sessions that the application opens for its own front end. */
export const FIRST_PARTY = 'first-party';

/** What a token that is not the current one turns out to be, under the lock of its session. */
type Judgement =
  { readonly retry: StoredSession } | { readonly over: TokenFault } | { readonly reuse: TokenFault };

/** Refresh token rotation with reuse detection (RFC 9700 4.14.2, ASVS 10.4.5). */
@Injectable()
export class RefreshService {
  constructor(
    private readonly store: RefreshStore,
    private readonly sessions: SessionStore,
    private readonly issuer: SessionIssuer,
    private readonly settings: SessionsSettings,
    private readonly unitOfWork: UnitOfWork,
    private readonly feed: FreshnessFeed,
    private readonly events: SecurityEvents,
    private readonly refusals: ProofRefusals,
  ) {}

  /**
   * Exchanges a refresh token for new tokens of the same session. Of any number who present the same token at once,
   * on whatever replicas, one moves the session on, and all get the one successor. So does a retry of the directly
   * preceding token for `refreshRetrySeconds`; later, and for any older generation, it is reuse: the session ends.
   *
   * @throws ZeroTrustError `invalid-credentials`, the same for every cause. `temporarily-unavailable` when the
   * database cannot say: nothing has changed then, or a retry gets what was lost.
   */
  async refresh(text: string, delivery: SessionDelivery, clientId = FIRST_PARTY): Promise<IssuedTokens> {
    const token = readRefreshToken(text, delivery, this.issuer.refreshKey);
    if (!token) return this.refusals.refuse('the refresh token is not one of ours');
    await this.issuer.assertCanSign();
    const presented = this.#presented(token, clientId);
    const session = await this.store.rotate(presented);
    return session ? this.#issue(session, token) : this.#judgeOther(token, presented);
  }

  /** The session that a refresh token belongs to, whichever generation it is; for what ends it. */
  sessionIdOf(text: string, delivery: SessionDelivery): string | undefined {
    return readRefreshToken(text, delivery, this.issuer.refreshKey)?.sessionId;
  }

  /** It was not the current one: a retry, reuse, or a session that is over. */
  async #judgeOther(token: RefreshToken, presented: PresentedGeneration): Promise<IssuedTokens> {
    const state = await this.store.stateOf(presented, false);
    if (!state || isOver(state)) return this.refusals.refuse(faultOf(state), token.sessionId);
    if (this.#isRetry(token, state)) return this.#issue(state, token);
    if (token.generation === state.generation) {
      // It is the current one after all: it was over a moment ago, and now is not (a sighting came in, or a clock was
      // set). Whatever that is, it is not reuse.
      const detail = 'the session changed while it was looked at';
      throw new ZeroTrustError('temporarily-unavailable', { detail });
    }
    return this.#endFamily(token, presented);
  }

  /** In a transaction of its own, which the refusal does not roll back. */
  async #endFamily(token: RefreshToken, presented: PresentedGeneration): Promise<IssuedTokens> {
    const judged = await this.unitOfWork.runDetached<Judgement>(async () => {
      // Under the lock of the row: what was read before may have moved on.
      const state = await this.store.stateOf(presented, true);
      if (!state || isOver(state)) return { over: faultOf(state) };
      if (this.#isRetry(token, state)) return { retry: state };
      await this.sessions.end(state.id, 'refresh-reuse');
      await this.feed.append({ kind: 'session', id: state.id });
      const fault: TokenFault =
        token.generation < state.generation
          ? 'the refresh token was used before'
          : 'the refresh token is newer than its session';
      await this.events.publish({
        action: 'session.reuse-detected',
        outcome: 'failure',
        delivery: 'same-transaction',
        actor: state.subject,
        target: { type: 'session', id: state.id },
        reason: fault,
        detail: { presented: token.generation, current: state.generation, clientId: state.clientId },
      });
      return { reuse: fault };
    });
    if ('retry' in judged) return this.#issue(judged.retry, token);
    if ('over' in judged) return this.refusals.refuse(judged.over, token.sessionId);
    // Reuse has an event of its own already.
    throw invalidToken(judged.reuse);
  }

  /** Its successor was handed out a moment ago: the answer was lost, or two asked at once. */
  #isRetry(token: RefreshToken, { generation, secondsSinceRotation }: RefreshState): boolean {
    return generation === token.generation + 1 && secondsSinceRotation <= this.settings.refreshRetrySeconds;
  }

  #issue(session: StoredSession, { sessionId, secret, generation }: RefreshToken): Promise<IssuedTokens> {
    return this.issuer.issue(session, session.feedSeq, { sessionId, secret, generation: generation + 1 });
  }

  #presented({ sessionId, secret, generation }: RefreshToken, clientId: string): PresentedGeneration {
    const { idleLifetimeSeconds: idleSeconds } = this.settings;
    return { sessionId, refreshHash: hashOfSecret(secret), generation, clientId, idleSeconds };
  }
}

function isOver({ ended, secondsLeft, idle }: RefreshState): boolean {
  return ended || secondsLeft <= 0 || idle;
}

function faultOf(state: RefreshState | undefined): TokenFault {
  if (!state) return 'the session is unknown';
  if (state.ended) return 'the session has ended';
  return state.secondsLeft <= 0 ? 'the session has expired' : 'the session was idle for too long';
}
