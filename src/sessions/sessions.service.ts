import { Injectable } from '@nestjs/common';
import { isAssuranceLevel, type AssuranceLevel } from '../core/assurance.js';
import { Clock } from '../core/clock.js';
import { SecurityEvents } from '../core/security-events.js';
import { uuidV7 } from '../core/uuid-v7.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { FreshnessFeed } from '../freshness/freshness.feed.js';
import { isClientId, isMethodList, isUuid } from './access-tokens/access-token.claims.js';
import { FIRST_PARTY } from './refresh/refresh.service.js';
import { hashOfSecret, newFamilySecret } from './refresh/refresh-token.js';
import { SessionClients, type SessionClient } from './session-client.js';
import { SessionIssuer, type IssuedTokens } from './session.issuer.js';
import { SESSION_DELIVERIES, type Session, type SessionDelivery, type SessionEnding } from './session.js';
import { SessionStore } from './session.store.js';
import { SessionsSettings } from './sessions.settings.js';

/** Who has just proved to be whom, and how. */
export interface NewSession {
  /** A stable, pseudonymous UUID in lower case. Never an e-mail address. */
  readonly subject: string;
  /** The client that it is for, up to 128 printable characters. @default 'first-party' */
  readonly clientId?: string;
  /** NIST SP 800-63B, e.g. `aal1`. */
  readonly acr: AssuranceLevel;
  /** RFC 8176, e.g. `['pwd']`. */
  readonly amr: readonly string[];
  /** How it is handed over: as tokens in the answer's body, or as cookies. */
  readonly delivery: SessionDelivery;
}

/** The tokens of a session that was opened. Hand them out once its unit of work has committed. */
export type OpenedSession = IssuedTokens & { readonly delivery: SessionDelivery };

/** A session as its owner sees it. */
export interface OwnSession extends SessionClient {
  readonly id: string;
  readonly acr: string;
  readonly amr: readonly string[];
  readonly createdAt: Date;
  /** When it was last used, to the minute. */
  readonly lastSeenAt: Date;
}

/** Opens, lists and ends sessions. Each change and its event commit together or not at all, and is felt everywhere. */
@Injectable()
export class SessionsService {
  constructor(
    private readonly store: SessionStore,
    private readonly issuer: SessionIssuer,
    private readonly clients: SessionClients,
    private readonly settings: SessionsSettings,
    private readonly unitOfWork: UnitOfWork,
    private readonly feed: FreshnessFeed,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
  ) {}

  /**
   * Opens a session for a subject that has just authenticated, always with an id and secrets of its own (ASVS 7.2.4).
   * Call it inside the unit of work that holds the subject's account, so that nobody is disabled meanwhile, and hold it
   * before: whatever opens, replaces or ends all sessions of one subject comes one after the other from here on. Hand the
   * tokens out when that has committed: before, they open nothing. The session that was seen longest ago ends when
   * there would be more than `maxSessionsPerSubject`.
   *
   * @throws TypeError when what it is given is not as `NewSession` says.
   */
  async open(opening: NewSession): Promise<OpenedSession> {
    this.#assertOpening(opening);
    const { subject, clientId = FIRST_PARTY, acr, amr, delivery } = opening;
    return this.unitOfWork.run(async () => {
      await this.store.holdSubject(subject);
      return this.#add({ subject, clientId, acr, amr, delivery });
    });
  }

