import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { startFaultProxy, type FaultProxy } from '../../support/fault-proxy.js';
import { accessTokenOf, Edge, refreshTokenOf } from '../edge-application.js';
import { HeldRequest, RefreshProcess } from './refresh-process.js';
import { SessionRows } from '../session-rows.js';

let database: TestDatabase;
let rows: SessionRows;
let steady: Edge;

beforeAll(async () => {
  database = await createTestDatabase();
  rows = await SessionRows.connect(database.ownerUrl);
  steady = await Edge.start({ database });
});
afterAll(async () => {
  await steady.close();
  await rows.close();
  await database.drop();
});

describe('A database that is lost', () => {
  let proxy: FaultProxy;
  let faulty: Edge;
  beforeAll(async () => {
    proxy = await startFaultProxy(database.appUrl);
    faulty = await Edge.start({
      database: { appUrl: proxy.through(database.appUrl), auditUrl: database.auditUrl },
    });
  });
  afterAll(async () => {
    proxy.pass();
    await faulty.close();
    await proxy.close();
  });

  test('FLT-01 after the rotation was committed and before its answer came: 503, and the retry gets the successor, here and elsewhere', async () => {
    for (const retrying of [faulty, steady]) {
      const { sessionId, refreshToken } = await steady.open();
      const lost = proxy.loseAnswerTo('UPDATE sessions.session');
      const failed = await faulty.refresh(refreshToken);
      await lost;
      expect([failed.status, failed.body['code']]).toEqual([503, 'temporarily-unavailable']);
      expect((await rows.of(sessionId)).generation).toBe(1);

      const retried = await retrying.refresh(refreshToken);
      expect(retried.status).toBe(200);
      expect((await rows.of(sessionId)).generation).toBe(1);
      expect(await steady.ask(accessTokenOf(retried))).toBe(200);
      expect((await faulty.refresh(refreshTokenOf(retried))).status).toBe(200);
      expect((await rows.of(sessionId)).reason).toBe(null);
    }
  });

  test('FLT-01 before the rotation reached it: 503, nothing has changed, and the retry rotates', async () => {
    const { sessionId, refreshToken } = await steady.open();
    proxy.cut();
    expect((await faulty.refresh(refreshToken)).status).toBe(503);
    expect((await rows.of(sessionId)).generation).toBe(0);
    proxy.pass();
    expect((await faulty.refresh(refreshToken)).status).toBe(200);
    expect((await rows.of(sessionId)).generation).toBe(1);
  });

  test('FLT-01 after the end of a family was committed and before its answer came: no token of it is ever good again', async () => {
    const { sessionId, refreshToken, accessToken } = await steady.open();
    const successor = refreshTokenOf(await steady.refresh(refreshToken));
    await rows.ageRotation(sessionId, '11 s');
    const lost = proxy.loseAnswerTo('COMMIT');
    expect((await faulty.refresh(refreshToken)).status).toBe(503);
    await lost;
    expect((await rows.of(sessionId)).reason).toBe('refresh-reuse');
    expect((await rows.recorded('session.reuse-detected', sessionId)).length).toBe(1);
    for (const edge of [faulty, steady]) {
      for (const token of [refreshToken, successor]) expect((await edge.refresh(token)).status).toBe(401);
      expect(await edge.ask(accessToken)).toBe(401);
    }
  });

  test('FLT-01 before the end of a family was committed: nothing of it has happened, and the next replay ends it', async () => {
    const { sessionId, refreshToken } = await steady.open();
    await steady.refresh(refreshToken);
    await rows.ageRotation(sessionId, '11 s');
    const lost = proxy.loseAnswerTo('freshness.append');
    expect((await faulty.refresh(refreshToken)).status).toBe(503);
    await lost;
    expect(await rows.countOfFeed(sessionId)).toBe(0);
    expect((await rows.of(sessionId)).reason).toBe(null);
    expect(await rows.recorded('session.reuse-detected', sessionId)).toEqual([]);
    expect((await faulty.refresh(refreshToken)).status).toBe(401);
    expect((await rows.of(sessionId)).reason).toBe('refresh-reuse');
    expect(await rows.countOfFeed(sessionId)).toBe(1);
  });

  test('FLT-06 that answers nothing: 503 within the limit of a statement, nobody is let in, and no family dies of it', async () => {
    const { sessionId, refreshToken } = await steady.open();
    const began = performance.now();
    proxy.blackHole();
    const answers = await Promise.all(Array.from({ length: 20 }, () => faulty.refresh(refreshToken)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
    expect(performance.now() - began).toBeLessThan(15_000);
    for (const { text } of answers) expect(text).not.toContain('zt_refresh_');
    proxy.pass();
    expect((await faulty.refresh(refreshToken)).status).toBe(200);
    expect((await rows.of(sessionId)).reason).toBe(null);
  });
});

describe('Two processes', () => {
  test('REF-02 200 at once with one token on raw sockets, in 20 rounds: one successor each, whoever answers', async () => {
    const replicas = await Promise.all([
      RefreshProcess.start(database, { refreshRetrySeconds: 60 }),
      RefreshProcess.start(database, { refreshRetrySeconds: 60 }),
    ]);
    try {
      const { sessionId, refreshToken: first } = await steady.open();
      let refreshToken = first;
      for (let round = 1; round <= 20; round += 1) {
        const body = JSON.stringify({ refreshToken });
        const held = await Promise.all(
          Array.from({ length: 200 }, (_, at) =>
            HeldRequest.hold(replicas[at % 2]!.port, '/auth/refresh', body),
          ),
        );
        for (const request of held) request.release();
        const answers = await Promise.all(held.map((request) => request.answer()));
        const won = answers.filter(({ status }) => status === 200);
        const successors = new Set(won.map((answer) => String(answer.body['refreshToken'])));
        // A loaded machine may put some off: whoever is told 503 asks again, and gets the same.
        for (const answer of answers.filter(({ status }) => status !== 200)) {
          expect(answer.status).toBe(503);
          const again = await refreshAt(replicas[round % 2]!.url, refreshToken);
          if (again.status === 200) successors.add(String(again.body['refreshToken']));
          else expect(again.status).toBe(503);
        }
        expect(won.length).toBeGreaterThan(0);
        expect(successors.size).toBe(1);
        expect((await rows.of(sessionId)).generation).toBe(round);
        [refreshToken = ''] = successors;
      }
      expect((await rows.of(sessionId)).reason).toBe(null);
      expect((await steady.refresh(refreshToken)).status).toBe(200);
    } finally {
      await Promise.all(replicas.map((replica) => replica.kill()));
    }
  }, 240_000);

  test('FLT-01 kill -9 between commit and answer, twenty times under eight clients: each goes on with its last token, nothing forks', async () => {
    // A machine under load takes its time to notice: what is proved is what happens inside of the window.
    const options = { refreshRetrySeconds: 60 };
    let serving = await RefreshProcess.start(database, options);
    let standby = RefreshProcess.start(database, options);
    let kills = 0;
    /** All who find the replica gone wait for the next one. */
    let failingOver: Promise<void> | undefined;
    const failOver = async (): Promise<void> => {
      await serving.kill();
      serving = await standby;
      standby = RefreshProcess.start(database, options);
      kills += 1;
      if (kills < 20) serving.dieAtNextRotation();
    };
    const clients = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { sessionId, refreshToken } = await steady.open();
        return { sessionId, journal: [refreshToken], lost: 0 };
      }),
    );
    serving.dieAtNextRotation();
    await Promise.all(
      clients.map(async (client) => {
        while (kills < 20) {
          const { url } = serving;
          const answer = await refreshAt(url, client.journal.at(-1)!).catch(() => undefined);
          if (!answer) {
            client.lost += 1;
            // Somebody else may have gone on to the next one meanwhile.
            if (url === serving.url) failingOver ??= failOver().finally(() => (failingOver = undefined));
            await failingOver;
            continue;
          }
          expect(answer.status).toBe(200);
          client.journal.push(String(answer.body['refreshToken']));
        }
      }),
    );
    try {
      expect(clients.reduce((sum, { lost }) => sum + lost, 0)).toBeGreaterThanOrEqual(20);
      for (const { sessionId, journal } of clients) {
        // No answer of all that arrived led back, or aside.
        expect(new Set(journal).size).toBe(journal.length);
        const last = await refreshAt(serving.url, journal.at(-1)!);
        expect([last.status, (await rows.of(sessionId)).reason]).toEqual([200, null]);
        expect((await rows.of(sessionId)).generation).toBe(journal.length);
      }
      expect((await rows.recorded('session.reuse-detected', clients[0]!.sessionId)).length).toBe(0);
    } finally {
      await Promise.all([serving.kill(), standby.then((replica) => replica.kill())]);
    }
  }, 240_000);

  test('FLT-01 whoever comes back after the window finds the family over, and the log says why', async () => {
    const replica = await RefreshProcess.start(database);
    const { sessionId, refreshToken } = await steady.open();
    replica.dieAtNextRotation();
    await expect(refreshAt(replica.url, refreshToken)).rejects.toThrow();
    await replica.kill();
    expect((await rows.of(sessionId)).generation).toBe(1);
    await rows.ageRotation(sessionId, '11 s');
    expect((await steady.refresh(refreshToken)).status).toBe(401);
    expect((await rows.of(sessionId)).reason).toBe('refresh-reuse');
    expect((await rows.recorded('session.reuse-detected', sessionId)).length).toBe(1);
  });
});

async function refreshAt(
  url: string,
  refreshToken: string,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${url}/auth/refresh`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ refreshToken }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
