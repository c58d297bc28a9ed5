import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { AssuranceLevel } from './access-token.claims.js';

/** How a session is handed to its client. */
export const SESSION_DELIVERIES = ['token'] as const;
export type SessionDelivery = (typeof SESSION_DELIVERIES)[number];

/** Why a session ended. A closed list: the database knows no other. */
export const SESSION_ENDINGS = [
  'logout',
  'ended-by-subject',
  'ended-by-administrator',
  'password-changed',
  'account-disabled',
  'account-deleted',
] as const;
export type SessionEnding = (typeof SESSION_ENDINGS)[number];

export interface Session {
  readonly id: string;
  readonly subject: string;
  readonly clientId: string;
  readonly acr: AssuranceLevel;
  readonly amr: readonly string[];
  /** Seconds since the epoch of the last active authentication. */
  readonly authTime: number;
}

/** A session as the database sees it now, by its own clock. */
export interface StoredSession extends Session {
  readonly ended: boolean;
  readonly expired: boolean;
}

/** `sessions.session`: one row a session, never removed by the application. */
@Injectable()
export class SessionStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  async add(session: Session, delivery: SessionDelivery, lifetimeSeconds: number): Promise<void> {
    const { id, subject, clientId, acr, amr, authTime } = session;
    await this.unitOfWork.query(
      `INSERT INTO sessions.session (id, subject, client_id, delivery, acr, amr, auth_time, expires_at)
       VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7), now() + make_interval(secs => $8))`,
      [id, subject, clientId, delivery, acr, amr, authTime, lifetimeSeconds],
    );
  }

  async byId(id: string): Promise<StoredSession | undefined> {
    const rows = await this.unitOfWork.query<StoredSession>(
      `SELECT id, subject, client_id AS "clientId", acr, amr, extract(epoch FROM auth_time)::float8 AS "authTime",
              ended_at IS NOT NULL AS ended, expires_at <= now() AS expired
         FROM sessions.session WHERE id = $1`,
      [id],
    );
    return rows[0];
  }

  /** Ends a session once: of two who do it at the same moment, one is told so. @returns whether it was this call. */
  async end(id: string, reason: SessionEnding): Promise<boolean> {
    const ended = await this.unitOfWork.query(
      `UPDATE sessions.session SET ended_at = now(), ended_reason = $2
        WHERE id = $1 AND ended_at IS NULL RETURNING id`,
      [id, reason],
    );
    return ended.length === 1;
  }

  /**
   * Ends what is left of a subject's sessions, but for one, and answers with their ids. Locks in the order of ids: two
   * who do it at the same moment wait for each other instead of deadlocking.
   */
  async endAllOf(subject: string, reason: SessionEnding, exceptId: string | undefined): Promise<string[]> {
    const ended = await this.unitOfWork.query<{ id: string }>(
      `UPDATE sessions.session SET ended_at = now(), ended_reason = $2
        WHERE id IN (SELECT id FROM sessions.session
                      WHERE subject = $1 AND ended_at IS NULL AND expires_at > now() AND id IS DISTINCT FROM $3
                      ORDER BY id FOR UPDATE)
        RETURNING id`,
      [subject, reason, exceptId ?? null],
    );
    return ended.map(({ id }) => id);
  }
}
