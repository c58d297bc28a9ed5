import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { uuidV7 } from '../../../src/core/uuid-v7.js';
import { AuditRecorder } from '../../../src/audit/audit.recorder.js';
import { UnitOfWork } from '../../../src/database/unit-of-work.js';
import { RefreshService } from '../../../src/sessions/refresh/refresh.service.js';
import { RefreshStore } from '../../../src/sessions/refresh/refresh.store.js';
import { SigningKeys } from '../../../src/sessions/signing-keys/signing-keys.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { accessTokenOf, Edge, refreshTokenOf, type EdgeAnswer } from '../edge-application.js';
import { SessionRows } from '../session-rows.js';

let database: TestDatabase;
let rows: SessionRows;
let one: Edge;
let two: Edge;

beforeAll(async () => {
  database = await createTestDatabase();
  rows = await SessionRows.connect(database.ownerUrl);
  one = await Edge.start({ database });
  two = await Edge.start({ database, adapter: 'fastify' });
});
afterAll(async () => {
  await one.close();
  await two.close();
  await rows.close();
  await database.drop();
});
beforeEach(() => {
  one.events.splice(0);
  two.events.splice(0);
});

const subject = (): string => uuidV7(Date.now());
const statusesOf = (answers: readonly EdgeAnswer[]): number[] => answers.map(({ status }) => status);
const ended = (id: string): Promise<string | null> => rows.of(id).then(({ reason }) => reason);

