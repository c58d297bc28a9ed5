import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEmbeddedPostgres } from '../../sample/src/embedded-postgres/embedded-postgres.js';
import { isDatabaseUnavailable } from '../../src/database/database.errors.js';
import { DatabaseProbe } from '../../src/database/database.probe.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.js';
import { open, type Opened } from './opened.js';

/** Short limits, so that the test is quick; the documented ones are these with the defaults put in. */
const LIMITS = { poolSize: 5, connectTimeoutMs: 300, statementTimeoutMs: 200 } as const;
const HANG_UP_AFTER_MS = 1000;
/** A full wait for a connection, then for a statement, with room for a busy machine. */
const WITHIN_MS = LIMITS.connectTimeoutMs + LIMITS.statementTimeoutMs + HANG_UP_AFTER_MS + 1500;

let database: TestDatabase;
let proxy: FaultProxy;
let opened: Opened;
let probe: DatabaseProbe;

beforeAll(async () => {
  database = await createTestDatabase();
  proxy = await startFaultProxy(database.ownerUrl);
  opened = await open(proxy.through(database.ownerUrl), LIMITS);
  probe = new DatabaseProbe(opened.source);
  await opened.dataSource.query('CREATE TABLE public.note (id serial PRIMARY KEY, text text NOT NULL)');
});
afterAll(async () => {
  await opened.close();
  await proxy.close();
  await database.drop();
});

async function outcome(work: () => Promise<unknown>): Promise<{ error: unknown; ms: number }> {
  const before = performance.now();
  const error: unknown = await work().then(
    () => undefined,
    (each: unknown) => each,
  );
  return { error, ms: performance.now() - before };
}

async function recovers(): Promise<void> {
  await expect.poll(() => probe.check(), { timeout: 10_000, interval: 20 }).toBe(true);
  expect(await opened.unitOfWork.run(() => opened.unitOfWork.query('SELECT 1 AS one'))).toEqual([{ one: 1 }]);
}

describe('FLT-06 a database that accepts and then says nothing', () => {
  test('FLT-06 every one of 100 units of work ends in time as unavailable, keeps nothing, and all recover alone', async () => {
    const write = (): Promise<unknown> =>
      opened.unitOfWork.run(() => opened.unitOfWork.query(`INSERT INTO public.note (text) VALUES ('x')`));
    await Promise.all([write(), write(), write()]);
    proxy.blackHole();
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => outcome(write)));
    for (const { error, ms } of outcomes) {
      expect(isDatabaseUnavailable(error)).toBe(true);
      expect(ms).toBeLessThan(WITHIN_MS);
    }
    proxy.pass();
    await recovers();
    const [row] = await opened.unitOfWork.query<{ n: number }>('SELECT count(*)::int AS n FROM public.note');
    expect(row).toEqual({ n: 3 });
  });

  test('FLT-06 a statement that hangs gives its connection up instead of back', async () => {
    await opened.unitOfWork.query('SELECT 1');
    proxy.blackHole();
    const { error, ms } = await outcome(() => opened.unitOfWork.query('SELECT 1'));
    expect(isDatabaseUnavailable(error)).toBe(true);
    expect(ms).toBeLessThan(WITHIN_MS);
    const pool = (opened.dataSource.driver as unknown as { master: pg.Pool }).master;
    // Whoever comes next must not get a connection on which an old answer may still arrive.
    await expect.poll(() => pool.totalCount).toBe(0);
    proxy.pass();
    await recovers();
  });

  test('FLT-06 it strikes in the middle of a unit of work', async () => {
    const { error, ms } = await outcome(() =>
      opened.unitOfWork.run(async () => {
        await opened.unitOfWork.query(`INSERT INTO public.note (text) VALUES ('half')`);
        proxy.blackHole();
        await opened.unitOfWork.query(`INSERT INTO public.note (text) VALUES ('half')`);
      }),
    );
    expect(isDatabaseUnavailable(error)).toBe(true);
    // No second wait for a ROLLBACK that nobody answers.
    expect(ms).toBeLessThan(WITHIN_MS);
    proxy.pass();
    await recovers();
    expect(await opened.unitOfWork.query(`SELECT id FROM public.note WHERE text = 'half'`)).toEqual([]);
  });

  test('readiness says no within its deadline, and many questions cost one connection', async () => {
    await recovers();
    proxy.blackHole();
    const before = proxy.connections;
    const started = performance.now();
    const answers = await Promise.all(Array.from({ length: 50 }, () => probe.check(100)));
    expect(answers).toEqual(answers.map(() => false));
    expect(performance.now() - started).toBeLessThan(1000);
    expect(await probe.check(50)).toBe(false);
    expect(proxy.connections).toBeLessThanOrEqual(before + 1);
    proxy.pass();
    await recovers();
  });
});

