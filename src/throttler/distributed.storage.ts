import { Logger } from '@nestjs/common';
import type { ThrottlerStorage } from '@nestjs/throttler';
import type { Clock } from '../core/clock.js';
import type { SecurityEvents } from '../core/security-events.js';
import { RequestCounter, type CountedKey } from './request-counter.js';
import { rate, type Rate, type RateOutcome } from './gcra.js';
import type { GcraStorage } from './gcra.storage.js';

/** After a failure the shared storage is left alone for this long: a dead one must not cost each request the deadline. */
const REST_MS = 1_000;

type StockRecord = Awaited<ReturnType<ThrottlerStorage['increment']>>;

/**
 * Counts in the storage that the host gave, so that replicas share their limits. Each answer has a deadline. When
 * none comes in time, this process grants a share of the limit from its own table, logs and publishes
 * `throttle.degraded` once, and asks the storage again a second later: it never waits long, and never opens.
 */
export class DistributedStorage extends RequestCounter {
  readonly #logger = new Logger('ThrottlingModule');
  readonly #reduced = new WeakMap<Rate, Rate>();
  #failing = false;
  #restUntilMs = 0;

  constructor(
    private readonly shared: ThrottlerStorage,
    private readonly local: GcraStorage,
    private readonly clock: Clock,
    private readonly events: SecurityEvents,
    private readonly settings: { readonly storageDeadlineMs: number; readonly outagePercent: number },
  ) {
    super();
  }

  /** Races between replicas are the shared storage's to close: it must count and answer in one step. */
  override async consume(key: string | CountedKey, limit: Rate): Promise<RateOutcome> {
    if (this.clock.nowMs() < this.#restUntilMs) return this.#consumeLocally(key, limit);
    try {
      const outcome = read(await this.#ask(typeof key === 'string' ? key : key.text, limit), limit);
      if (this.#failing) await this.#recover();
      return outcome;
    } catch (cause) {
      await this.#degrade(cause);
      return this.#consumeLocally(key, limit);
    }
  }

  #consumeLocally(key: string | CountedKey, limit: Rate): RateOutcome {
    let reduced = this.#reduced.get(limit);
    if (!reduced) {
      const share = Math.floor((limit.requests * this.settings.outagePercent) / 100);
      reduced = rate(Math.max(1, share), limit.windowSeconds);
      this.#reduced.set(limit, reduced);
    }
    return this.local.consume(key, reduced);
  }

  async #ask(key: string, limit: Rate): Promise<unknown> {
    const windowMs = limit.windowSeconds * 1000;
    const answer = this.shared.increment(key, windowMs, limit.requests, windowMs, 'default');
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new Error('the deadline passed'));
      }, this.settings.storageDeadlineMs);
    });
    try {
      return await Promise.race([answer, deadline]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #degrade(cause: unknown): Promise<void> {
    this.#restUntilMs = this.clock.nowMs() + REST_MS;
    if (this.#failing) return;
    this.#failing = true;
    const reason = 'the shared throttler storage does not answer';
    const text = cause instanceof Error ? cause.message : 'unknown error';
    this.#logger.error(
      `${reason} (${text}); this process grants ${this.settings.outagePercent} % of each limit on its own`,
    );
    await this.#publish('throttle.degraded', 'failure', reason);
  }

  async #recover(): Promise<void> {
    this.#failing = false;
    this.#logger.warn('the shared throttler storage answers again');
    await this.#publish('throttle.restored', 'success', 'the shared throttler storage answers again');
  }

  async #publish(
    action: 'throttle.degraded' | 'throttle.restored',
    outcome: 'success' | 'failure',
    reason: string,
  ): Promise<void> {
    try {
      await this.events.publish({ action, outcome, delivery: 'detached', reason });
    } catch (cause) {
      // Must not become an error of whoever's request met the outage first.
      this.#logger.error(`${action} could not be recorded`, cause instanceof Error ? cause.stack : undefined);
    }
  }
}

/** Reads the record of the port. @throws TypeError when it is none: an unreadable answer is an outage, not a pass. */
function read(record: unknown, limit: Rate): RateOutcome {
  const { totalHits, timeToExpire, isBlocked, timeToBlockExpire } = (record ?? {}) as Partial<StockRecord>;
  if (!Number.isFinite(totalHits) || !Number.isFinite(timeToExpire) || typeof isBlocked !== 'boolean') {
    throw new TypeError('the storage answered something else than a ThrottlerStorageRecord');
  }
  const hits = totalHits as number;
  const allowed = !isBlocked && hits <= limit.requests;
  const resetSeconds = Math.max(0, Math.ceil(timeToExpire as number));
  const blockedSeconds = Number.isFinite(timeToBlockExpire) ? Math.ceil(timeToBlockExpire as number) : 0;
  return {
    allowed,
    remaining: Math.max(0, limit.requests - hits),
    retryAfterSeconds: allowed ? 0 : Math.max(1, blockedSeconds > 0 ? blockedSeconds : resetSeconds),
    resetSeconds,
  };
}
