import { Injectable } from '@nestjs/common';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { UnitOfWork } from '../database/unit-of-work.js';

type Hook = () => void | Promise<void>;

interface Unit {
  readonly beforeCommit: Hook[];
  readonly afterCommit: Hook[];
}

/**
 * Runs work where there is no database. The hooks run as they would around a commit, and not at all when the work
 * fails; nothing is rolled back, because there is nothing that could be.
 */
@Injectable()
export class UnstoredUnitOfWork implements Pick<UnitOfWork, keyof UnitOfWork> {
  readonly #ambient = new AsyncLocalStorage<Unit | undefined>();

  get active(): boolean {
    return this.#ambient.getStore() !== undefined;
  }

  /** @throws TypeError always. */
  get manager(): never {
    throw withoutDatabase('UnitOfWork.manager');
  }

  /** @throws TypeError always. */
  query(): Promise<never> {
    return Promise.reject(withoutDatabase('UnitOfWork.query'));
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    return this.active ? work() : this.runDetached(work);
  }

  async runDetached<T>(work: () => Promise<T>): Promise<T> {
    const unit: Unit = { beforeCommit: [], afterCommit: [] };
    const result = await this.#ambient.run(unit, async () => {
      const done = await work();
      for (const hook of unit.beforeCommit) await hook();
      return done;
    });
    for (const hook of unit.afterCommit) await this.#ambient.run(undefined, hook);
    return result;
  }

  beforeCommit(hook: Hook): void {
    const unit = this.#ambient.getStore();
    if (!unit) throw new TypeError('UnitOfWork.beforeCommit: there is no unit of work; open one with run().');
    unit.beforeCommit.push(hook);
  }

  async afterCommit(hook: Hook): Promise<void> {
    const unit = this.#ambient.getStore();
    if (unit) unit.afterCommit.push(hook);
    else await hook();
  }
}

function withoutDatabase(what: string): TypeError {
  return new TypeError(
    `${what}: ZeroTrustTestingModule has no database. Put a provider of the test in the place of what asks, or test it ` +
      'with the whole application, a real database and withTestPrincipals().',
  );
}
