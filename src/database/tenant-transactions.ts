import type { DataSource, QueryRunner } from 'typeorm';
import { RequestContext } from '../core/request-context.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';

type Query = QueryRunner['query'];

const ENTER_TENANT = 'SELECT access.enter_tenant($1)';

/** What would end the transaction around a lone statement, or begin one that nobody watches; comments before it skipped. */
const TRANSACTION_CONTROL =
  /^(?:\s|--[^\n]*\n|\/\*[^]*?\*\/)*(?:BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE\s+TRANSACTION)\b/i;

const entered = new WeakSet<DataSource>();

/**
 * Whatever way a request with a tenant takes to this data source (units of work, repositories, transactions of the
 * host's own, lone statements), PostgreSQL knows the tenant (`access.current_tenant()`): each transaction enters it when
 * it begins, and a lone statement gets one of its own. Nothing is left on the connection: a tenant ends with its transaction.
 */
export function enterTenants(dataSource: DataSource): void {
  if (entered.has(dataSource)) return;
  entered.add(dataSource);
  const create = dataSource.createQueryRunner.bind(dataSource);
  dataSource.createQueryRunner = (mode) => withTenant(create(mode));
}

function withTenant(runner: QueryRunner): QueryRunner {
  const query = runner.query.bind<Query>(runner);
  const startTransaction = runner.startTransaction.bind(runner);
  const stream = runner.stream.bind(runner);
  const release = runner.release.bind(runner);
  let lone: Promise<unknown> = Promise.resolve();

  runner.startTransaction = async (isolation) => {
    const tenant = isolatedTenant(runner);
    await startTransaction(isolation);
    if (tenant === undefined) return;
    try {
      await query(ENTER_TENANT, [tenant]);
    } catch (error) {
      await runner.rollbackTransaction().catch(() => undefined);
      throw error;
    }
  };

  runner.query = ((sql: string, ...rest: never[]) => {
    const tenant = isolatedTenant(runner);
    if (tenant === undefined) return query(sql, ...rest);
    if (TRANSACTION_CONTROL.test(sql)) {
      return Promise.reject(refused('begin transactions with UnitOfWork.run or startTransaction()'));
    }
    // One after the other: two of them at once would share a transaction, and the first would end it.
    const answer = lone.then(() => alone(query, tenant, sql, rest));
    lone = answer.catch(() => undefined);
    return answer;
  }) as Query;

  runner.stream = (...given) =>
    isolatedTenant(runner) === undefined
      ? stream(...given)
      : Promise.reject(refused('stream inside of UnitOfWork.run'));

  // Nobody gets a connection while a transaction that was not waited for is still open on it.
  runner.release = async () => {
    await lone;
    await release();
  };
  return runner;
}

/** The tenant that a statement would miss, because no transaction has entered it. */
function isolatedTenant(runner: QueryRunner): string | undefined {
  return runner.isTransactionActive ? undefined : RequestContext.current()?.tenant;
}

async function alone(query: Query, tenant: string, sql: string, rest: never[]): Promise<unknown> {
  await query('START TRANSACTION');
  try {
    await query(ENTER_TENANT, [tenant]);
    const answer: unknown = await query(sql, ...rest);
    await query('COMMIT');
    return answer;
  } catch (error) {
    // A broken connection rolls back by itself.
    await query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

function refused(mend: string): ZeroTrustError {
  return new ZeroTrustError('internal-error', {
    detail: `a request with a tenant needs a transaction that enters it: ${mend}`,
  });
}
