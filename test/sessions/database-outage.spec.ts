import { afterAll, beforeAll, expect, test } from 'vitest';
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

test('a session that cannot be read is never guessed: 503 until the database is back, then all is as before', async () => {
  expect((await started.ask(token)).status).toBe(200);
  const reached = started.reached();

  proxy.cut();
  const answers = await Promise.all(Array.from({ length: 5 }, () => started.ask(token)));
  expect(answers.map(({ status, text }) => [status, text])).toEqual(
    Array.from({ length: 5 }, () => [503, '{"code":"temporarily-unavailable"}']),
  );
  expect(started.reached()).toBe(reached);

  proxy.pass();
  expect((await started.ask(token)).status).toBe(200);
});

test('a forged token is not let in by an outage, and a session is not opened in one', async () => {
  const [header, payload] = takeApart(token).parts;
  proxy.cut();
  expect([401, 503]).toContain((await started.ask(`${header}.${payload}.${'A'.repeat(86)}`)).status);
  await expect(started.open()).rejects.toThrow();
  proxy.pass();
  expect((await started.ask(token)).status).toBe(200);
});
