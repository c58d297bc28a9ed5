type Iterated = Partial<AsyncIterator<unknown, unknown>>;
type Result = IteratorResult<unknown, unknown>;

/** What a subscription of GraphQL answers with; whoever serves it asks for the next of it, or says that it is over. */
export type Source = Iterated & Partial<AsyncIterable<unknown>>;

const OVER: Result = { done: true, value: undefined };

export function isSource(answer: unknown): answer is Source {
  if (typeof answer !== 'object' || answer === null) return false;
  const { next, [Symbol.asyncIterator]: iterate } = answer as Source;
  return typeof next === 'function' || typeof iterate === 'function';
}

/** The same stream until it is ended from outside: whoever waits for the next of it hears why, and so does whoever asks after. */
export class JudgedIterator implements AsyncIterableIterator<unknown, unknown> {
  readonly #source: Iterated;
  /** A promise for each who waits: one for all would remember every answer that ever came first. */
  readonly #waiting = new Set<(error: Error) => void>();
  #endedFor: Error | undefined;
  #forget: (() => void) | undefined;

  /** @param run how the source is asked: a generator does its work when it is */
  constructor(
    source: Source,
    private readonly run: <T>(work: () => T) => T,
  ) {
    this.#source = typeof source.next === 'function' ? source : (source[Symbol.asyncIterator]?.() ?? {});
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Says whom to tell when it is over, however that comes. */
  onceOver(forget: () => void): void {
    this.#forget = forget;
  }

  /** Waits for nobody: a generator that waits for something itself hears of its end when that is there. */
  end(error: Error): void {
    this.#endedFor = error;
    for (const tell of this.#waiting) tell(error);
    this.return().catch(() => undefined);
  }

  async next(): Promise<Result> {
    if (this.#endedFor) throw this.#endedFor;
    let tell: (error: Error) => void = () => undefined;
    const ended = new Promise<never>((_resolve, reject) => {
      tell = reject;
    });
    this.#waiting.add(tell);
    try {
      const result = await Promise.race([ended, this.run(async () => (await this.#source.next?.()) ?? OVER)]);
      if (result.done === true) this.#over();
      return result;
    } catch (error) {
      this.#over();
      throw error;
    } finally {
      this.#waiting.delete(tell);
    }
  }

  async return(value?: unknown): Promise<Result> {
    this.#over();
    return this.run(async () => (await this.#source.return?.(value)) ?? { done: true, value });
  }

  async throw(error?: unknown): Promise<Result> {
    if (!this.#source.throw) {
      await this.return();
      throw error;
    }
    this.#over();
    return this.run(async () => (await this.#source.throw?.(error)) ?? OVER);
  }

  #over(): void {
    this.#forget?.();
    this.#forget = undefined;
  }
}
