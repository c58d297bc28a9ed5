import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { performance } from 'node:perf_hooks';
import { Clock } from '../clock.js';
import { Lane } from './lane.js';
import { OpenConnection, type Closable, type LetIn } from './open-connection.js';
import { Pipeline } from '../pipeline.js';
import type { Principal } from '../principal.js';
import { judgeAgain } from './reconsideration.js';
import { RequestContext } from '../request-context.js';
import { SecurityEvents } from '../security-events.js';
import type { Verdict } from '../verdict.js';
import { ZeroTrustError } from '../zero-trust-error.js';

/** Every connection is judged again this often: what ends by itself (a token, an idle session, a grant) tells nobody. */
const SWEEP_MS = 3_000;
/** What cannot be judged again within this time of the question is closed. */
const JUDGED_WITHIN_MS = 750;
/** How often it is looked whether one took too long. */
const LOOK_EVERY_MS = 150;
/** Judgements in a row before others get their turn of the loop. */
const IN_A_ROW = 64;

/**
 * What is still open of all that was let in with a principal: sockets, responses, and the streams of handlers. Judged
 * again by the same stages (but for how often) when something changes that may concern it, and every few seconds;
 * closed when it is refused, or when it cannot be judged in time. Holds as much as is open, and forgets what closes.
 */
@Injectable()
export class OpenConnections implements OnApplicationShutdown {
  readonly #logger = new Logger('Connections');
  readonly #open = new Map<object, OpenConnection>();
  /** Apart: an object that takes its time to load must not close everybody who asks for none. */
  readonly #plain = new Lane();
  readonly #loading = new Lane();
  readonly #lanes = [this.#plain, this.#loading];
  #scheduled = false;
  #sweep: NodeJS.Timeout | undefined;
  #overdue: NodeJS.Timeout | undefined;
  #lookedAtMs = 0;
  /** When something was last said that may concern somebody, by the clock of request contexts. */
  #saidAtMs = Number.NEGATIVE_INFINITY;
  /** One after the other: a store that is slow gets no flood of them. */
  #recording: Promise<void> = Promise.resolve();

  constructor(
    private readonly pipeline: Pipeline,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
  ) {}

  get size(): number {
    return this.#open.size;
  }

  /** Keeps an eye on what was let in. `close` ends it; nothing of it may reach its peer afterwards. */
  watch(connection: Closable, call: LetIn, close: (error: ZeroTrustError) => void): void {
    let open = this.#open.get(connection);
    if (open) open.add(call);
    else {
      open = this.#remember(new OpenConnection(connection, call, close));
      // On Socket.IO a peer may send an event of any name, "close" and all: one that is connected has not ended.
      const forget = (): void => {
        if ((connection as { readonly connected?: unknown }).connected !== true) this.#forget(connection);
      };
      connection.on('close', forget);
      connection.on('disconnect', forget);
    }
    this.#askIfMissed(open, call);
  }

  /**
   * Keeps an eye on the stream that answers a call. `end` ends it, and nothing else that its peer has; where a `carrier`
   * is named, a connection that is watched, the refusal closes that.
   *
   * @returns what forgets it, and on demand its call with it; undefined when the carrier has gone
   */
  watchStream(
    call: LetIn,
    end: (error: ZeroTrustError) => void,
    carrier?: object,
  ): ((withItsCall: boolean) => void) | undefined {
    const carrying = carrier && this.#open.get(carrier);
    if (carrier && !carrying) return undefined;
    const stream = {};
    const open = this.#remember(new OpenConnection(stream, call, end, carrier));
    this.#askIfMissed(open, call);
    return (withItsCall) => {
      this.#forget(stream);
      if (withItsCall) carrying?.drop(call);
    };
  }

