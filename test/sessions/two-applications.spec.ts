import passport from 'passport';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { answerOf, startSessions, type Started } from './sessions-application.js';

let databases: TestDatabase[];
let first: Started;
let second: Started;
let registered: string;

/** Private, but what a process-global strategy would change. */
const strategies = (): string =>
  Object.keys((passport as unknown as { _strategies: object })._strategies).join();

beforeAll(async () => {
  registered = strategies();
  databases = await Promise.all([createTestDatabase(), createTestDatabase()]);
  const [one, two] = databases as [TestDatabase, TestDatabase];
  first = await startSessions({ database: one });
  second = await startSessions({ database: two, authPrefix: 'account' });
});
afterAll(async () => {
  await Promise.all([first.app.close(), second.app.close()]);
  await Promise.all(databases.map((each) => each.drop()));
});

test('two applications in one process each accept their own token and refuse the other one', async () => {
  const [ofFirst, ofSecond] = [await first.open(), await second.open()];
  for (let round = 0; round < 3; round += 1) {
    expect((await first.ask(ofFirst.accessToken)).status).toBe(200);
    expect((await second.ask(ofSecond.accessToken)).status).toBe(200);
    expect((await first.ask(ofSecond.accessToken)).status).toBe(401);
    expect((await second.ask(ofFirst.accessToken)).status).toBe(401);
  }
});

test('also at the same moment', async () => {
  const [ofFirst, ofSecond] = [await first.open(), await second.open()];
  const answers = await Promise.all(
    Array.from({ length: 40 }, async (_, at) => {
      const [application, token] = [at % 2 ? first : second, at % 4 < 2 ? ofFirst : ofSecond];
      const own = (application === first) === (token === ofFirst);
      return (await application.ask(token.accessToken)).status === (own ? 200 : 401);
    }),
  );
  expect(answers.every(Boolean)).toBe(true);
});

test("nothing is registered in the process's own Passport", async () => {
  const { accessToken } = await first.open();
  await first.ask(accessToken);
  expect(strategies()).toBe(registered);
});

test('each mounts its logout under its own prefix', async () => {
  for (const [{ url, open }, own, other] of [
    [first, 'auth', 'account'],
    [second, 'account', 'auth'],
  ] as const) {
    const headers = { authorization: `Bearer ${(await open()).accessToken}` };
    expect((await answerOf(`${url}/${other}/logout`, headers, 'POST')).status).toBe(404);
    expect((await answerOf(`${url}/${own}/logout`, headers, 'POST')).status).toBe(204);
    expect((await answerOf(`${url}/.well-known/jwks.json`)).status).toBe(200);
  }
});
