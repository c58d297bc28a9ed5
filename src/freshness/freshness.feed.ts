import { Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { performance } from 'node:perf_hooks';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { KitDataSource } from '../database/data-source.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { FeedEntry, FeedKind, NumberedFeedEntry } from './feed-entry.js';
import { FeedListener } from './feed.listener.js';
import { FeedStore, type FeedPage } from './feed.store.js';
import { Revocations, type RevocableProof } from './revocations.js';

/** How long what was read is trusted without asking again. */
export const TRUSTED_FOR_MS = 1_000;
const POLL_MS = 250;
const PURGE_MS = 10 * 60_000;
/** Longer than any access token lives (15 minutes), with the clock tolerance (60 s) and as much again. */
const RETAIN_SECONDS = 1_020;

type Listener = (entry: FeedEntry) => void;

/**
 * What was revoked or changed, in one order, felt on every replica: here at once, elsewhere as soon as it is read
 * (milliseconds by `LISTEN`, a quarter of a second by polling). Everything is measured by a clock that nobody can set.
 *
 * One rule for staleness: confirmed less than a second ago, memory is trusted; else the database is asked within
 * 250 ms; if that fails, nothing can be said, and the request gets 503.
 */
@Injectable()
export class FreshnessFeed implements OnModuleInit, OnApplicationShutdown {
  readonly #logger = new Logger('Freshness');
  readonly #revocations = new Revocations(RETAIN_SECONDS * 1000);
  readonly #listeners = new Map<FeedKind, Set<Listener>>();
  readonly #resets = new Set<() => void>();
  readonly #hints: FeedListener;
  readonly #timers: NodeJS.Timeout[] = [];
  #seq = -1;
  /** What tells the entry with that number from any other; undefined when the feed has none. */
  #mark: string | undefined;
  #confirmedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  #closed = false;

  constructor(
    private readonly store: FeedStore,
    private readonly unitOfWork: UnitOfWork,
    source: KitDataSource,
  ) {
    this.#hints = new FeedListener(source.dataSource, () => {
      this.#hinted();
    });
  }

  /** Before anything listens: a replica with an empty memory would let every revoked token in. */
  async onModuleInit(): Promise<void> {
    const askedAtMs = performance.now();
    this.#apply(await this.store.recent(RETAIN_SECONDS), askedAtMs);
    await this.#hints.listen();
    this.#timers.push(
      setInterval(() => void this.#look().catch(() => undefined), POLL_MS).unref(),
      setInterval(() => void this.store.purge().catch(() => undefined), PURGE_MS).unref(),
    );
  }

  async onApplicationShutdown(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#hints.close();
  }

  /** The newest number that was read. */
  get seq(): number {
    return this.#seq;
  }

  /** Whether memory may be trusted now. @param nowMs by a clock that nobody can set, where it was read already */
  isFresh(nowMs = performance.now()): boolean {
    return nowMs - this.#confirmedAtMs < TRUSTED_FOR_MS;
  }

  /**
   * Asks the database now. All who ask at the same moment share one question.
   *
   * @throws ZeroTrustError `temporarily-unavailable` when it does not answer within 250 ms.
   */
  async confirm(): Promise<void> {
    try {
      await this.#look();
    } catch (cause) {
      const detail = 'what was revoked cannot be read';
      throw new ZeroTrustError('temporarily-unavailable', { detail, cause });
    }
  }

  /** Whether a proof was revoked, as far as is known; ask `isFresh` first. */
  revoked(proof: RevocableProof): boolean {
    return this.#revocations.covers(proof);
  }

  /**
   * Says in the ambient transaction (or in one of its own) what it revokes or changes: written with it or not at all,
   * and felt here from its commit on.
   */
  async append(...entries: FeedEntry[]): Promise<void> {
    if (entries.length === 0) return;
    await this.unitOfWork.run(async () => {
      let seq = 0;
      this.unitOfWork.beforeCommit(async () => {
        seq = await this.store.append(entries);
      });
      await this.unitOfWork.afterCommit(() => {
        const first = seq - entries.length + 1;
        for (const [at, entry] of entries.entries()) this.#take({ ...entry, seq: first + at });
      });
    });
  }

  /** Calls `listener` for each entry of a kind, of this replica and of others. @returns a function that ends it. */
  on(kind: FeedKind, listener: Listener): () => void {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /**
   * Calls `listener` when what was read last does not lead to what is read now (a restored database, a failover that
   * lost commits, entries that were purged meanwhile): nothing that was remembered holds any more.
   */
  onReset(listener: () => void): void {
    this.#resets.add(listener);
  }

  #hinted(): void {
    // What is read now may have begun before the hint; look once more then.
    if (this.#looking) this.#lookAgain = true;
    else void this.#look().catch(() => undefined);
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = undefined;
      if (!this.#lookAgain || this.#closed) return;
      this.#lookAgain = false;
      void this.#look().catch(() => undefined);
    });
    return this.#looking;
  }

  async #lookOnce(): Promise<void> {
    let askedAtMs = performance.now();
    let page = await this.store.from(this.#seq);
    if (!this.#leadsTo(page)) {
      askedAtMs = performance.now();
      page = await this.store.recent(RETAIN_SECONDS);
      this.#reset();
    }
    this.#apply(page, askedAtMs);
  }

  /**
   * Whether a page follows without a hole on what was read last, in the same history. The number alone does not say so:
   * after a failover that lost commits others may have used it again, and whoever was cut off for longer than entries
   * are kept misses those in between.
   */
  #leadsTo({ head, entries }: FeedPage): boolean {
    const [first] = entries;
    const mark = first?.seq === this.#seq ? first.mark : undefined;
    if (head < this.#seq || mark !== this.#mark) return false;
    if (head === this.#seq) return true;
    // Nothing was said yet when it was read last; else the newest entry is always there.
    if (mark === undefined) return this.#seq === 0 && entries.length === head;
    return entries.length === head - this.#seq + 1;
  }

  #apply({ head, entries }: FeedPage, askedAtMs: number): void {
    for (const entry of entries) {
      if (entry.seq !== this.#seq || entry.mark !== this.#mark) this.#take(entry);
    }
    const last = entries.at(-1);
    this.#seq = head;
    this.#mark = last?.seq === head ? last.mark : undefined;
    // From when the question was asked: what was committed before that has been seen.
    this.#confirmedAtMs = askedAtMs;
    this.#revocations.forget(askedAtMs);
  }

  /** Everything stays revoked that was; what others remember must be asked anew. */
  #reset(): void {
    this.#logger.error(
      'The feed does not go on where it was read last: the database was restored, failed over, or out of reach for ' +
        'longer than entries are kept. What was remembered is forgotten.',
    );
    for (const reset of this.#resets) reset();
  }

  #take(entry: NumberedFeedEntry): void {
    this.#revocations.add(entry, performance.now());
    for (const listener of this.#listeners.get(entry.kind) ?? []) listener(entry);
  }
}
