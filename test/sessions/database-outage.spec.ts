import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { FreshnessFeed } from '../../src/freshness/freshness.feed.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.js';
import { startSessions, takeApart, type Started } from './sessions-application.js';

let database: TestDatabase;
let proxy: FaultProxy;
let started: Started;
let token: string;

beforeAll(async () => {
  database = await createTestDatabase();
  proxy = await startFaultProxy(database.appUrl);
  const through = { appUrl: proxy.through(database.appUrl), auditUrl: database.auditUrl };
  started = await startSessions({ database: through, connectTimeoutMs: 200 });
  ({ accessToken: token } = await started.open());
});
afterAll(async () => {
  await started.app.close();
  await proxy.close();
  await database.drop();
});

test('FLT-06 what was confirmed less than a second ago is trusted; later a session is never guessed: 503 until the database is back', async () => {
  expect((await started.ask(token)).status).toBe(200);

  proxy.cut();
  expect((await started.ask(token)).status).toBe(200);
  const feed = started.app.get(FreshnessFeed);
  await vi.waitUntil(() => !feed.isFresh(), { timeout: 5_000, interval: 5 });
  const reached = started.reached();
  const answers = await Promise.all(Array.from({ length: 5 }, () => started.ask(token)));
  expect(answers.map(({ status, text }) => [status, text])).toEqual(
    Array.from({ length: 5 }, () => [503, '{"code":"temporarily-unavailable"}']),
  );
  expect(started.reached()).toBe(reached);

  proxy.pass();
  await vi.waitUntil(async () => (await started.ask(token)).status === 200, { timeout: 5_000, interval: 20 });
});

test('a token that was not seen before is not let in by an outage, however fresh everything else is', async () => {
  const { accessToken } = await started.open();
  proxy.cut();
  expect((await started.ask(accessToken)).status).toBe(503);
  proxy.pass();
  expect((await started.ask(accessToken)).status).toBe(200);
});

test('a forged token is not let in by an outage, and a session is not opened in one', async () => {
  const [header, payload] = takeApart(token).parts;
  proxy.cut();
  expect([401, 503]).toContain((await started.ask(`${header}.${payload}.${'A'.repeat(86)}`)).status);
  await expect(started.open()).rejects.toThrow();
  proxy.pass();
  expect((await started.ask(token)).status).toBe(200);
});
