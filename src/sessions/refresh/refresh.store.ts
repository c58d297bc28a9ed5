import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../database/unit-of-work.js';
import type { StoredSession } from '../session.js';
import { SESSION_COLUMNS } from '../session.store.js';

/** What must hold of the row for a token to be the current one. */
export interface PresentedGeneration {
  readonly sessionId: string;
  readonly refreshHash: Buffer;
  readonly generation: number;
  readonly clientId: string;
  readonly idleSeconds: number;
}

/** The row as it stands when a token was not the current one. */
export interface RefreshState extends StoredSession {
  readonly generation: number;
  /** Seconds since it came to its generation. */
  readonly secondsSinceRotation: number;
  readonly idle: boolean;
}

/** Rotation in the row of a session. */
@Injectable()
export class RefreshStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /**
   * Moves a session on to its next generation, in one statement: whoever comes second waits for the row, finds
   * another generation there, and changes nothing. @returns undefined when the token is not the current one.
   */
  async rotate(presented: PresentedGeneration): Promise<StoredSession | undefined> {
    const { sessionId, refreshHash, generation, clientId, idleSeconds } = presented;
    const [row] = await this.unitOfWork.query<StoredSession>(
      `UPDATE sessions.session
          SET generation = generation + 1, rotated_at = clock_timestamp(), last_seen_at = clock_timestamp()
        WHERE id = $1 AND refresh_hash = $2 AND generation = $3 AND client_id = $4
          AND ended_at IS NULL AND expires_at > clock_timestamp()
          AND last_seen_at > clock_timestamp() - make_interval(secs => $5)
        RETURNING ${SESSION_COLUMNS}`,
      [sessionId, refreshHash, generation, clientId, idleSeconds],
    );
    return row;
  }

  /** The row of a family, whatever its state; `lock` holds it until the unit of work ends. */
  async stateOf(presented: PresentedGeneration, lock: boolean): Promise<RefreshState | undefined> {
    const { sessionId, refreshHash, clientId, idleSeconds } = presented;
    const [row] = await this.unitOfWork.query<RefreshState>(
      `SELECT ${SESSION_COLUMNS}, generation,
              extract(epoch FROM clock_timestamp() - rotated_at)::float8 AS "secondsSinceRotation",
              last_seen_at <= clock_timestamp() - make_interval(secs => $4) AS idle
         FROM sessions.session
        WHERE id = $1 AND refresh_hash = $2 AND client_id = $3 ${lock ? 'FOR UPDATE' : ''}`,
      [sessionId, refreshHash, clientId, idleSeconds],
    );
    return row;
  }
}
