import { Injectable } from '@nestjs/common';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { DataSource, EntityManager } from 'typeorm';
import { KitDataSource } from './data-source.js';

interface Unit {
  readonly manager: EntityManager;
  readonly afterCommit: (() => void | Promise<void>)[];
}

/**
 * One ambient transaction: whatever runs inside `run` (repositories, the kit's stores, audit entries) joins it
 * without passing anything around, and commits or rolls back as one.
 */
@Injectable()
export class UnitOfWork {
  readonly #ambient = new AsyncLocalStorage<Unit | undefined>();
  readonly #dataSource: DataSource;

  constructor(source: KitDataSource) {
    this.#dataSource = source.dataSource;
  }

  /** The manager of the ambient transaction, or the pool's (each statement on its own) outside of one. */
  get manager(): EntityManager {
    return this.#ambient.getStore()?.manager ?? this.#dataSource.manager;
  }

  get active(): boolean {
    return this.#ambient.getStore() !== undefined;
  }

  /** Runs `work` in the ambient transaction; opens one (READ COMMITTED) when there is none. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.active) return work();
    return this.runDetached(work);
  }

  /**
   * Runs `work` in a transaction of its own, whatever surrounds it: for what must stay although the caller's
   * transaction rolls back. Takes a second connection, so never hold locks that it waits for.
   */
  async runDetached<T>(work: () => Promise<T>): Promise<T> {
    const afterCommit: Unit['afterCommit'] = [];
    const result = await this.#dataSource.transaction((manager) =>
      this.#ambient.run({ manager, afterCommit }, work),
    );
    // Outside of the unit: a hook must not believe that it could still write into the committed transaction.
    for (const hook of afterCommit) await this.#ambient.run(undefined, hook);
    return result;
  }

  /** Runs `hook` once the ambient transaction has committed, or at once outside of one. Never after a rollback. */
  async afterCommit(hook: () => void | Promise<void>): Promise<void> {
    const unit = this.#ambient.getStore();
    if (unit) unit.afterCommit.push(hook);
    else await hook();
  }

  /** Runs one parameterised statement in the ambient transaction. Values go into `parameters`, never into `sql`. */
  async query<Row = unknown>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    const answer: unknown = await this.manager.query(sql, [...parameters]);
    // TypeORM answers [rows, count] for UPDATE and DELETE, and rows for everything else.
    const rows = isRowsAndCount(answer) ? answer[0] : answer;
    return Array.isArray(rows) ? (rows as Row[]) : [];
  }
}

function isRowsAndCount(answer: unknown): answer is [unknown[], number] {
  return (
    Array.isArray(answer) && answer.length === 2 && Array.isArray(answer[0]) && typeof answer[1] === 'number'
  );
}
