import { Injectable } from '@nestjs/common';
import { from, Observable, Subject, takeUntil } from 'rxjs';
import type { LetIn } from './open-connection.js';
import { OpenConnections } from './open-connections.js';
import { whenPeerLeaves } from './peer-leaving.js';
import { RequestContext } from '../request-context.js';
import { SecurityEvents } from '../security-events.js';
import { ZeroTrustError } from '../zero-trust-error.js';

/** Streams of one caller at once in this process, unless somebody says otherwise. */
const STREAMS_PER_CALLER = 100;

/** Ends a count. @param withItsCall whether the stream was all that its call was for */
type Forget = (withItsCall: boolean) => void;

/**
 * The streams that handlers answer with where one connection carries many: each is judged again with the very call that
 * it answers. On a socket its refusal closes the socket, for what a handler gave it beside the stream (a room) nobody
 * sees; elsewhere the stream is all that was given, and ends alone. Holds as many as run, and so many for each caller.
 */
@Injectable()
export class OpenStreams {
  readonly #running = new Map<string, number>();
  /** By the context of its call: an interceptor that tries again has the handler answer anew, and gets the same refusal. */
  readonly #refused = new WeakMap<RequestContext, ZeroTrustError>();
  #perCaller = STREAMS_PER_CALLER;

  constructor(
    private readonly connections: OpenConnections,
    private readonly events: SecurityEvents,
  ) {}

  /** How many run. */
  get size(): number {
    let size = 0;
    for (const running of this.#running.values()) size += running;
    return size;
  }

  /** How many one caller may have running at once. Owned by whoever limits what callers do. */
  limitTo(perCaller: number): void {
    this.#perCaller = perCaller;
  }

  /**
   * Counts a stream and has its call judged again until it is forgotten; `end` hears of its refusal.
   *
   * @param connection the socket that carries it, and that is closed instead
   * @returns undefined when that has gone: nothing may be streamed then
   * @throws ZeroTrustError `too-many-requests`, which `recorded` tells of; or what it was ended for before.
   */
  begin(call: LetIn, end: (error: ZeroTrustError) => void, connection?: object): Forget | undefined {
    const refusal = this.#refused.get(call.context);
    if (refusal) throw refusal;
    const caller = `${call.principal.kind} ${call.principal.subject}`;
    const running = this.#running.get(caller) ?? 0;
    if (running >= this.#perCaller) {
      const detail = 'the caller has as many streams running as one may';
      throw new ZeroTrustError('too-many-requests', { detail });
    }
    const forget = this.connections.watchStream(
      call,
      (error) => {
        this.#refused.set(call.context, error);
        end(error);
      },
      connection,
    );
    if (!forget) return undefined;
    this.#running.set(caller, running + 1);
    let isForgotten = false;
    return (withItsCall) => {
      if (isForgotten) return;
      isForgotten = true;
      forget(withItsCall);
      const left = (this.#running.get(caller) ?? 1) - 1;
      if (left > 0) this.#running.set(caller, left);
      else this.#running.delete(caller);
    };
  }

  /** The same stream, for as long as its caller may have it; each subscription counts as one. */
  judged(source: Observable<unknown>, call: LetIn, connection?: object): Observable<unknown> {
    return new Observable((subscriber) => {
      let refusal: ZeroTrustError | undefined;
      const over = new Subject<void>();
      const stop = (): void => {
        over.next();
      };
      let forget: Forget | undefined;
      try {
        forget = this.begin(
          call,
          (error) => {
            refusal = error;
            stop();
          },
          connection,
        );
      } catch (error) {
        void this.recorded(error, call).then((told) => {
          subscriber.error(told);
        });
        return undefined;
      }
      if (!forget) {
        subscriber.complete();
        return undefined;
      }
      const stay = whenPeerLeaves(call.execution, stop);
      // What ends together with the first thing it says is an answer like any other.
      let hasSpoken = false;
      let hasLasted = false;
      const forgotten = (): void => {
        forget(hasLasted);
        stay();
      };
      from(source)
        .pipe(takeUntil(over))
        .subscribe({
          next(value) {
            if (!hasSpoken) {
              queueMicrotask(() => {
                hasLasted = true;
              });
            }
            hasSpoken = true;
            subscriber.next(value);
            // Of one that speaks while it is subscribed to, nobody could take leave yet.
            if (subscriber.closed) stop();
          },
          error(error: unknown) {
            forgotten();
            subscriber.error(error);
          },
          complete() {
            forgotten();
            if (refusal) subscriber.error(refusal);
            else subscriber.complete();
          },
        });
      return stop;
    });
  }

  /** What `begin` threw, once that is published; what cannot be recorded becomes "could not be judged". */
  async recorded(refusal: unknown, { context }: LetIn): Promise<unknown> {
    // What a stream was ended for was recorded then.
    if (!(refusal instanceof ZeroTrustError) || this.#refused.has(context)) return refusal;
    try {
      await RequestContext.run(context, () =>
        this.events.publish({
          action: 'throttle.refused',
          outcome: 'failure',
          delivery: 'detached',
          reason: refusal.detail,
          detail: { code: refusal.code },
        }),
      );
      return refusal;
    } catch (cause) {
      const detail = 'a refusal could not be recorded';
      return new ZeroTrustError('temporarily-unavailable', { detail, cause });
    }
  }
}