describe('Reuse of a refresh token', () => {
  test('REF-01 REF-08 ends the family with its access tokens everywhere, recorded, felt, and not rolled back by the 401; other sessions live', async () => {
    const alice = subject();
    const [family, other] = [await one.open({ subject: alice }), await one.open({ subject: alice })];
    const first = await two.refresh(family.refreshToken);
    const tokens = [family.accessToken, accessTokenOf(first)];
    for (const token of tokens) {
      expect([await one.ask(token), await two.ask(token)]).toEqual([200, 200]);
    }
    await rows.ageRotation(family.sessionId, '10.1 s');

    const reused = await one.refresh(family.refreshToken);

    expect([reused.status, reused.body['code']]).toEqual([401, 'invalid-credentials']);
    for (const token of tokens) expect(await one.ask(token)).toBe(401);
    await vi.waitUntil(async () => (await two.ask(tokens[0])) === 401, { timeout: 1_000, interval: 5 });
    expect(await two.ask(tokens[1])).toBe(401);
    expect((await two.refresh(refreshTokenOf(first))).status).toBe(401);
    expect(await ended(family.sessionId)).toBe('refresh-reuse');
    expect(await rows.countOfFeed(family.sessionId)).toBe(1);
    const recorded = await rows.recorded('session.reuse-detected', family.sessionId);
    expect(recorded.length).toBe(1);
    expect(JSON.parse(recorded[0]!)).toMatchObject({
      ...{ severity_id: 4, session: { uid: family.sessionId }, user: { uid: alice } },
      unmapped: { detail: { presented: 0, current: 1, clientId: 'first-party' } },
    });
    expect(await two.ask(other.accessToken)).toBe(200);
    expect((await two.refresh(other.refreshToken)).status).toBe(200);
  });

  test('REF-01 inside of a unit of work of the host, which the refusal rolls back, the family ends all the same', async () => {
    const { sessionId, refreshToken } = await one.open();
    await one.refresh(refreshToken);
    await rows.ageRotation(sessionId, '11 s');
    const refreshing = one.get(UnitOfWork).run(() => one.get(RefreshService).refresh(refreshToken, 'token'));
    await expect(refreshing).rejects.toMatchObject({ code: 'invalid-credentials' });
    expect(await ended(sessionId)).toBe('refresh-reuse');
    expect((await rows.recorded('session.reuse-detected', sessionId)).length).toBe(1);
  });

  test('REF-24 raises one event at once that names session, subject, address, time and both generations, and holds no token', async () => {
    const alice = subject();
    const { sessionId, refreshToken } = await one.open({ subject: alice });
    const successor = refreshTokenOf(await one.refresh(refreshToken));
    await one.refresh(successor);
    one.events.splice(0);
    const before = one.clock.nowMs();

    await one.refresh(refreshToken);

    expect(one.events).toEqual([
      expect.objectContaining({
        ...{ action: 'session.reuse-detected', outcome: 'failure', delivery: 'same-transaction' },
        ...{ actor: alice, target: { type: 'session', id: sessionId } },
        ...{ reason: 'the refresh token was used before', sourceAddress: '127.0.0.1', occurredAtMs: before },
        detail: { presented: 0, current: 2, clientId: 'first-party' },
      }),
    ]);
    const texts = [JSON.stringify(one.events), ...(await rows.recorded(sessionId))];
    for (const token of [refreshToken, successor]) {
      const bytes = Buffer.from(token.slice('zt_refresh_'.length), 'base64url');
      for (const part of [
        token,
        token.slice(35, 60),
        bytes.toString('hex', 16, 32),
        bytes.toString('hex', 36),
      ])
        expect(texts.filter((text) => text.includes(part))).toEqual([]);
    }
  });

  test('of a generation that is older than the preceding one is reuse at any time, also inside the window', async () => {
    const { sessionId, refreshToken } = await one.open();
    await two.refresh(refreshTokenOf(await one.refresh(refreshToken)));
    expect((await one.refresh(refreshToken)).status).toBe(401);
    expect(await ended(sessionId)).toBe('refresh-reuse');
  });

  test('of a token whose successor was used is reuse: a retry is for answers that nobody got', async () => {
    const { sessionId, refreshToken } = await one.open();
    const successor = refreshTokenOf(await one.refresh(refreshToken));
    expect((await one.refresh(refreshToken)).status).toBe(200);
    expect((await one.refresh(successor)).status).toBe(200);
    expect((await one.refresh(refreshToken)).status).toBe(401);
    expect(await ended(sessionId)).toBe('refresh-reuse');
  });

  test('by fifty at once ends the family once, with one event; those who came second are refused and recorded too', async () => {
    const { sessionId, refreshToken } = await one.open();
    await one.refresh(refreshToken);
    await rows.ageRotation(sessionId, '11 s');
    one.events.splice(0);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) => (at % 2 ? one : two).refreshWhenAble(refreshToken)),
    );
    expect(new Set(statusesOf(answers))).toEqual(new Set([401]));
    const actions = [...one.events, ...two.events].map(({ action }) => action).sort();
    expect(actions.filter((action) => action === 'session.reuse-detected').length).toBe(1);
    expect(actions.filter((action) => action === 'authentication.refused').length).toBe(49);
    expect(await rows.countOfFeed(sessionId)).toBe(1);
  });

  test('REF-23 a thousand replays of a dead family are refused alike, and leave a handful of entries', async () => {
    const { sessionId, refreshToken } = await one.open();
    const current = refreshTokenOf(await one.refresh(refreshToken));
    await one.sessions.end(sessionId, 'logout');
    const bodies = new Set<string>();
    for (let round = 0; round < 20; round += 1) {
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, at) => one.refreshWhenAble(at % 2 ? refreshToken : current)),
      );
      for (const { status, body } of answers) bodies.add(`${String(status)} ${String(body['code'])}`);
    }
    expect([...bodies]).toEqual(['401 invalid-credentials']);
    await one.get(AuditRecorder).flush();
    // Five of each window of ten seconds, and one that counts the rest; none is lost.
    const entries = await rows.recorded('authentication.refused', 'the session has ended', sessionId);
    expect(entries.length).toBeLessThan(60);
    const counts = entries.map((entry) => (JSON.parse(entry) as { count?: number }).count ?? 1);
    expect(counts.reduce((sum, each) => sum + each)).toBe(1_000);
    expect(await ended(sessionId)).toBe('logout');
  }, 60_000);

  test('REF-23 a token of a session whose row is gone is refused like any other', async () => {
    const { sessionId, refreshToken } = await one.open();
    await rows.client.query('BEGIN');
    await rows.client.query("INSERT INTO audit.pending (id, entry) VALUES (gen_random_uuid(), '{}')");
    await rows.client.query('DELETE FROM sessions.session WHERE id = $1', [sessionId]);
    await rows.client.query('COMMIT');
    expect((await one.refresh(refreshToken)).status).toBe(401);
    expect(one.events.at(-1)?.reason).toBe('the session is unknown');
  });

  test('REF-20 nothing ever removes what tells reuse: the application may not, and purging leaves it', async () => {
    const { sessionId, refreshToken } = await one.open();
    await one.refresh(refreshToken);
    await rows.age(sessionId, '25 minutes');
    await one.get(UnitOfWork).query('SELECT freshness.purge()');
    await expect(one.get(UnitOfWork).query('DELETE FROM sessions.session')).rejects.toMatchObject({
      code: '42501',
    });
    expect((await one.refresh(refreshToken)).status).toBe(401);
    expect(await ended(sessionId)).toBe('refresh-reuse');
  });

  test('a token that is ahead of its session, as after a restored backup, ends it too', async () => {
    const { sessionId, refreshToken } = await one.open();
    const ahead = refreshTokenOf(await one.refresh(refreshToken));
    await rows.alter('generation = 0', sessionId);
    expect((await one.refresh(ahead)).status).toBe(401);
    expect(one.events.at(-1)?.reason).toBe('the refresh token is newer than its session');
    expect(await ended(sessionId)).toBe('refresh-reuse');
  });
});

