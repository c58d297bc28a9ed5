import { Injectable } from '@nestjs/common';
import { callerOf, type LetIn } from './open-connection.js';
import { OpenConnections } from './open-connections.js';
import { RequestContext } from '../request-context.js';
import { SecurityEvents } from '../security-events.js';
import { ZeroTrustError } from '../zero-trust-error.js';

/** Streams of one caller at once in this process, unless somebody says otherwise. */
const STREAMS_PER_CALLER = 100;

/** One stream while it runs. */
export interface RunningStream {
  /** Has it count among those of its caller, once. @throws ZeroTrustError `too-many-requests`, which `recorded` tells of */
  count(): void;
  /** @param withItsCall whether the stream was all that its call was for */
  forget(withItsCall: boolean): void;
}

/**
 * The streams that handlers answer with where one connection carries many: each is judged again with the very call that
 * it answers. On a socket its refusal closes the socket, for what a handler gave it beside the stream (a room) nobody
 * sees; elsewhere the stream is all that was given, and ends alone. Holds as many as run, and so many for each caller.
 */
@Injectable()
export class OpenStreams {
  readonly #counted = new Map<string, number>();
  /** By the context of its call: whoever tries again has the handler answer anew, and gets the same refusal. */
  readonly #refused = new WeakMap<RequestContext, ZeroTrustError>();
  #running = 0;
  #perCaller = STREAMS_PER_CALLER;

  constructor(
    private readonly connections: OpenConnections,
    private readonly events: SecurityEvents,
  ) {}

  /** How many run, whether they count yet or not. */
  get size(): number {
    return this.#running;
  }

  /** How many one caller may have running at once. Owned by whoever limits what callers do. */
  limitTo(perCaller: number): void {
    this.#perCaller = perCaller;
  }

  /** What a stream of this call was ended for before. */
  refusalOf({ context }: LetIn): ZeroTrustError | undefined {
    return this.#refused.get(context);
  }

  /**
   * Has the call of a stream judged again until it is forgotten; `end` hears of its refusal.
   *
   * @param connection the socket that carries it, and that is closed instead
   * @returns undefined when that has gone: nothing may be streamed then
   * @throws ZeroTrustError what it was ended for before.
   */
  begin(call: LetIn, end: (error: ZeroTrustError) => void, connection?: object): RunningStream | undefined {
    const refusal = this.refusalOf(call);
    if (refusal) throw refusal;
    const unwatch = this.connections.watchStream(
      call,
      (error) => {
        this.#refused.set(call.context, error);
        end(error);
      },
      connection,
    );
    if (!unwatch) return undefined;
    this.#running += 1;
    let uncount: (() => void) | undefined;
    let isForgotten = false;
    return {
      count: () => {
        if (!isForgotten) uncount ??= this.#count(call);
      },
      forget: (withItsCall) => {
        if (isForgotten) return;
        isForgotten = true;
        this.#running -= 1;
        unwatch(withItsCall);
        uncount?.();
      },
    };
  }

  /** @returns what takes it back */
  #count(call: LetIn): () => void {
    const caller = callerOf(call);
    const counted = this.#counted.get(caller) ?? 0;
    if (counted >= this.#perCaller) {
      const detail = 'the caller has as many streams running as one may';
      throw new ZeroTrustError('too-many-requests', { detail });
    }
    this.#counted.set(caller, counted + 1);
    return () => {
      const left = (this.#counted.get(caller) ?? 1) - 1;
      if (left > 0) this.#counted.set(caller, left);
      else this.#counted.delete(caller);
    };
  }

  /** What `begin` or `count` threw, once that is published; what cannot be recorded becomes "could not be judged". */
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