test('a statement that runs too long is ended by PostgreSQL, and its connection lives on', async () => {
  const { error, ms } = await outcome(() => opened.unitOfWork.query('SELECT pg_sleep(60)'));
  expect(isDatabaseUnavailable(error)).toBe(true);
  expect(ms).toBeLessThan(WITHIN_MS);
  expect(await opened.unitOfWork.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('a connection that is cut while idle does not end the process, and is replaced', async () => {
  await opened.unitOfWork.query('SELECT 1');
  proxy.cut();
  expect(await probe.check()).toBe(false);
  const { error } = await outcome(() => opened.unitOfWork.run(() => opened.unitOfWork.query('SELECT 1')));
  expect(isDatabaseUnavailable(error)).toBe(true);
  proxy.pass();
  await recovers();
});

test('a transaction that sits idle is ended by PostgreSQL, and nothing of it stays', async () => {
  const impatient = await open(database.ownerUrl, { idleInTransactionTimeoutMs: 100 });
  const observer = new pg.Client({ connectionString: database.superuserUrl });
  await observer.connect();
  const { error } = await outcome(() =>
    impatient.unitOfWork.run(async () => {
      await impatient.unitOfWork.query(`INSERT INTO public.note (text) VALUES ('idle')`);
      const sessions = `SELECT FROM pg_stat_activity WHERE datname = $1 AND state = 'idle in transaction'`;
      await expect.poll(async () => (await observer.query(sessions, [database.name])).rowCount).toBe(0);
    }),
  );
  expect(isDatabaseUnavailable(error)).toBe(true);
  expect(await opened.unitOfWork.query(`SELECT id FROM public.note WHERE text = 'idle'`)).toEqual([]);
  await observer.end();
  await impatient.close();
});

test('FLT-03 five crashes of the database under load: nothing acknowledged is lost, nothing refused is kept, all recovers', async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'zero-trust-restart-'));
  // Durable: what was acknowledged must survive the crash.
  let server = await startEmbeddedPostgres({ dataDirectory, durable: true });
  const { port, superuserUrl } = server;
  const loaded = await open(superuserUrl, { poolSize: 5, connectTimeoutMs: 1000, statementTimeoutMs: 1000 });
  await loaded.dataSource.query('CREATE TABLE public.ledger (id int PRIMARY KEY)');
  const acknowledged = new Set<number>();
  const refused = new Set<number>();
  const unknown = new Set<number>();
  let next = 1;
  let running = true;
  const worker = async (): Promise<void> => {
    while (running) {
      const id = next++;
      try {
        await loaded.unitOfWork.run(() =>
          loaded.unitOfWork.query('INSERT INTO public.ledger VALUES ($1)', [id]),
        );
        acknowledged.add(id);
      } catch (error) {
        expect(isDatabaseUnavailable(error)).toBe(true);
        const inCommit = error instanceof Error && error.message.includes('during COMMIT');
        (inCommit ? unknown : refused).add(id);
        // A refused connection answers at once: let others have the processor.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  };
  const workers = Array.from({ length: 4 }, worker);
  try {
    for (let crash = 0; crash < 5; crash += 1) {
      const before = acknowledged.size;
      await expect
        .poll(() => acknowledged.size, { timeout: 10_000, interval: 5 })
        .toBeGreaterThan(before + 5);
      await server.stop('immediate');
      server = await startEmbeddedPostgres({ dataDirectory, durable: true, port });
      const restarted = performance.now();
      await expect
        .poll(() => acknowledged.size, { timeout: 10_000, interval: 5 })
        .toBeGreaterThan(before + 10);
      expect(performance.now() - restarted).toBeLessThan(10_000);
    }
    running = false;
    await Promise.all(workers);
    const rows = await loaded.dataSource.query<{ id: number }[]>('SELECT id FROM public.ledger');
    const kept = new Set(rows.map(({ id }) => id));
    expect([...acknowledged].filter((id) => !kept.has(id))).toEqual([]);
    expect([...refused].filter((id) => kept.has(id))).toEqual([]);
  } finally {
    running = false;
    await Promise.allSettled(workers);
    await loaded.close();
    await server.stop();
  }
}, 120_000);
