import { Injectable } from '@nestjs/common';
import { ControlConnection } from '../../database/control-connection.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import type { AgedKey } from './signing-key.schedule.js';
import type { PublicJwk, SigningAlgorithm, SigningKeyState } from './signing-key.js';

/** A row of `sessions.signing_key` that may sign or verify, with its ages by the database's clock. */
export interface StoredSigningKey extends AgedKey {
  readonly privateSealed: Buffer;
}

/** A key that is about to be stored. */
export interface NewSigningKey {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly publicJwk: PublicJwk;
  readonly privateSealed: Buffer;
}

/** What people may see of a key that counts. */
export interface SigningKeySummary {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly state: SigningKeyState;
  readonly createdAt: Date;
  readonly activatedAt: Date | null;
  /** Null as long as it has no end. */
  readonly acceptedUntil: Date | null;
}

/** "ztkeys" as a number: the advisory lock under which the keys change. */
const LOCK = 134_640_436_607_347;

const COUNTS = "(state <> 'retired' OR accepted_until > clock_timestamp())";

const USABLE = `
  SELECT kid, algorithm, private_sealed AS "privateSealed", state,
         extract(epoch FROM clock_timestamp() - created_at)::float8 AS "publishedSeconds",
         extract(epoch FROM clock_timestamp() - activated_at)::float8 AS "activeSeconds"
    FROM sessions.signing_key WHERE ${COUNTS} ORDER BY created_at, kid`;

/**
 * The signing keys. The application adds them and moves them on, `next` → `active` → `retired`; the database lets it
 * neither change a key, nor bring one back, nor delete one. Every time is the database's.
 */
@Injectable()
export class SigningKeyStore {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly control: ControlConnection,
  ) {}

  /** Every key that may sign or verify now: what has been committed, whatever transaction asks. */
  async usable(): Promise<StoredSigningKey[]> {
    return this.control.query<StoredSigningKey>(USABLE);
  }

  /** The same, in the ambient transaction: asked under the lock. */
  async usableUnderLock(): Promise<StoredSigningKey[]> {
    return this.unitOfWork.query<StoredSigningKey>(USABLE);
  }

  /** The same, for people to read. */
  async list(): Promise<SigningKeySummary[]> {
    return this.unitOfWork.query<SigningKeySummary>(
      `SELECT kid, algorithm, state, created_at AS "createdAt", activated_at AS "activatedAt",
              accepted_until AS "acceptedUntil"
         FROM sessions.signing_key WHERE ${COUNTS} ORDER BY created_at, kid`,
    );
  }

  /** Holds until the end of the ambient transaction: of many who would rotate, one does. */
  async lock(): Promise<void> {
    await this.unitOfWork.query('SELECT pg_advisory_xact_lock($1::bigint)', [LOCK]);
  }

  /**
   * Adds a key, unless there is one of that state. Closes the race between processes that start at once: the second
   * INSERT waits for the first on the index that allows one such key, and then does nothing.
   *
   * @returns whether this one is it.
   */
  async add(key: NewSigningKey, state: 'next' | 'active'): Promise<boolean> {
    const added = await this.unitOfWork.query(
      `INSERT INTO sessions.signing_key (kid, algorithm, public_jwk, private_sealed, state, activated_at)
       VALUES ($1, $2, $3, $4, $5, CASE $5 WHEN 'active' THEN clock_timestamp() END)
       ON CONFLICT DO NOTHING RETURNING kid`,
      [key.kid, key.algorithm, JSON.stringify(key.publicJwk), key.privateSealed, state],
    );
    return added.length === 1;
  }

  async activate(kid: string): Promise<void> {
    await this.unitOfWork.query(
      `UPDATE sessions.signing_key SET state = 'active', activated_at = clock_timestamp() WHERE kid = $1`,
      [kid],
    );
  }

  /** @param acceptedSeconds How long its tokens are accepted yet. */
  async retire(kid: string, acceptedSeconds: number): Promise<void> {
    await this.unitOfWork.query(
      `UPDATE sessions.signing_key SET state = 'retired', retired_at = clock_timestamp(),
              accepted_until = clock_timestamp() + make_interval(secs => $2) WHERE kid = $1`,
      [kid, acceptedSeconds],
    );
  }

  /** Ends every key, also what was retired and accepted yet. @returns their ids. */
  async refuseAll(): Promise<string[]> {
    const refused = await this.unitOfWork.query<{ kid: string }>(
      `UPDATE sessions.signing_key SET state = 'retired', retired_at = coalesce(retired_at, clock_timestamp()),
              accepted_until = clock_timestamp() WHERE ${COUNTS} RETURNING kid`,
    );
    return refused.map(({ kid }) => kid);
  }
}
