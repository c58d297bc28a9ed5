import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { Session, SessionEnding, StoredSession } from './session.js';

export const SESSION_COLUMNS = `id, subject, client_id AS "clientId", delivery, acr, amr,
  extract(epoch FROM auth_time)::float8 AS "authTime", ended_at IS NOT NULL AS ended,
  extract(epoch FROM expires_at - clock_timestamp())::float8 AS "secondsLeft",
  (SELECT seq FROM freshness.feed_head)::float8 AS "feedSeq"`;

export interface NewRow extends Session {
  /** Seconds until its absolute end; left out: at the absolute end of the session `successorOf`. */
  readonly lifetimeSeconds?: number;
  readonly successorOf?: string;
  readonly refreshHash: Buffer;
  readonly clientSealed: Buffer | null;
}

/** What its owner may see of a session. */
export interface ListedSession {
  readonly id: string;
  readonly acr: string;
  readonly amr: readonly string[];
  readonly createdAt: Date;
  readonly lastSeenAt: Date;
  readonly clientSealed: Buffer | null;
}

/** `sessions.session`: one row a session, never removed by the application. */
@Injectable()
export class SessionStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** @returns the number of the freshness feed that its first token carries. */
  async add(row: NewRow): Promise<number> {
    const { id, subject, clientId, delivery, acr, amr, authTime, refreshHash, clientSealed } = row;
    const [added] = await this.unitOfWork.query<{ feedSeq: number }>(
      `INSERT INTO sessions.session
         (id, subject, client_id, delivery, acr, amr, auth_time, refresh_hash, client_sealed, expires_at)
       VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7), $8, $9, COALESCE(
         (SELECT expires_at FROM sessions.session WHERE id = $10),
         clock_timestamp() + make_interval(secs => $11)))
       RETURNING (SELECT seq FROM freshness.feed_head)::float8 AS "feedSeq"`,
      [
        ...[id, subject, clientId, delivery, acr, amr, authTime, refreshHash, clientSealed],
        row.successorOf ?? null,
        row.lifetimeSeconds ?? null,
      ],
    );
    return added?.feedSeq ?? Number.NaN;
  }

  async byId(id: string): Promise<StoredSession | undefined> {
    const [row] = await this.unitOfWork.query<StoredSession>(
      `SELECT ${SESSION_COLUMNS} FROM sessions.session WHERE id = $1`,
      [id],
    );
    return row;
  }

  /** What the list of its owner shows: sessions that are alive, the latest first. */
  async listOf(subject: string, idleSeconds: number): Promise<readonly ListedSession[]> {
    return this.unitOfWork.query<ListedSession>(
      `SELECT id, acr, amr, created_at AS "createdAt", last_seen_at AS "lastSeenAt", client_sealed AS "clientSealed"
         FROM sessions.session
        WHERE subject = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()
          AND last_seen_at > clock_timestamp() - make_interval(secs => $2)
        ORDER BY last_seen_at DESC, id LIMIT 1000`,
      [subject, idleSeconds],
    );
  }

  /** Ends a session once: of two who do it at the same moment, one is told whose it was. */
  async end(id: string, reason: SessionEnding, ofSubject?: string): Promise<string | undefined> {
    const [ended] = await this.unitOfWork.query<{ subject: string }>(
      `UPDATE sessions.session SET ended_at = clock_timestamp(), ended_reason = $2
        WHERE id = $1 AND ended_at IS NULL AND subject = COALESCE($3, subject) RETURNING subject`,
      [id, reason, ofSubject ?? null],
    );
    return ended?.subject;
  }

  /**
   * Until the end of the unit of work, whoever else opens, replaces or ends all sessions of a subject waits: none is
   * opened unseen. Taken before the lock of any session, so that nobody waits in a circle.
   */
  async holdSubject(subject: string): Promise<void> {
    await this.unitOfWork.query(`SELECT pg_advisory_xact_lock(hashtextextended('sessions:' || $1, 0))`, [
      subject,
    ]);
  }

  /** Ends what is left of a subject's sessions, but for one, and answers with their ids. Locks in the order of ids. */
  async endAllOf(subject: string, reason: SessionEnding, exceptId: string | undefined): Promise<string[]> {
    const ended = await this.unitOfWork.query<{ id: string }>(
      `UPDATE sessions.session SET ended_at = clock_timestamp(), ended_reason = $2
        WHERE id IN (SELECT id FROM sessions.session
                      WHERE subject = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()
                        AND id IS DISTINCT FROM $3
                      ORDER BY id FOR UPDATE)
        RETURNING id`,
      [subject, reason, exceptId ?? null],
    );
    return ended.map(({ id }) => id);
  }

  /**
   * Ends the sessions of a subject that were seen longest ago, so that no more than `most` are alive, never the one
   * that was just opened (ASVS 7.1.2). Under `holdSubject`: two who open one do so one after the other.
   */
  async cap(subject: string, openedId: string, most: number, idleSeconds: number): Promise<string[]> {
    const ended = await this.unitOfWork.query<{ id: string }>(
      `UPDATE sessions.session SET ended_at = clock_timestamp(), ended_reason = 'too-many-sessions'
        WHERE ended_at IS NULL AND id IN (
          SELECT id FROM sessions.session
           WHERE subject = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()
             AND last_seen_at > clock_timestamp() - make_interval(secs => $3)
           ORDER BY id = $4 DESC, last_seen_at DESC, id DESC OFFSET $2)
        RETURNING id`,
      [subject, most, idleSeconds, openedId],
    );
    return ended.map(({ id }) => id);
  }

  /**
   * When sessions were used, by how long ago: never earlier than what is known, and never again once they were idle
   * for too long. Leaves out what somebody holds at this moment, who ends it or sees it anew: many rows at once must
   * not wait in a circle with whoever ends several.
   */
  async seen(ids: readonly string[], secondsAgo: readonly number[], idleSeconds: number): Promise<void> {
    await this.unitOfWork.query(
      `WITH v AS (
         SELECT id, clock_timestamp() - make_interval(secs => ago) AS at
           FROM unnest($1::uuid[], $2::float8[]) AS u (id, ago)),
       held AS (
         SELECT s.id, v.at FROM sessions.session s JOIN v ON v.id = s.id
          WHERE s.ended_at IS NULL AND s.last_seen_at < v.at
            AND s.last_seen_at > v.at - make_interval(secs => $3)
          FOR UPDATE OF s SKIP LOCKED)
       UPDATE sessions.session s SET last_seen_at = held.at FROM held WHERE s.id = held.id`,
      [ids, secondsAgo, idleSeconds],
    );
  }
}
