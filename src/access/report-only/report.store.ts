import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { MAX_SUBJECTS, type CountedFinding } from './report.findings.js';

/** A row of the report. */
export interface StoredFinding {
  readonly way: string;
  readonly handler: string;
  readonly reason: string;
  readonly permissions: readonly string[];
  readonly times: number;
  readonly subjects: readonly string[];
  readonly firstSeenAt: Date;
  readonly lastSeenAt: Date;
}

const ADD = `
  INSERT INTO access.report AS known (way, handler, reason, permissions, times, subjects, first_seen_at, last_seen_at)
  SELECT way, handler, reason, permissions, times, subjects, to_timestamp(first_ms / 1000), to_timestamp(last_ms / 1000)
    FROM jsonb_to_recordset($1::jsonb) AS found (way text, handler text, reason text, permissions text[], times bigint,
      subjects uuid[], first_ms float8, last_ms float8)
  ON CONFLICT (way, handler, reason, permissions) DO UPDATE SET
    times = known.times + excluded.times,
    subjects = ARRAY(SELECT DISTINCT subject FROM unnest(known.subjects || excluded.subjects) AS subject
      ORDER BY subject LIMIT ${MAX_SUBJECTS}),
    first_seen_at = least(known.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at)`;

const SELECT = `
  SELECT way, handler, reason, permissions, times::float8 AS times, subjects,
         first_seen_at AS "firstSeenAt", last_seen_at AS "lastSeenAt"
    FROM access.report WHERE $1::float8 IS NULL OR last_seen_at >= clock_timestamp() - make_interval(secs => $1)
   ORDER BY way, handler, reason, permissions`;

/** What would have been refused so far, over all replicas. */
@Injectable()
export class ReportStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** Adds counts to what is known; atomic, and every count is added once whoever writes beside. */
  async add(findings: readonly CountedFinding[]): Promise<void> {
    const rows = findings.map(({ firstSeenMs, lastSeenMs, ...finding }) => ({
      ...finding,
      first_ms: firstSeenMs,
      last_ms: lastSeenMs,
    }));
    await this.unitOfWork.runDetached(() => this.unitOfWork.query(ADD, [JSON.stringify(rows)]));
  }

  /** Everything, or what was seen in the last so many seconds, by the clock of the database. */
  list(sinceSeconds?: number): Promise<readonly StoredFinding[]> {
    return this.unitOfWork.query<StoredFinding>(SELECT, [sinceSeconds ?? null]);
  }

  /** Forgets everything. @returns how many rows there were. */
  async clear(): Promise<number> {
    const [answer] = await this.unitOfWork.query<{ count: number }>(
      'WITH gone AS (DELETE FROM access.report RETURNING 1) SELECT count(*)::int AS count FROM gone',
    );
    return answer?.count ?? 0;
  }
}