describe('One winner', () => {
  test.each(['express', 'fastify'] as const)(
    'REF-02 fifty at once on %s get the one successor, which works once more',
    async (adapter) => {
      const edge = adapter === 'express' ? one : two;
      const { sessionId, refreshToken } = await edge.open();
      const answers = await Promise.all(Array.from({ length: 50 }, () => edge.refreshWhenAble(refreshToken)));
      expect(new Set(statusesOf(answers))).toEqual(new Set([200]));
      expect(new Set(answers.map(refreshTokenOf)).size).toBe(1);
      expect((await rows.of(sessionId)).generation).toBe(1);
      for (const answer of answers.slice(0, 5)) expect(await edge.ask(accessTokenOf(answer))).toBe(200);
      expect((await edge.refresh(refreshTokenOf(answers[0]!))).status).toBe(200);
      expect((await rows.of(sessionId)).generation).toBe(2);
    },
  );

  test('REF-02 by cookie too: whoever lost the race gets the same cookies, and nothing takes any away', async () => {
    const { refreshToken } = await one.open({ delivery: 'cookie' });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        (at % 2 ? one : two).refreshByCookie(`__Host-refresh=${refreshToken}`),
      ),
    );
    const cookies = answers.map(({ headers }) =>
      headers.getSetCookie().find((each) => each.startsWith('__Host-refresh=')),
    );
    expect(new Set(cookies).size).toBe(1);
    expect(cookies[0]).toMatch(
      /^__Host-refresh=zt_refresh_[\w-]{91}; Path=\/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict$/,
    );
    expect(answers.map(({ text }) => text)).toEqual(
      answers.map(() => '{"status":"authenticated","expiresIn":900}'),
    );
  });

  test('a refused refresh sets, clears and forgets nothing in the browser', async () => {
    const { sessionId, refreshToken } = await one.open({ delivery: 'cookie' });
    await one.sessions.end(sessionId, 'logout');
    for (const edge of [one, two]) {
      const { status, headers } = await edge.refreshByCookie(`__Host-refresh=${refreshToken}`);
      expect([status, headers.getSetCookie(), headers.get('clear-site-data')]).toEqual([401, [], null]);
    }
  });

  test('REF-04 inside the window a lost answer is had again on any replica: the same successor, however often', async () => {
    const { sessionId, refreshToken } = await one.open();
    // The window begins with the rotation, however long ago the sign-in was.
    await rows.age(sessionId, '20 minutes');
    const lost = refreshTokenOf(await one.refresh(refreshToken));
    await rows.ageRotation(sessionId, '1 s');
    for (const edge of [one, two, one]) expect(refreshTokenOf(await edge.refresh(refreshToken))).toBe(lost);
    expect((await two.refresh(lost)).status).toBe(200);
    expect(await ended(sessionId)).toBe(null);
    expect(one.events.filter(({ outcome }) => outcome === 'failure')).toEqual([]);
  });

  test('the window ends refreshRetrySeconds after the rotation by the clock of the database, that very instant included', async () => {
    const { sessionId, refreshToken } = await one.open();
    await one.refresh(refreshToken);
    const store = one.get(RefreshStore);
    const original = store.stateOf.bind(store);
    let seconds = 0;
    const spied = vi.spyOn(store, 'stateOf').mockImplementation(async (...given) => ({
      ...(await original(...given))!,
      secondsSinceRotation: seconds,
    }));
    try {
      for (seconds of [-1, 0, 9.999999, 10]) expect((await one.refresh(refreshToken)).status).toBe(200);
      expect(await ended(sessionId)).toBe(null);
      seconds = 10.000001;
      expect((await one.refresh(refreshToken)).status).toBe(401);
    } finally {
      spied.mockRestore();
    }
    expect(await ended(sessionId)).toBe('refresh-reuse');
    // And what the database counts is what was spied on.
    const other = await one.open();
    await one.refresh(other.refreshToken);
    await rows.ageRotation(other.sessionId, '5 s');
    expect((await one.refresh(other.refreshToken)).status).toBe(200);
    await rows.ageRotation(other.sessionId, '5.1 s');
    expect((await one.refresh(other.refreshToken)).status).toBe(401);
  });

  test('without a window every second use is reuse', async () => {
    const strict = await Edge.start({ database, refreshRetrySeconds: 0 });
    try {
      const { sessionId, refreshToken } = await strict.open();
      const answers = await Promise.all([strict.refresh(refreshToken), strict.refresh(refreshToken)]);
      expect(statusesOf(answers).sort()).toEqual([200, 401]);
      expect(await ended(sessionId)).toBe('refresh-reuse');
    } finally {
      await strict.close();
    }
  });

  test('what came to be current again while it was looked at is no reuse: 503, and a retry succeeds', async () => {
    const { sessionId, refreshToken } = await one.open();
    const store = one.get(RefreshStore);
    // As if it had been idle for too long, and then a sighting came in.
    const spied = vi.spyOn(store, 'rotate').mockResolvedValueOnce(undefined);
    expect((await one.refresh(refreshToken)).status).toBe(503);
    spied.mockRestore();
    expect(await ended(sessionId)).toBe(null);
    expect((await one.refresh(refreshToken)).status).toBe(200);
  });

  test('no session moves on while nothing can sign: the token is as good as before', async () => {
    const { sessionId, refreshToken } = await one.open();
    const spied = vi.spyOn(one.get(SigningKeys), 'active').mockRejectedValueOnce(new Error('no key'));
    expect((await one.refresh(refreshToken)).status).toBe(500);
    spied.mockRestore();
    expect((await rows.of(sessionId)).generation).toBe(0);
  });
});
