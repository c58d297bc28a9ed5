import type { PublishedSecurityEvent } from '../core/security-events.js';
import type { Repetition } from './ocsf.encoding.js';

/** Refusals that were counted instead of written, with one of them as the example. */
export interface CountedRefusals extends Repetition {
  readonly example: PublishedSecurityEvent;
}

interface Bucket {
  readonly example: PublishedSecurityEvent;
  admitted: number;
  count: number;
  startMs: number;
  endMs: number;
}

export interface RefusalAggregatorLimits {
  readonly wholePerKey: number;
  readonly maxKeys: number;
}

/**
 * Tells which refusals are written one by one and which are only counted, so that whoever hammers at the door
 * cannot fill the log (CWE-779) and no count is lost. One window lasts from one `drain` to the next. Memory is
 * bounded: beyond `maxKeys` different refusals, further ones are counted by their action alone.
 */
export class RefusalAggregator {
  #buckets = new Map<string, Bucket>();

  constructor(private readonly limits: RefusalAggregatorLimits) {}

  /** @returns true when this refusal is to be written as it is; otherwise it has been counted. */
  admit(event: PublishedSecurityEvent): boolean {
    const bucket = this.#bucketOf(event);
    if (bucket.admitted > 0) {
      bucket.admitted -= 1;
      return true;
    }
    this.#add(bucket, { count: 1, startMs: event.occurredAtMs, endMs: event.occurredAtMs });
    return false;
  }

  /** Ends the window and hands over what was counted in it. */
  drain(): CountedRefusals[] {
    const ended = this.#buckets;
    this.#buckets = new Map();
    return [...ended.values()]
      .filter(({ count }) => count > 0)
      .map(({ example, count, startMs, endMs }) => ({ example, count, startMs, endMs }));
  }

  /** Takes back what could not be written: it is counted on, and handed over again by the next `drain`. */
  restore(refusals: readonly CountedRefusals[]): void {
    for (const counted of refusals) this.#add(this.#bucketOf(counted.example), counted);
  }

  #add(bucket: Bucket, { count, startMs, endMs }: Repetition): void {
    bucket.startMs = bucket.count === 0 ? startMs : Math.min(bucket.startMs, startMs);
    bucket.endMs = bucket.count === 0 ? endMs : Math.max(bucket.endMs, endMs);
    bucket.count += count;
  }

  #bucketOf(event: PublishedSecurityEvent): Bucket {
    const key = identityOf(event);
    const known = this.#buckets.get(key);
    if (known) return known;
    const full = this.#buckets.size >= this.limits.maxKeys;
    // Actions are words of the code, never of a caller: these buckets are few.
    const overflowKey = full ? event.action : key;
    const existing = this.#buckets.get(overflowKey);
    if (existing) return existing;
    const bucket: Bucket = {
      example: full ? withoutParticulars(event) : event,
      admitted: full ? 0 : this.limits.wholePerKey,
      count: 0,
      startMs: 0,
      endMs: 0,
    };
    this.#buckets.set(overflowKey, bucket);
    return bucket;
  }
}

/** Two refusals are the same when their entries would differ in nothing but id, time and request. */
function identityOf(event: PublishedSecurityEvent): string {
  const { action, reason, actor, sessionId, target, handler, transport, detail } = event;
  return JSON.stringify([
    action,
    reason,
    actor,
    sessionId,
    target?.type,
    target?.id,
    handler,
    transport,
    detail,
  ]);
}

function withoutParticulars(event: PublishedSecurityEvent): PublishedSecurityEvent {
  return {
    id: event.id,
    occurredAtMs: event.occurredAtMs,
    action: event.action,
    outcome: event.outcome,
    delivery: event.delivery,
    reason: 'more different refusals than are told apart',
    requestId: undefined,
    sessionId: undefined,
    transport: undefined,
    handler: undefined,
    sourceAddress: undefined,
  };
}
