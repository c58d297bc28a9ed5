import { Injectable, Logger } from '@nestjs/common';
import { Clock } from './clock.js';
import { RequestContext } from './request-context.js';
import { uuidV7 } from './uuid-v7.js';

/** `thing.happened`, e.g. `session.opened`, `access.refused`, `grant.created`. Lower case, one dot. */
export type SecurityAction = `${string}.${string}`;

/**
 * When a listener that records must have recorded (audit 1.4):
 * - `same-transaction`: in the ambient transaction of the change, or the change does not commit either.
 * - `detached`: in a transaction of its own, also when the surrounding one rolls back; the caller waits for it.
 */
export type SecurityEventDelivery = 'same-transaction' | 'detached';

/** One thing that matters to security, as whoever did or refused it tells it. */
export interface SecurityEvent {
  readonly action: SecurityAction;
  readonly outcome: 'success' | 'failure';
  readonly delivery: SecurityEventDelivery;
  /** `sub` of who did it. Left out: the principal of the request in hand. Never an e-mail address. */
  readonly actor?: string;
  /** What it was done to: `{ type: 'session', id }`. Ids only. */
  readonly target?: { readonly type: string; readonly id: string };
  /** The operator's voice, a fixed phrase: never built from what a caller sent. */
  readonly reason?: string;
  /** Further facts that are neither secret nor personal. */
  readonly detail?: Readonly<Record<string, string | number | boolean | null>>;
}

/** An event as listeners get it: complete, with its id and what the request in hand adds. */
export interface PublishedSecurityEvent extends SecurityEvent {
  readonly id: string;
  readonly occurredAtMs: number;
  readonly requestId: string | undefined;
  readonly sessionId: string | undefined;
  readonly transport: string | undefined;
  readonly handler: string | undefined;
  /** Personal data (ASVS 16.2.5): a listener that stores it seals it first. */
  readonly sourceAddress: string | undefined;
}

/** Takes an event; what it throws fails the operation that published it. */
export type SecurityEventListener = (event: PublishedSecurityEvent) => void | Promise<void>;

/**
 * The one seam where security is seen: every stage and every change publishes here; audit and monitoring listen.
 * `publish` resolves when every listener has taken the event; if one fails, `publish` fails, and with it the
 * operation that it belongs to: nothing goes unrecorded.
 */
@Injectable()
export class SecurityEvents {
  readonly #listeners = new Set<SecurityEventListener>();
  readonly #logger = new Logger('SecurityEvents');

  constructor(private readonly clock: Clock) {}

  /** @returns a function that ends the subscription. */
  subscribe(listener: SecurityEventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async publish(event: SecurityEvent): Promise<void> {
    const context = RequestContext.current();
    const occurredAtMs = this.clock.nowMs();
    const published: PublishedSecurityEvent = {
      ...event,
      id: uuidV7(occurredAtMs),
      occurredAtMs,
      actor: event.actor ?? context?.principal?.subject,
      requestId: context?.id,
      sessionId: context?.principal?.sessionId,
      transport: context?.transport,
      handler: context?.handler,
      sourceAddress: context?.sourceAddress,
    };
    // Without a listener the log is all there is: an event is never dropped in silence.
    if (this.#listeners.size === 0)
      this.#logger.warn(JSON.stringify({ ...published, sourceAddress: undefined }));
    for (const listener of this.#listeners) await listener(published);
  }
}
