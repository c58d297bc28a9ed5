import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { uuidV7 } from '../../../src/core/uuid-v7.js';
import { RefreshStore } from '../../../src/sessions/refresh/refresh.store.js';
import { SessionActivity } from '../../../src/sessions/session-activity.js';
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

describe('Lifetimes', () => {
  test('REF-09 the absolute end stands from sign-in on, whatever is refreshed or stepped up', async () => {
    const alice = subject();
    let { sessionId, refreshToken } = await one.open({ subject: alice });
    const { expiresAt, createdAt } = await rows.of(sessionId);
    expect(expiresAt.getTime() - createdAt.getTime()).toBe(43_200_000);
    // Twelve hours in steps of 25 minutes: always in use.
    for (let minutes = 25; minutes < 720; minutes += 25) {
      await rows.age(sessionId, '25 minutes');
      const answer = await (minutes % 2 ? one : two).refresh(refreshToken);
      expect(answer.status).toBe(200);
      refreshToken = refreshTokenOf(answer);
      if (minutes === 400) {
        const { expiresAt: before } = await rows.of(sessionId);
        ({ sessionId, refreshToken } = await one.sessions.replace(sessionId, {
          acr: 'aal2',
          amr: ['pwd', 'otp'],
        }));
        expect((await rows.of(sessionId)).expiresAt).toEqual(before);
      }
    }
    await rows.age(sessionId, '25 minutes');
    one.events.splice(0);
    expect((await one.refresh(refreshToken)).status).toBe(401);
    expect(one.events.map(({ reason }) => reason)).toEqual(['the session has expired']);
    await expect(one.sessions.replace(sessionId, { acr: 'aal2', amr: ['pwd'] })).rejects.toMatchObject({
      code: 'invalid-credentials',
    });
  });

  test('a session in its last second is not replaced by one that would be born dead', async () => {
    const { sessionId } = await one.open();
    await rows.alter("expires_at = clock_timestamp() + interval '900 ms'", sessionId);
    await expect(one.sessions.replace(sessionId, { acr: 'aal2', amr: ['pwd'] })).rejects.toMatchObject({
      code: 'invalid-credentials',
    });
  });

  test('REF-10 a session that was not used for its idle time is over: neither token nor retry nor list has it', async () => {
    const alice = subject();
    const { sessionId, refreshToken } = await one.open({ subject: alice });
    const current = refreshTokenOf(await one.refresh(refreshToken));
    await rows.age(sessionId, '29 minutes');
    const retried = refreshTokenOf(await one.refresh(current));
    await rows.age(sessionId, '30 minutes');
    one.events.splice(0);
    for (const token of [retried, current, refreshToken]) expect((await one.refresh(token)).status).toBe(401);
    expect(new Set(one.events.map(({ reason }) => reason))).toEqual(
      new Set(['the session was idle for too long']),
    );
    expect(await one.sessions.listOf(alice)).toEqual([]);
  });

  test('REF-09 in the very instant of its end a session is over, and that is no reuse', async () => {
    const { sessionId, refreshToken } = await one.open();
    const store = one.get(RefreshStore);
    const original = store.stateOf.bind(store);
    // What no test can wait for: the database finds it over, and not a microsecond has passed since.
    vi.spyOn(store, 'rotate').mockResolvedValue(undefined);
    vi.spyOn(store, 'stateOf').mockImplementation(async (...given) => ({
      ...(await original(...given))!,
      secondsLeft: 0,
    }));
    one.events.splice(0);
    try {
      expect((await one.refresh(refreshToken)).status).toBe(401);
    } finally {
      vi.restoreAllMocks();
    }
    expect(one.events.map(({ reason }) => reason)).toEqual(['the session has expired']);
    expect(await ended(sessionId)).toBe(null);
  });

  test('REF-10 a late sighting does not bring an idle session back, and one in time keeps it', async () => {
    const [idle, used] = [await one.open(), await one.open()];
    await rows.age(idle.sessionId, '31 minutes');
    await rows.age(used.sessionId, '29 minutes');
    const activity = two.get(SessionActivity);
    for (const { sessionId } of [idle, used]) activity.seen(sessionId);
    await activity.flush();
    expect((await one.refresh(idle.refreshToken)).status).toBe(401);
    await rows.age(used.sessionId, '5 minutes');
    expect((await one.refresh(used.refreshToken)).status).toBe(200);
  });

  test('FLT-09 a replica whose clock is an hour off refreshes like any other; no family dies of it', async () => {
    const skewed = await Edge.start({ database });
    try {
      const { sessionId, refreshToken } = await one.open();
      let token = refreshToken;
      for (const seconds of [60, -60, 3_600, -3_600, 86_400 * 365]) {
        skewed.clock.now = one.clock.now + seconds * 1000;
        const [there, again] = [await skewed.refresh(token), await one.refresh(token)];
        expect(statusesOf([there, again])).toEqual([200, 200]);
        expect(refreshTokenOf(there)).toBe(refreshTokenOf(again));
        token = refreshTokenOf(there);
      }
      expect(await ended(sessionId)).toBe(null);
      // Beyond the tolerance the access tokens of either are refused by the other, and nothing else happens.
      skewed.clock.now = one.clock.now + 3_600_000;
      const early = accessTokenOf(await skewed.refresh(token));
      expect(await one.ask(early)).toBe(401);
      expect(await ended(sessionId)).toBe(null);
    } finally {
      await skewed.close();
    }
  });
});
