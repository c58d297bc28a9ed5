import pg from 'pg';

const READ_TIMEOUT = 'Query read timeout';

/**
 * pg's client, which also hangs up when its `query_timeout` strikes. pg itself only stops waiting: the connection
 * would go back to the pool with a statement still on its way, and whoever gets it next would wait as long again.
 */
export class HangUpClient extends pg.Client {
  constructor(...given: ConstructorParameters<typeof pg.Client>) {
    super(...given);
    // Between pool and borrower, who each have a listener, nobody has: a backend that is ended in the instant in which it
    // is handed over would end the process. The client knows that it is broken, and says so to whoever asks it next.
    this.on('error', () => undefined);
  }

  override query(...args: unknown[]): never {
    const last = args.at(-1);
    if (typeof last === 'function') {
      args[args.length - 1] = (error: unknown, ...rest: unknown[]): unknown => {
        this.#hangUpOn(error);
        return (last as (...answer: unknown[]) => unknown)(error, ...rest);
      };
    }
    const answer: unknown = (super.query as (...each: unknown[]) => unknown).apply(this, args);
    // Registered before the caller's own handler: the connection is gone by the time the caller can react.
    if (answer instanceof Promise)
      answer.catch((error: unknown) => {
        this.#hangUpOn(error);
      });
    return answer as never;
  }

  #hangUpOn(error: unknown): void {
    if (error instanceof Error && error.message === READ_TIMEOUT) {
      (this as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    }
  }
}
