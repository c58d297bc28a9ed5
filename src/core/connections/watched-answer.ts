import { Subject, takeUntil, type Observable, type Subscriber } from 'rxjs';
import type { LetIn } from './open-connection.js';
import type { OpenStreams, RunningStream } from './open-streams.js';
import { whenPeerLeaves } from './peer-leaving.js';

/** What has run for so long is no answer that takes its time, but a stream. */
const LASTED_AFTER_MS = 1_000;

/**
 * The answer to one message on its way, with whatever interceptors make of it. It is judged again from when its handler
 * hands out an Observable, or when more may come after the first thing that it says; it counts among the streams of its
 * caller once it says a second thing, or has run for a second. A handler that is still at work streams nothing.
 */
export class WatchedAnswer {
  readonly #over = new Subject<void>();
  #running: RunningStream | undefined;
  #stay: (() => void) | undefined;
  #lasting: NodeJS.Timeout | undefined;
  #hasSpoken = false;
  #hasLasted = false;
  #isOver = false;
  /** Whether an error stands for its end. */
  #isRefused = false;

  /** @param connection the socket that its message came by */
  constructor(
    private readonly streams: OpenStreams,
    private readonly call: LetIn,
    private readonly connection: object | undefined,
    private readonly subscriber: Subscriber<unknown>,
  ) {}

  /** Hands on what `source` says. */
  follow(source: Observable<unknown>): void {
    const refusal = this.streams.refusalOf(this.call);
    if (refusal) {
      this.subscriber.error(refusal);
      return;
    }
    this.#startToLast();
    source.pipe(takeUntil(this.#over)).subscribe({
      next: (value) => {
        this.#say(value);
      },
      error: (error: unknown) => {
        this.#forget();
        this.subscriber.error(error);
      },
      complete: () => {
        this.#forget();
        if (!this.#isRefused) this.subscriber.complete();
      },
    });
  }

  /** Ends it: nobody wants more of it, or may have it. */
  stop(): void {
    this.#over.next();
  }

  /** Of which nobody hears this, all of its time counts. */
  handlerBegins(): void {
    if (!this.#running) clearTimeout(this.#lasting);
  }

  handlerAnswered(withStream: boolean): void {
    // A stream that asks handlers on its way begins no new time by it.
    if (this.#running) return;
    if (withStream) this.#watch();
    this.#startToLast();
  }

  #startToLast(): void {
    clearTimeout(this.#lasting);
    if (this.#isOver || this.#hasLasted) return;
    this.#lasting = setTimeout(() => {
      this.#last();
    }, LASTED_AFTER_MS).unref();
  }

  #say(value: unknown): void {
    if (!this.#hasSpoken) {
      this.#hasSpoken = true;
      // What ends together with the first thing that it says is over by then.
      queueMicrotask(() => {
        this.#watch();
      });
    } else if (!this.#hasLasted) this.#last();
    if (!this.#isOver) this.subscriber.next(value);
  }

  #watch(): void {
    if (this.#running || this.#isOver) return;
    try {
      this.#running = this.streams.begin(
        this.call,
        (error) => {
          this.#isRefused = true;
          this.stop();
          this.subscriber.error(error);
        },
        this.connection,
      );
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (this.#running) {
      this.#stay = whenPeerLeaves(this.call.execution, () => {
        this.stop();
      });
    } else this.stop();
  }

  #last(): void {
    this.#watch();
    try {
      this.#running?.count();
      this.#hasLasted = true;
    } catch (error) {
      this.#refuse(error);
    }
  }

  #refuse(refusal: unknown): void {
    this.#isRefused = true;
    this.stop();
    void this.streams.recorded(refusal, this.call).then((told) => {
      this.subscriber.error(told);
    });
  }

  #forget(): void {
    this.#isOver = true;
    clearTimeout(this.#lasting);
    this.#stay?.();
    this.#running?.forget(this.#hasLasted);
  }
}
