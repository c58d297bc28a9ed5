import { Injectable } from '@nestjs/common';
import { ControlConnection } from '../database/control-connection.js';
import { KitDataSource } from '../database/data-source.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { FeedEntry, FeedKind, NumberedFeedEntry } from './feed-entry.js';

/** An entry, with what tells it from any other that may have its number in another history of the database. */
export interface ReadFeedEntry extends NumberedFeedEntry {
  readonly mark: string;
}

/** What a read of the feed answers: the newest number there is, and entries in order. */
export interface FeedPage {
  readonly head: number;
  readonly entries: readonly ReadFeedEntry[];
}

const COLUMNS = 'h.seq AS head, f.seq, f.kind, f.id, extract(epoch FROM f.created_at)::text AS at';

/** One statement, so one snapshot: the head, and everything from a number on. */
const ENTRIES_FROM = `
  SELECT ${COLUMNS}
    FROM freshness.feed_head h LEFT JOIN freshness.feed f ON f.seq >= $1 AND f.seq <= h.seq
   ORDER BY f.seq`;

/** The head with its entry, however old, and everything that a token which is alive may have to know. */
const RECENT_ENTRIES = `
  SELECT ${COLUMNS}
    FROM freshness.feed_head h
    LEFT JOIN freshness.feed f ON f.seq = h.seq
           OR (f.seq < h.seq AND f.created_at > clock_timestamp() - make_interval(secs => $1))
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

  /** The entry with this number and what follows it. Beside the pool. @throws when there is no answer in time. */
  async from(seq: number): Promise<FeedPage> {
    return feedPageOf(await this.control.query(ENTRIES_FROM, [seq]));
  }

  /** The entry of the head, and those of the last `seconds`. Over the pool: there may be many, and nobody hurries. */
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
  readonly at: string;
}

/** PostgreSQL prints bigint as text; the numbers stay far below 2^53. @throws TypeError when there is no head. */
function feedPageOf(rows: readonly unknown[]): FeedPage {
  const known = rows as readonly Row[];
  const head = Number(known[0]?.head);
  if (!Number.isSafeInteger(head)) throw new TypeError('freshness.feed_head has no row: restore it.');
  return {
    head,
    entries: known.flatMap(({ seq, kind, id, at }) =>
      seq === null ? [] : [{ seq: Number(seq), kind, id, mark: `${at} ${kind} ${id}` }],
    ),
  };
}
