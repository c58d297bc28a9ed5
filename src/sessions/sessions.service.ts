import { Injectable } from '@nestjs/common';
import { Clock } from '../core/clock.js';
import { SecurityEvents } from '../core/security-events.js';
import { uuidV7 } from '../core/uuid-v7.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import {
  isAssuranceLevel,
  isClientId,
  isMethodList,
  isUuid,
  type AssuranceLevel,
} from './access-token.claims.js';
import { AccessTokenMinter } from './access-token.minter.js';
import {
  SESSION_DELIVERIES,
  SessionStore,
  type Session,
  type SessionDelivery,
  type SessionEnding,
} from './session.store.js';
import { SessionsSettings } from './sessions.settings.js';
import { SigningKeys } from './signing-keys.js';

/** `client_id` of sessions that the application opens for its own front end. */
export const FIRST_PARTY = 'first-party';

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
  /** How it is handed over: as a token in the answer's body. */
  readonly delivery: SessionDelivery;
}

/** A session that was just opened, with the proof that its owner gets once. */
export interface OpenedSession {
  readonly sessionId: string;
  readonly accessToken: string;
  readonly expiresInSeconds: number;
}

/** Opens and ends sessions. Each change and its event commit together or not at all. */
@Injectable()
export class SessionsService {
  constructor(
    private readonly store: SessionStore,
    private readonly keys: SigningKeys,
    private readonly minter: AccessTokenMinter,
    private readonly settings: SessionsSettings,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
  ) {}

  /**
   * Opens a session for a subject that has just authenticated, always with an id of its own (ASVS 7.2.4). Call it
   * inside the unit of work that holds the subject's account, so that nobody is disabled meanwhile; hand the token out
   * when that has committed: before, it opens nothing.
   *
   * @throws TypeError when what it is given is not as `NewSession` says.
   */
  async open(opening: NewSession): Promise<OpenedSession> {
    assertOpening(opening);
    const { subject, clientId = FIRST_PARTY, acr, amr, delivery } = opening;
    return this.unitOfWork.run(async () => {
      const id = uuidV7(this.clock.nowMs());
      const session: Session = { id, subject, clientId, acr, amr, authTime: this.clock.nowSeconds() };
      await this.store.add(session, delivery, this.settings.absoluteLifetimeSeconds);
      await this.events.publish({
        action: 'session.opened',
        outcome: 'success',
        delivery: 'same-transaction',
        actor: subject,
        target: { type: 'session', id },
        detail: { acr, amr: amr.join(' '), clientId, delivery },
      });
      return {
        sessionId: id,
        accessToken: this.minter.mint(session, await this.keys.active()),
        expiresInSeconds: this.settings.accessTokenTtlSeconds,
      };
    });
  }

  /** Ends a session: from its commit on, every token of it is dead. Once more does nothing. @returns whether it did. */
  async end(sessionId: string, reason: SessionEnding): Promise<boolean> {
    return this.unitOfWork.run(async () => {
      const ended = await this.store.end(sessionId, reason);
      if (ended) await this.#publishEnd(sessionId, reason);
      return ended;
    });
  }

  /**
   * Ends every session of a subject, but for one if it is named (the one that changes the password lives on). A
   * session that is being opened at this moment is only seen once it has committed: hold the subject's account.
   *
   * @returns how many it ended.
   */
  async endAllOf(subject: string, reason: SessionEnding, exceptSessionId?: string): Promise<number> {
    return this.unitOfWork.run(async () => {
      const ended = await this.store.endAllOf(subject, reason, exceptSessionId);
      for (const id of ended) await this.#publishEnd(id, reason);
      return ended.length;
    });
  }

  #publishEnd(id: string, reason: SessionEnding): Promise<void> {
    const target = { type: 'session', id };
    return this.events.publish({
      action: 'session.ended',
      outcome: 'success',
      delivery: 'same-transaction',
      target,
      reason,
    });
  }
}

function assertOpening({ subject, clientId = FIRST_PARTY, acr, amr, delivery }: NewSession): void {
  const faults = [
    !isUuid(subject) && 'subject: give a UUID in lower case',
    !isClientId(clientId) && 'clientId: give up to 128 printable characters without spaces',
    !isAssuranceLevel(acr) && 'acr: give aal1, aal2 or aal3',
    !isMethodList(amr) && 'amr: give one to eight methods of RFC 8176',
    !SESSION_DELIVERIES.includes(delivery) && `delivery: give ${SESSION_DELIVERIES.join(' or ')}`,
  ].filter((fault) => fault !== false);
  if (faults.length > 0) throw new TypeError(`SessionsService.open: ${faults.join('; ')}.`);
}
