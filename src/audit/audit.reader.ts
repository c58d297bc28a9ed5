import { Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import pg from 'pg';
import { BootError, ZeroTrustError } from '../core/zero-trust-error.js';
import { databaseErrorLine } from '../database/database.errors.js';
import { HANG_UP_AFTER_MS } from '../database/open-data-source.js';
import { HangUpClient } from '../database/postgres-client.js';
import type { AuditPosition } from './audit.cursor.js';
import { AuditSettings } from './audit.settings.js';
import { LOG_ID } from './pending.store.js';

/** Which entries are asked for; what is left out does not narrow. */
export interface AuditFilter {
  readonly after?: AuditPosition | undefined;
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly resourceType?: string | undefined;
  readonly resourceId?: string | undefined;
  /** Inclusive. */
  readonly from?: Date | undefined;
  /** Exclusive. */
  readonly to?: Date | undefined;
}

export interface AuditEntry extends AuditPosition {
  /** The entry's OCSF 1.8 JSON. */
  readonly event: Readonly<Record<string, unknown>>;
}

export interface AuditEntries {
  readonly entries: readonly AuditEntry[];
  /** Where to go on; undefined when nothing follows now. */
  readonly next: AuditPosition | undefined;
}

/** One snapshot answers both what matched and, as the row `edge`, where the scan ended if there is more to look at. */
const READ = `
WITH range AS NOT MATERIALIZED (
  SELECT id, recorded_at, entry FROM audit.pending
  WHERE log_id = ${String(LOG_ID)} AND (recorded_at, id) > ($1::timestamptz, $2::uuid)
    AND recorded_at >= $3::timestamptz AND recorded_at < $4::timestamptz
  ORDER BY recorded_at, id
), found AS (
  SELECT id, recorded_at, event
  FROM (SELECT id, recorded_at, convert_from(entry, 'UTF8')::jsonb AS event FROM range LIMIT $5::int) AS scanned
  WHERE ($6::text IS NULL OR event #>> '{actor,user,uid}' = $6)
    AND ($7::text IS NULL OR event #>> '{metadata,event_code}' = $7)
    AND ($8::text IS NULL OR event #>> '{unmapped,target,type}' = $8)
    AND ($9::text IS NULL OR event #>> '{unmapped,target,id}' = $9)
  LIMIT $10::int
), edge AS (
  SELECT id, recorded_at FROM range OFFSET $5::int - 1 LIMIT 1
)
SELECT id, to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "recordedAt", event, edge
FROM (
  SELECT id, recorded_at, event, false AS edge FROM found
  UNION ALL SELECT id, recorded_at, NULL, true FROM edge
) AS page
ORDER BY edge, recorded_at, id`;

/** Null where the table is not there. */
const LOGIN_RIGHTS = `
SELECT has_table_privilege(to_regclass('audit.pending'), 'SELECT') AS reads,
       has_table_privilege(to_regclass('audit.pending'), 'INSERT, UPDATE, TRUNCATE') AS rewrites`;

interface LoginRights {
  readonly reads: boolean | null;
  readonly rewrites: boolean | null;
}

const START: AuditPosition = { recordedAt: '-infinity', id: '00000000-0000-0000-0000-000000000000' };

type Row = { id: string; recordedAt: string } & (
  { edge: false; event: AuditEntry['event'] } | { edge: true }
);

/**
 * Reads the log with the audit login, over a small pool of its own: the application's login cannot read what it
 * wrote. In the order of `(recorded_at, id)`; an entry that is committed when a page is read is neither skipped
 * nor shown twice. One whose transaction commits only afterwards has the earlier time of its writing, so it can
 * appear before the place that a reader has already reached.
 */
@Injectable()
export class AuditReader implements OnModuleInit, OnApplicationShutdown {
  readonly #pool: pg.Pool;
  readonly #scanLimit: number;

  constructor(settings: AuditSettings) {
    const { address, ssl } = settings.reader;
    this.#scanLimit = settings.scanLimit;
    this.#pool = new pg.Pool({
      Client: HangUpClient,
      host: address.host,
      port: address.port,
      user: address.user,
      password: address.password,
      database: address.database,
      ssl,
      max: settings.readerPoolSize,
      connectionTimeoutMillis: settings.readTimeoutMs,
      statement_timeout: settings.readTimeoutMs,
      query_timeout: settings.readTimeoutMs + HANG_UP_AFTER_MS,
      application_name: 'nestjs-zero-trust audit',
      // This login will be able to do more than read once entries are sequenced; here it reads.
      options: '-c default_transaction_read_only=on',
      keepAlive: true,
      allowExitOnIdle: true,
    });
    const logger = new Logger('AuditReader');
    // A connection that breaks while idle is replaced at the next read; unheard, it would end the process.
    this.#pool.on('error', (error) => {
      logger.warn(`an idle connection was lost: ${databaseErrorLine(error)}`);
    });
  }

  /** @throws BootError when the login cannot read the log, or could rewrite it (ASVS 13.2.2, 16.4.2). */
  async onModuleInit(): Promise<void> {
    const { rows } = await this.#pool.query<LoginRights>(LOGIN_RIGHTS).catch((error: unknown) => {
      const fault = `readerUrl: cannot be used: ${databaseErrorLine(error)}. Is it running, and is the login right?`;
      throw new BootError('AuditModule', [fault]);
    });
    const mend = 'give the audit login that `zero-trust migrate` makes.';
    if (rows[0]?.reads !== true) {
      throw new BootError('AuditModule', [`readerUrl: its login may not read audit.pending; ${mend}`]);
    }
    if (rows[0].rewrites) {
      throw new BootError('AuditModule', [`readerUrl: its login could rewrite the log; ${mend}`]);
    }
  }

  /**
   * @throws ZeroTrustError `temporarily-unavailable` when the log cannot be read.
   */
  async read(filter: AuditFilter, limit: number): Promise<AuditEntries> {
    const after = filter.after ?? START;
    const values = [
      after.recordedAt,
      after.id,
      filter.from ?? '-infinity',
      filter.to ?? 'infinity',
      Math.max(this.#scanLimit, limit + 1),
      filter.actor ?? null,
      filter.action ?? null,
      filter.resourceType ?? null,
      filter.resourceId ?? null,
      limit + 1,
    ];
    const { rows } = await this.#pool.query<Row>(READ, values).catch((cause: unknown) => {
      throw new ZeroTrustError('temporarily-unavailable', { detail: 'the log could not be read', cause });
    });
    const found = rows.filter((row) => !row.edge);
    const entries = found.slice(0, limit);
    const next = found.length > limit ? entries.at(-1) : rows.find((row) => row.edge);
    return { entries, next };
  }

  async onApplicationShutdown(): Promise<void> {
    if (!this.#pool.ending) await this.#pool.end();
  }
}
