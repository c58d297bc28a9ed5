import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { Clock } from '../core/clock.js';
import { SecurityEvents, type PublishedSecurityEvent } from '../core/security-events.js';
import { uuidV7 } from '../core/uuid-v7.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { databaseErrorLine } from '../database/database.errors.js';
import { AuditSettings } from './audit.settings.js';
import { encodeEntry, type Repetition } from './ocsf.encoding.js';
import { PendingStore, type PendingEntry } from './pending.store.js';
import { RefusalAggregator } from './refusal.aggregator.js';

/**
 * Listens to every security event and appends it. What cannot be recorded does not happen: `publish` fails, and
 * with it the operation (ASVS 16.5.3). Repeated identical refusals are counted and written as one entry a window.
 */
@Injectable()
export class AuditRecorder implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #logger = new Logger('Audit');
  readonly #refusals: RefusalAggregator;
  readonly #unsubscribe: () => void;
  #missed: Repetition | undefined;
  #flushing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    events: SecurityEvents,
    private readonly store: PendingStore,
    private readonly clock: Clock,
    private readonly settings: AuditSettings,
  ) {
    this.#refusals = new RefusalAggregator({
      wholePerKey: settings.wholeRefusalsPerWindow,
      maxKeys: settings.maxDifferentRefusals,
    });
    // Already here: other modules change things, and say so, in their onModuleInit.
    this.#unsubscribe = events.subscribe((event) => this.#record(event));
  }

  onModuleInit(): void {
    this.#timer = setInterval(() => void this.flush(), this.settings.refusalWindowSeconds * 1000);
    this.#timer.unref();
  }

  /** Ends the window: writes what was counted in it, and what could not be recorded before. Never rejects. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => (this.#flushing = undefined));
    return this.#flushing;
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.flush();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    this.#unsubscribe();
    // What was refused while the last requests finished, and after a flush that is still under way had begun.
    await this.#flushing;
    await this.flush();
    const left = this.#refusals.drain();
    if (this.#missed) left.push({ ...this.#missed, example: this.#gapEvent(this.#missed) });
    for (const { example, count } of left) {
      this.#logger.error(`Stopping with ${String(count)} × ${example.action} that could not be recorded.`);
    }
  }

  async #record(event: PublishedSecurityEvent): Promise<void> {
    const detached = event.delivery === 'detached';
    // Only refusals: their caller already gets the answer "no", and nothing was changed.
    if (detached && event.outcome === 'failure' && !this.#refusals.admit(event)) return;
    const pending = this.#pendingOf(event);
    try {
      await (detached ? this.store.appendDetached([pending]) : this.store.appendWithChange(pending));
    } catch (cause) {
      if (cause instanceof TypeError) throw cause;
      // A change that could not be recorded rolls back and leaves no gap. A refusal happened all the same.
      if (detached) this.#miss({ count: 1, startMs: event.occurredAtMs, endMs: event.occurredAtMs });
      throw new ZeroTrustError('temporarily-unavailable', {
        detail: 'a security event could not be recorded',
        cause,
      });
    }
  }

  async #flush(): Promise<void> {
    const counted = this.#refusals.drain();
    const missed = this.#missed;
    this.#missed = undefined;
    const pending = counted.map(({ example, ...repetition }) =>
      this.#pendingOf({ ...example, ...this.#now() }, repetition),
    );
    if (missed) pending.push(this.#pendingOf(this.#gapEvent(missed), missed));
    if (pending.length === 0) return;
    try {
      await this.store.appendDetached(pending);
    } catch (error) {
      this.#refusals.restore(counted);
      if (missed) this.#miss(missed);
      this.#logger.error(`What was counted could not be recorded and is kept: ${databaseErrorLine(error)}`);
    }
  }

  #pendingOf(event: PublishedSecurityEvent, repetition?: Repetition): PendingEntry {
    const entry = encodeEntry(event, (name) => this.settings.publicDetails.has(name), repetition);
    return { id: event.id, entry };
  }

  /** Says in the log itself that for a while it could not be written. */
  #gapEvent(missed: Repetition): PublishedSecurityEvent {
    return {
      ...this.#now(),
      action: 'audit.gap',
      outcome: 'failure',
      delivery: 'detached',
      reason: 'events were refused because they could not be recorded',
      detail: { count: missed.count },
      requestId: undefined,
      sessionId: undefined,
      transport: undefined,
      handler: undefined,
      sourceAddress: undefined,
    };
  }

  #now(): { id: string; occurredAtMs: number } {
    const occurredAtMs = this.clock.nowMs();
    return { id: uuidV7(occurredAtMs), occurredAtMs };
  }

  #miss({ count, startMs, endMs }: Repetition): void {
    const before = this.#missed;
    this.#missed = {
      count: count + (before?.count ?? 0),
      startMs: Math.min(startMs, before?.startMs ?? startMs),
      endMs: Math.max(endMs, before?.endMs ?? endMs),
    };
  }
}