  /**
   * Replaces a session by a new one that says how its subject has authenticated just now (step-up): same subject,
   * client, delivery and absolute end, new ids and tokens; the old ones are dead (ASVS 7.2.4). Inside the unit of work
   * that holds the subject's account, as `open`.
   *
   * @throws ZeroTrustError `invalid-credentials` when the session is over meanwhile.
   */
  async replace(sessionId: string, { acr, amr }: Pick<NewSession, 'acr' | 'amr'>): Promise<OpenedSession> {
    return this.unitOfWork.run(async () => {
      const found = await this.store.byId(sessionId);
      if (found) await this.store.holdSubject(found.subject);
      const replaced = await this.store.byId(sessionId);
      // In its last second there is no time left for another.
      const isAlive = replaced && !replaced.ended && replaced.secondsLeft > 1;
      if (!isAlive || !(await this.#end(sessionId, 'stepped-up'))) {
        throw new ZeroTrustError('invalid-credentials', { detail: 'the session to replace is over' });
      }
      const { subject, clientId, delivery } = replaced;
      this.#assertOpening({ subject, clientId, acr, amr, delivery });
      return this.#add({ subject, clientId, acr, amr, delivery }, sessionId);
    });
  }

  /** The living sessions of a subject, the latest first. */
  async listOf(subject: string): Promise<readonly OwnSession[]> {
    const rows = await this.store.listOf(subject, this.settings.idleLifetimeSeconds);
    return Promise.all(
      rows.map(async ({ clientSealed, ...row }) => ({
        ...row,
        ...(await this.clients.open(row.id, clientSealed)),
      })),
    );
  }

  /** Ends a session: from its commit on, every token of it is dead. Once more does nothing. @returns whether it did. */
  async end(sessionId: string, reason: SessionEnding): Promise<boolean> {
    return this.unitOfWork.run(() => this.#end(sessionId, reason));
  }

  /** Ends a session if it is the subject's own. @returns whether it was, and was alive. */
  async endOwn(subject: string, sessionId: string): Promise<boolean> {
    return this.unitOfWork.run(() => this.#end(sessionId, 'ended-by-subject', subject));
  }

  /**
   * Ends every session of a subject, but for one if it is named (the one that changes the password lives on), also
   * those that are being opened or replaced at this moment. Whoever signs in afterwards is another matter: hold the
   * subject's account where that must not be.
   *
   * @returns how many it ended.
   */
  async endAllOf(subject: string, reason: SessionEnding, exceptSessionId?: string): Promise<number> {
    return this.unitOfWork.run(async () => {
      // A UUID may be written in capitals; tokens, locks and the feed know the one spelling of PostgreSQL.
      const id = subject.toLowerCase();
      await this.store.holdSubject(id);
      const ended = await this.store.endAllOf(id, reason, exceptSessionId);
      // One entry for all where nobody is spared; it also covers what was minted for sessions that nobody remembers.
      await (exceptSessionId === undefined
        ? this.feed.append({ kind: 'subject', id })
        : this.feed.append(...ended.map((id) => ({ kind: 'session', id }) as const)));
      for (const id of ended) await this.#publishEnd(id, reason);
      return ended.length;
    });
  }

  async #add(session: Omit<Session, 'id' | 'authTime'>, successorOf?: string): Promise<OpenedSession> {
    const id = uuidV7(this.clock.nowMs());
    const opened: Session = { ...session, id, authTime: this.clock.nowSeconds() };
    const secret = newFamilySecret();
    const feedSeq = await this.store.add({
      ...opened,
      ...(successorOf === undefined
        ? { lifetimeSeconds: this.settings.absoluteLifetimeSeconds }
        : { successorOf }),
      refreshHash: hashOfSecret(secret),
      clientSealed: await this.clients.sealedFor(id),
    });
    const { subject, acr, amr, clientId, delivery } = opened;
    await this.events.publish({
      action: 'session.opened',
      outcome: 'success',
      delivery: 'same-transaction',
      actor: subject,
      target: { type: 'session', id },
      detail: { acr, amr: amr.join(' '), clientId, delivery, ...(successorOf && { successorOf }) },
    });
    const { maxSessionsPerSubject, idleLifetimeSeconds } = this.settings;
    for (const oldest of await this.store.cap(subject, id, maxSessionsPerSubject, idleLifetimeSeconds)) {
      await this.#announceEnd(oldest, 'too-many-sessions');
    }
    const issued = await this.issuer.issue(opened, feedSeq, { sessionId: id, secret, generation: 0 });
    return { ...issued, delivery };
  }

  async #end(sessionId: string, reason: SessionEnding, ofSubject?: string): Promise<boolean> {
    const subject = await this.store.end(sessionId, reason, ofSubject);
    if (subject === undefined) return false;
    // Logging out asks for no principal: the token says whose session it is.
    await this.#announceEnd(sessionId.toLowerCase(), reason, reason === 'logout' ? subject : undefined);
    return true;
  }

  async #announceEnd(id: string, reason: SessionEnding, actor?: string): Promise<void> {
    await this.feed.append({ kind: 'session', id });
    await this.#publishEnd(id, reason, actor);
  }

  #publishEnd(id: string, reason: SessionEnding, actor?: string): Promise<void> {
    const target = { type: 'session', id };
    return this.events.publish({
      action: 'session.ended',
      outcome: 'success',
      delivery: 'same-transaction',
      ...(actor !== undefined && { actor }),
      target,
      reason,
    });
  }

  #assertOpening({ subject, clientId = FIRST_PARTY, acr, amr, delivery }: NewSession): void {
    const faults = [
      !isUuid(subject) && 'subject: give a UUID in lower case',
      !isClientId(clientId) && 'clientId: give up to 128 printable characters without spaces',
      !isAssuranceLevel(acr) && 'acr: give aal1, aal2 or aal3',
      !isMethodList(amr) && 'amr: give one to eight methods of RFC 8176',
      !SESSION_DELIVERIES.includes(delivery) && `delivery: give ${SESSION_DELIVERIES.join(' or ')}`,
      delivery === 'cookie' &&
        !this.settings.cookies &&
        'delivery: cookies are off (SessionsOptions.cookies)',
    ].filter((fault) => fault !== false);
    if (faults.length > 0) throw new TypeError(`SessionsService.open: ${faults.join('; ')}.`);
  }
}
