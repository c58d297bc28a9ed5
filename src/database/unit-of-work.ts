import { Injectable, Logger } from '@nestjs/common';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { DataSource, EntityManager } from 'typeorm';
import { RequestContext } from '../core/request-context.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { KitDataSource } from './data-source.js';
import { Slots } from './slots.js';
import { enterTenants } from './tenant-transactions.js';
import { Transaction } from './transaction.js';

interface PoolOptions {
  readonly max?: number;
  readonly connectionTimeoutMillis?: number;
}

type Hook = () => void | Promise<void>;

interface Unit {
  readonly transaction: Transaction;
  /** Whose rows it sees where a table has row-level security. */
  readonly tenant: string | undefined;
  readonly beforeCommit: Hook[];
  readonly afterCommit: Hook[];
  /** The first failure of an inner `run`: from then on the unit can only roll back. */
  broken: { readonly cause: unknown } | undefined;
}

/**
 * One ambient transaction: whatever runs inside `run` (repositories, the kit's stores, audit entries) joins it
 * without passing anything around, and commits or rolls back as one.
 *
 * - Await everything inside: work that is still going on when the unit ends is refused, never run outside of it.
 * - Parallel work inside shares one connection: its statements queue up, in the order in which they were issued.
 * - It sees the rows of the request's tenant alone, where a table has row-level security, and so does every statement
 *   outside of a unit. Without a tenant it sees none of them.
 * - To try something that may fail, use `runDetached`: a failure inside breaks the whole unit, also when it is caught.
 */
@Injectable()
export class UnitOfWork {
  readonly #ambient = new AsyncLocalStorage<Unit | undefined>();
  readonly #dataSource: DataSource;
  readonly #logger = new Logger('UnitOfWork');
  #slots: Slots | undefined;

  constructor(source: KitDataSource) {
    this.#dataSource = source.dataSource;
    enterTenants(this.#dataSource);
  }

  /** The manager of the ambient transaction, or the pool's (each statement on its own) outside of one. */
  get manager(): EntityManager {
    return this.#ambient.getStore()?.transaction.manager ?? this.#dataSource.manager;
  }

  get active(): boolean {
    return this.#ambient.getStore() !== undefined;
  }

  /**
   * Runs `work` in the ambient transaction; opens one (READ COMMITTED) when there is none.
   *
   * @throws what `work` throws, after the rollback. ZeroTrustError `internal-error` when a failure inside was
   * caught and the unit therefore rolled back; `temporarily-unavailable` when the connection was lost during COMMIT.
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const unit = this.#ambient.getStore();
    if (!unit) return this.runDetached(work);
    unit.transaction.assertOpen();
    if (unit.tenant !== RequestContext.current()?.tenant) {
      throw new ZeroTrustError('internal-error', {
        detail: 'work for one tenant was begun inside of the unit of work of another, or of none',
      });
    }
    try {
      return await work();
    } catch (cause) {
      // Half of the inner work may be done: if somebody swallows this, the outer unit must not commit it.
      unit.broken ??= { cause };
      throw cause;
    }
  }

  /**
   * Runs `work` in a transaction of its own, whatever surrounds it: for what must stay although the caller's
   * transaction rolls back. Takes a second connection, so never touch rows that the surrounding unit has locked.
   */
  async runDetached<T>(work: () => Promise<T>): Promise<T> {
    const slots = this.active ? undefined : this.#outermost();
    const afterCommit: Hook[] = [];
    let result: T;
    await slots?.take();
    try {
      const transaction = await Transaction.begin(this.#dataSource);
      const tenant = RequestContext.current()?.tenant;
      const unit: Unit = { transaction, tenant, beforeCommit: [], afterCommit, broken: undefined };
      result = await this.#perform(unit, work);
    } finally {
      slots?.give();
    }
    await this.#runHooks(afterCommit);
    return result;
  }

  /**
   * Runs `hook` as the last work of the ambient transaction, when everything else in it is done: for what takes a lock
   * that everybody needs, so that it is held no longer than the COMMIT takes. What it throws rolls everything back.
   *
   * @throws TypeError outside of a unit of work.
   */
  beforeCommit(hook: Hook): void {
    const unit = this.#ambient.getStore();
    if (!unit) throw new TypeError('UnitOfWork.beforeCommit: there is no unit of work; open one with run().');
    unit.transaction.assertOpen();
    unit.beforeCommit.push(hook);
  }

  /**
   * Runs `hook` once the ambient transaction has committed, or at once outside of one. Never after a rollback.
   * It runs outside of the unit; what it throws is logged, since the change has happened all the same.
   */
  async afterCommit(hook: Hook): Promise<void> {
    const unit = this.#ambient.getStore();
    if (!unit) return hook();
    unit.transaction.assertOpen();
    unit.afterCommit.push(hook);
  }

  /** Runs one parameterised statement in the ambient transaction. Values go into `parameters`, never into `sql`. */
  async query<Row = unknown>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    const answer: unknown = await this.manager.query(sql, [...parameters]);
    // TypeORM answers [rows, count] for UPDATE and DELETE, and rows for everything else.
    const rows = isRowsAndCount(answer) ? answer[0] : answer;
    return Array.isArray(rows) ? (rows as Row[]) : [];
  }

  async #perform<T>(unit: Unit, work: () => Promise<T>): Promise<T> {
    const { transaction } = unit;
    try {
      const result = await this.#ambient.run(unit, work);
      assertWhole(unit);
      for (const hook of unit.beforeCommit) await this.#ambient.run(unit, hook);
      assertWhole(unit);
      await transaction.commit();
      return result;
    } finally {
      await transaction.end();
    }
  }

  async #runHooks(hooks: readonly Hook[]): Promise<void> {
    for (const hook of hooks) {
      try {
        // Outside of the unit: a hook must not believe that it could still write into the committed transaction.
        await this.#ambient.run(undefined, hook);
      } catch (error) {
        this.#logger.error(
          'a hook failed after its commit',
          error instanceof Error ? error.stack : String(error),
        );
      }
    }
  }

  /** A fifth of the pool, and one connection at least, stays for what is detached inside of a unit. */
  #outermost(): Slots {
    if (!this.#slots) {
      const { master } = this.#dataSource.driver as { master?: { options?: PoolOptions } };
      const { max = 10, connectionTimeoutMillis = 0 } = master?.options ?? {};
      this.#slots = new Slots(Math.max(1, max - Math.ceil(max / 5)), connectionTimeoutMillis);
    }
    return this.#slots;
  }
}

function assertWhole({ broken }: Unit): void {
  if (!broken) return;
  const detail = 'a step of the unit of work failed and was swallowed; everything was rolled back';
  throw new ZeroTrustError('internal-error', { detail, cause: broken.cause });
}

function isRowsAndCount(answer: unknown): answer is [unknown[], number] {
  return (
    Array.isArray(answer) && answer.length === 2 && Array.isArray(answer[0]) && typeof answer[1] === 'number'
  );
}
