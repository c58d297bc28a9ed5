import { Injectable } from '@nestjs/common';
import { ControlConnection } from '../database/control-connection.js';
import { KitDataSource } from '../database/data-source.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { FeedEntry, FeedKind, NumberedFeedEntry } from './feed-entry.js';

/** What a read of the feed answers: the newest number there is, and entries in order. */
export interface FeedPage {
  readonly head: number;
  readonly entries: readonly NumberedFeedEntry[];
}

/** One statement, so one snapshot: the head, and everything after a number. */
const ENTRIES_AFTER = `
  SELECT h.seq AS head, f.seq, f.kind, f.id
    FROM freshness.feed_head h LEFT JOIN freshness.feed f ON f.seq > $1 AND f.seq <= h.seq
   ORDER BY f.seq`;

/** The head, and everything that a token which is alive may have to know. */
const RECENT_ENTRIES = `
  SELECT h.seq AS head, f.seq, f.kind, f.id
    FROM freshness.feed_head h
    LEFT JOIN freshness.feed f ON f.seq <= h.seq AND f.created_at > clock_timestamp() - make_interval(secs => $1)
   ORDER BY f.seq`;

/** `freshness.feed`: appended to in the transaction of the change, read by every replica. */
@Injectable()
export class FeedStore {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly source: KitDataSource,
    private readonly control: ControlConnection,
  ) {}

  /** Takes the lock of the feed until COMMIT: the last thing that a transaction does. @returns the newest number. */
  async append(entries: readonly FeedEntry[]): Promise<number> {
    const [row] = await this.unitOfWork.query<{ seq: string }>(
      'SELECT freshness.append($1::text[], $2::text[]) AS seq',
      [entries.map(({ kind }) => kind), entries.map(({ id }) => id)],
    );
    return Number(row?.seq);
  }

  /** Beside the pool. @throws when there is no answer in time. */
  async after(seq: number): Promise<FeedPage> {
    return feedPageOf(await this.control.query(ENTRIES_AFTER, [seq]));
  }

  async recent(seconds: number): Promise<FeedPage> {
    return feedPageOf(await this.source.dataSource.query<unknown[]>(RECENT_ENTRIES, [seconds]));
  }

  async purge(): Promise<void> {
    await this.source.dataSource.query('SELECT freshness.purge()');
  }
}

interface Row {
  readonly head: string;
  readonly seq: string | null;
  readonly kind: FeedKind;
  readonly id: string;
}

/** PostgreSQL prints bigint as text; the numbers stay far below 2^53. @throws TypeError when there is no head. */
function feedPageOf(rows: readonly unknown[]): FeedPage {
  const known = rows as readonly Row[];
  const head = Number(known[0]?.head);
  if (!Number.isSafeInteger(head)) throw new TypeError('freshness.feed_head has no row: restore it.');
  return {
    head,
    entries: known.flatMap(({ seq, kind, id }) => (seq === null ? [] : [{ seq: Number(seq), kind, id }])),
  };
}
