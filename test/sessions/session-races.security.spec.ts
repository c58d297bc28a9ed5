import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { uuidV7 } from '../../src/core/uuid-v7.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { SessionActivity } from '../../src/sessions/session-activity.js';
import { SessionStore } from '../../src/sessions/session.store.js';
import type { OpenedSession } from '../../src/sessions/sessions.service.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { Edge } from './edge-application.js';
import { SessionRows } from './session-rows.js';

let database: TestDatabase;
let rows: SessionRows;
let one: Edge;
let two: Edge;

beforeAll(async () => {
  database = await createTestDatabase();
  rows = await SessionRows.connect(database.ownerUrl);
  one = await Edge.start({ database, maxSessionsPerSubject: 5 });
  two = await Edge.start({ database, maxSessionsPerSubject: 5, adapter: 'fastify' });
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
const reasonOf = async (id: string): Promise<string | null> => (await rows.of(id)).reason;

describe('No more sessions than the cap', () => {
  test('REF-21 twenty who sign in at once on two instances leave the cap alive, the newest, each with an end that is told', async () => {
    const alice = subject();
    const before = [];
    for (let count = 0; count < 4; count += 1) before.push(await one.open({ subject: alice }));
    one.events.splice(0);
    const opened = await Promise.all(
      Array.from({ length: 20 }, (_, at) => (at % 2 ? one : two).open({ subject: alice })),
    );
    const living = await rows.livingOf(alice);
    expect(living.length).toBe(5);
    for (const { sessionId } of before) expect(await reasonOf(sessionId)).toBe('too-many-sessions');
    const closed = [...one.events, ...two.events].filter(({ action }) => action === 'session.ended');
    expect(closed.length).toBe(19);
    expect(new Set(closed.map(({ reason }) => reason))).toEqual(new Set(['too-many-sessions']));
    for (const { sessionId, accessToken } of opened) {
      expect(await one.ask(accessToken)).toBe(living.includes(sessionId) ? 200 : 401);
      expect(await rows.countOfFeed(sessionId)).toBe(living.includes(sessionId) ? 0 : 1);
    }
  });

  test('REF-21 whoever just signed in is never the one that goes, however busy the others are', async () => {
    const alice = subject();
    const others: OpenedSession[] = [];
    for (let count = 0; count < 5; count += 1) others.push(await one.open({ subject: alice }));
    // The others are used while the new one is being opened: each is seen later than it.
    const store = one.get(SessionStore);
    const cap = store.cap.bind(store);
    const spied = vi.spyOn(store, 'cap').mockImplementation(async (...given) => {
      for (const { sessionId } of others) {
        await rows.client.query(
          'UPDATE sessions.session SET last_seen_at = clock_timestamp() WHERE id = $1',
          [sessionId],
        );
      }
      return cap(...given);
    });
    try {
      const { sessionId } = await one.open({ subject: alice });
      expect(await reasonOf(sessionId)).toBe(null);
      expect(await reasonOf(others[0]!.sessionId)).toBe('too-many-sessions');
    } finally {
      spied.mockRestore();
    }
    expect((await rows.livingOf(alice)).length).toBe(5);
  });

  test('REF-21 a step-up takes no room of its own', async () => {
    const alice = subject();
    const all: OpenedSession[] = [];
    for (let count = 0; count < 5; count += 1) all.push(await one.open({ subject: alice }));
    const { sessionId } = await one.sessions.replace(all[0]!.sessionId, { acr: 'aal2', amr: ['pwd', 'otp'] });
    expect(await rows.livingOf(alice)).toEqual(
      [...all.slice(1).map((each) => each.sessionId), sessionId].sort(),
    );
  });
});

describe('At the same moment', () => {
  const rounds = Array.from({ length: 15 }, (_, at) => at);

  test('REF-12 a refresh and the end of all leave no session and no token alive', async () => {
    for (const round of rounds) {
      const alice = subject();
      const opened = [await one.open({ subject: alice }), await one.open({ subject: alice })];
      const [, ...answers] = await Promise.all([
        (round % 2 ? one : two).sessions.endAllOf(alice, 'account-disabled'),
        ...opened.flatMap(({ refreshToken }) => [
          one.refreshWhenAble(refreshToken),
          two.refreshWhenAble(refreshToken),
        ]),
      ]);
      expect(await rows.livingOf(alice)).toEqual([]);
      for (const { status, body } of answers) {
        expect([200, 401]).toContain(status);
        if (status !== 200) continue;
        expect((await two.refresh(body['refreshToken'])).status).toBe(401);
        expect(await (round % 2 ? one : two).ask(body['accessToken'])).toBe(401);
      }
    }
  });

  test('REF-12 a step-up, a sign-in and the end of all: whatever was begun before it is over after it', async () => {
    for (const round of rounds) {
      const alice = subject();
      const { sessionId } = await one.open({ subject: alice });
      const outcome = await Promise.allSettled([
        one.sessions.replace(sessionId, { acr: 'aal2', amr: ['pwd', 'otp'] }),
        (round % 2 ? one : two).sessions.endAllOf(alice, 'account-disabled'),
        two.sessions.replace(sessionId, { acr: 'aal2', amr: ['pwd', 'otp'] }),
      ]);
      expect(outcome[1].status).toBe('fulfilled');
      for (const each of [outcome[0], outcome[2]]) {
        if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'invalid-credentials' });
      }
      expect(await rows.livingOf(alice)).toEqual([]);
    }
  });

  test('REF-12 a session that is being opened is seen by whoever ends all of them, and the end waits for it', async () => {
    const alice = subject();
    let ending: Promise<number> | undefined;
    const opened = await one.get(UnitOfWork).run(async () => {
      const session = await one.open({ subject: alice });
      ending = two.sessions.endAllOf(alice, 'account-disabled');
      await vi.waitUntil(
        async () =>
          (await rows.client.query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
            .rowCount,
        { timeout: 5_000, interval: 5 },
      );
      return session;
    });
    expect(await ending).toBe(1);
    expect(await reasonOf(opened.sessionId)).toBe('account-disabled');
  });

  test('REF-11 a refresh and a logout with the same token: the session is over, whoever was first', async () => {
    for (const round of rounds) {
      const { sessionId, refreshToken } = await one.open();
      const [logout, refresh] = await Promise.all([
        (round % 2 ? one : two).send('POST', '/auth/logout', {}, JSON.stringify({ refreshToken })),
        (round % 3 ? one : two).refresh(refreshToken),
      ]);
      expect(logout.status).toBe(204);
      expect(await reasonOf(sessionId)).toBe('logout');
      if (refresh.status === 200) {
        expect((await two.refresh(refresh.body['refreshToken'])).status).toBe(401);
      } else expect(refresh.status).toBe(401);
    }
  });

  test('REF-01 reuse, logout, step-up and the end of all: the family ends once, for one reason, with one event', async () => {
    for (const round of rounds) {
      const alice = subject();
      const { sessionId, refreshToken } = await one.open({ subject: alice });
      await one.refresh(refreshToken);
      await rows.ageRotation(sessionId, '11 s');
      one.events.splice(0);
      two.events.splice(0);
      const rival = [
        () => two.sessions.end(sessionId, 'logout'),
        () => two.sessions.replace(sessionId, { acr: 'aal2', amr: ['pwd', 'otp'] }).catch(() => undefined),
        () => two.sessions.endAllOf(alice, 'account-disabled'),
      ][round % 3]!;
      const [reused] = await Promise.all([one.refresh(refreshToken), rival()]);
      expect(reused.status).toBe(401);
      const reason = await reasonOf(sessionId);
      expect(['refresh-reuse', 'logout', 'stepped-up', 'account-disabled']).toContain(reason);
      const told = [...one.events, ...two.events].filter(
        ({ action, target }) => /^session\.(ended|reuse-detected)$/.test(action) && target?.id === sessionId,
      );
      expect(told.length).toBe(1);
      expect(told[0]!.action).toBe(reason === 'refresh-reuse' ? 'session.reuse-detected' : 'session.ended');
    }
  });

  test('sightings of many sessions wait for nobody who ends them, and nobody waits in a circle', async () => {
    const alice = subject();
    const opened = [];
    for (let count = 0; count < 5; count += 1) opened.push(await one.open({ subject: alice }));
    const ids = opened.map(({ sessionId }) => sessionId);
    await rows.client.query(
      "UPDATE sessions.session SET last_seen_at = now() - interval '5 min' WHERE subject = $1",
      [alice],
    );
    await one.get(UnitOfWork).run(async () => {
      await one.get(SessionStore).end(ids[2]!, 'logout');
      for (const id of ids.toReversed()) two.get(SessionActivity).seen(id);
      // Would wait for ever: the unit around it holds a row until this is done.
      await two.get(SessionActivity).flush();
      await one.sessions.endAllOf(alice, 'logout');
      await one.open({ subject: alice });
    });
    const { rows: seen } = await rows.client.query<{ fresh: boolean }>(
      "SELECT last_seen_at > now() - interval '1 min' AS fresh FROM sessions.session WHERE id = ANY($1::uuid[]) ORDER BY array_position($1, id)",
      [ids],
    );
    expect(seen.map(({ fresh }) => fresh)).toEqual([true, true, false, true, true]);
  });
});
