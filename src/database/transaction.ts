import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { isDatabaseUnavailable } from './database.errors.js';

type Query = QueryRunner['query'];

interface RawClient {
  query(sql: string): Promise<{ command: string }>;
}

/**
 * One transaction on one connection. Closes three ways in which work could silently end up outside of it:
 * statements issued after the end, statements of a parallel branch between ROLLBACK and release, and a COMMIT of a
 * transaction that had failed before, which PostgreSQL answers with ROLLBACK and no error.
 */
export class Transaction {
  readonly #runner: QueryRunner;
  readonly #query: Query;
  #state: 'open' | 'ending' | 'ended' = 'open';
  #settled = false;
  #tail: Promise<unknown> = Promise.resolve();

  private constructor(runner: QueryRunner) {
    this.#runner = runner;
    this.#query = runner.query.bind<Query>(runner);
    runner.query = ((sql: string, ...rest: never[]) => this.#queued(sql, rest)) as Query;
  }

  static async begin(dataSource: DataSource): Promise<Transaction> {
    const runner = dataSource.createQueryRunner();
    try {
      await runner.startTransaction();
    } catch (error) {
      await runner.release();
      throw error;
    }
    return new Transaction(runner);
  }

  /** @throws ZeroTrustError when the transaction has ended: the work was not awaited. */
  get manager(): EntityManager {
    this.assertOpen();
    return this.#runner.manager;
  }

  assertOpen(): void {
    if (this.#state !== 'open') {
      throw new ZeroTrustError('internal-error', {
        detail:
          'work went on after its unit of work had ended; await it inside, or start it with runDetached',
      });
    }
  }

  async commit(): Promise<void> {
    // What was issued before is still in the queue ahead of COMMIT.
    this.#state = 'ending';
    try {
      await this.#runner.commitTransaction();
      this.#settled = true;
    } catch (cause) {
      if (!isDatabaseUnavailable(cause)) throw cause;
      const detail = 'the connection was lost during COMMIT: whether it was committed is unknown';
      throw new ZeroTrustError('temporarily-unavailable', { detail, cause });
    }
  }

  /** Rolls back what was not committed, and gives the connection back. Never throws. */
  async end(): Promise<void> {
    this.#state = 'ending';
    try {
      if (!this.#settled && this.#runner.isTransactionActive) await this.#runner.rollbackTransaction();
      this.#settled = true;
    } catch {
      // The connection is broken: PostgreSQL rolls back by itself.
    }
    this.#state = 'ended';
    await this.#release();
  }

  /** A connection whose transaction could not be ended must not be used again. */
  async #release(): Promise<void> {
    const { releasePostgresConnection } = this.#runner as {
      releasePostgresConnection?: (e?: Error) => Promise<void>;
    };
    if (this.#settled || !releasePostgresConnection) await this.#runner.release();
    else await releasePostgresConnection.call(this.#runner, new Error('the transaction could not be ended'));
  }

  /** One statement at a time: pg no longer queues them itself from version 9 on. */
  #queued(sql: string, rest: never[]): Promise<unknown> {
    if (this.#state === 'ended') this.assertOpen();
    // While ending, only the runner's own COMMIT or ROLLBACK may pass.
    if (this.#state === 'ending' && !/^(COMMIT|ROLLBACK)\b/.test(sql)) this.assertOpen();
    const answer = this.#tail.then(() => (sql === 'COMMIT' ? this.#commit() : this.#query(sql, ...rest)));
    this.#tail = answer.catch(() => undefined);
    return answer;
  }

  async #commit(): Promise<void> {
    const client = (await this.#runner.connect()) as RawClient;
    const { command } = await client.query('COMMIT');
    if (command === 'COMMIT') return;
    this.#settled = true;
    throw new ZeroTrustError('internal-error', {
      detail: 'a statement of the unit of work had failed and was swallowed; everything was rolled back',
    });
  }
}
