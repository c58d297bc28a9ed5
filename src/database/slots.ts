/** What pg-pool says when its own wait is over; `isDatabaseUnavailable` knows it. */
const TOO_LONG = 'timeout exceeded when trying to connect';

interface Waiting {
  readonly admit: () => void;
  readonly timer: NodeJS.Timeout | undefined;
}

/**
 * Admits so many at a time, first come first served. Units of work that hold a connection while they wait for a
 * second one (`runDetached` inside of `run`) would starve each other once they hold the whole pool: so outermost
 * units may never take all of it.
 */
export class Slots {
  #free: number;
  readonly #queue = new Set<Waiting>();

  constructor(
    size: number,
    private readonly timeoutMs: number,
  ) {
    this.#free = size;
  }

  /** @throws Error when no slot became free in time. */
  async take(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const refuse = (): void => {
        this.#queue.delete(waiting);
        reject(new Error(TOO_LONG));
      };
      // Like pg-pool's: 0 waits for as long as it takes.
      const timer = this.timeoutMs > 0 ? setTimeout(refuse, this.timeoutMs) : undefined;
      const waiting: Waiting = { admit: resolve, timer };
      this.#queue.add(waiting);
    });
  }

  give(): void {
    const [next] = this.#queue;
    if (!next) {
      this.#free += 1;
      return;
    }
    this.#queue.delete(next);
    clearTimeout(next.timer);
    next.admit();
  }
}