  /** Judges again whatever belongs to somebody of whom `concerns` says so. @param withinMs closed if it takes longer */
  reconsider(concerns: (principal: Principal) => boolean, withinMs: number = JUDGED_WITHIN_MS): void {
    this.#saidAtMs = this.clock.nowMs();
    const dueAtMs = performance.now() + withinMs;
    for (const open of this.#open.values()) if (open.concerns(concerns)) this.#ask(open, dueAtMs);
  }

  onApplicationShutdown(): void {
    clearInterval(this.#sweep);
    clearInterval(this.#overdue);
    this.#open.clear();
    for (const lane of this.#lanes) lane.clear();
  }

  #remember(open: OpenConnection): OpenConnection {
    this.#open.set(open.connection, open);
    this.#sweep ??= setInterval(() => {
      this.reconsider(() => true, SWEEP_MS);
    }, SWEEP_MS).unref();
    return open;
  }

  /** What was said while a call was on its way, nobody asked about it: it was not here yet. */
  #askIfMissed(open: OpenConnection, { context }: LetIn): void {
    if (context.receivedAtMs > this.#saidAtMs) return;
    this.#ask(open, performance.now() + JUDGED_WITHIN_MS);
  }

  #ask(open: OpenConnection, dueAtMs: number): void {
    // What is being judged is judged once more when that is done.
    if (!open.isAsked) this.#laneOf(open).add(open);
    open.ask(dueAtMs);
    if (!this.#overdue) {
      this.#lookedAtMs = performance.now();
      this.#overdue = setInterval(() => {
        this.#closeOverdue();
      }, LOOK_EVERY_MS).unref();
    }
    this.#schedule();
  }

  /** In a turn of its own: whoever else remembers what has changed must have forgotten it first. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const lane of this.#lanes) this.#work(lane);
    });
  }

  #laneOf({ loadsObjects }: OpenConnection): Lane {
    return loadsObjects ? this.#loading : this.#plain;
  }

  #work(lane: Lane): void {
    for (let judged = 0; judged < IN_A_ROW; judged += 1) {
      const open = lane.take();
      if (!open) return;
      const itsLane = this.#laneOf(open);
      // It loads objects since it was asked.
      if (itsLane === lane) this.#judge(open, lane);
      else {
        lane.leave(open);
        itsLane.add(open);
      }
    }
    this.#schedule();
  }

  #judge(open: OpenConnection, lane: Lane): void {
    const settle = (verdict: Verdict): void => {
      lane.leave(open);
      if (this.#open.get(open.connection) !== open) return;
      if (!verdict.passed) {
        this.#close(open, verdict.error, verdict.reason);
        return;
      }
      open.settle();
      if (open.isAsked) this.#laneOf(open).add(open);
    };
    const verdict = judgeAgain(
      this.pipeline,
      open.calls,
      this.clock.nowMs(),
      (call) => open.has(call),
      (call) => (open.judging = call),
    );
    if (!(verdict instanceof Promise)) {
      settle(verdict);
      return;
    }
    void verdict.then((settled) => {
      settle(settled);
      this.#schedule();
    });
  }

  #closeOverdue(): void {
    const nowMs = performance.now();
    // A process that stood still could not judge, and sent nothing either.
    const stoodStillMs = Math.max(0, nowMs - this.#lookedAtMs - 2 * LOOK_EVERY_MS);
    this.#lookedAtMs = nowMs;
    let left = false;
    for (const open of this.#open.values()) {
      if (!open.isAsked) continue;
      open.delay(stoodStillMs);
      if (open.dueAtMs > nowMs) left = true;
      else {
        const detail = 'it could not be judged again in time';
        this.#close(open, new ZeroTrustError('temporarily-unavailable', { detail }), detail);
      }
    }
    if (left) return;
    clearInterval(this.#overdue);
    this.#overdue = undefined;
  }

  #close(open: OpenConnection, error: ZeroTrustError, reason: string): void {
    this.#forget(open.connection);
    const carrying = open.carrier ? this.#open.get(open.carrier) : open;
    // Another stream has closed what carried this one.
    if (!carrying) return;
    if (open.carrier) this.#forget(open.carrier);
    // Before it is closed: what it was let in for ends with it. Of several callers on one socket it is this one's end.
    const { judging: call = open.calls[0] } = open;
    try {
      carrying.close(error);
    } catch {
      this.#logger.error(`connection ${carrying.id} could not be closed`);
    }
    this.#recording = this.#recording.then(() => this.#record(carrying, call?.context, error, reason));
  }

  /** As its peer's own, whatever they were proved as before: by now they may be nobody. */
  async #record(
    { id }: OpenConnection,
    context: RequestContext | undefined,
    { code }: ZeroTrustError,
    reason: string,
  ): Promise<void> {
    const publish = (): Promise<void> =>
      this.events.publish({
        action: 'connection.closed',
        outcome: 'failure',
        delivery: 'detached',
        target: { type: 'connection', id },
        reason,
        detail: { code },
      });
    try {
      await (context ? RequestContext.run(context, publish) : publish());
    } catch {
      this.#logger.error(`connection ${id} was closed (${reason}), and that could not be recorded`);
    }
  }

  #forget(connection: object): void {
    const open = this.#open.get(connection);
    if (!open) return;
    this.#open.delete(connection);
    for (const lane of this.#lanes) if (lane.leave(open)) this.#schedule();
    if (this.#open.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}
