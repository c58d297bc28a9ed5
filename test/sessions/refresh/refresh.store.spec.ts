import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UnitOfWork } from '../../../src/database/unit-of-work.js';
import { hashOfSecret, readRefreshToken } from '../../../src/sessions/refresh/refresh-token.js';
import { RefreshStore, type PresentedGeneration } from '../../../src/sessions/refresh/refresh.store.js';
import { SessionIssuer } from '../../../src/sessions/session.issuer.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { SessionRows } from '../session-rows.js';
import { startSessions, type Started } from '../sessions-application.js';

let database: TestDatabase;
let rows: SessionRows;
let started: Started;
let store: RefreshStore;
beforeAll(async () => {
  database = await createTestDatabase();
  rows = await SessionRows.connect(database.ownerUrl);
  started = await startSessions({ database });
  store = started.app.get(RefreshStore);
});
afterAll(async () => {
  await started.app.close();
  await rows.close();
  await database.drop();
});

/** What the current token of a new session says of it. */
async function presented(): Promise<PresentedGeneration> {
  const { refreshToken } = await started.open();
  const token = readRefreshToken(refreshToken, 'token', started.app.get(SessionIssuer).refreshKey)!;
  const { sessionId, secret, generation } = token;
  const bound = { clientId: 'first-party', idleSeconds: 1_800 };
  return { sessionId, generation, refreshHash: hashOfSecret(secret), ...bound };
}

interface Times {
  readonly generation: number;
  readonly rotatedAt: Date;
  readonly seenAt: Date;
}

async function timesOf(id: string): Promise<Times> {
  const { rows: found } = await rows.client.query<Times>(
    'SELECT generation, rotated_at AS "rotatedAt", last_seen_at AS "seenAt" FROM sessions.session WHERE id = $1',
    [id],
  );
  return found[0]!;
}

const ELSEWHERE = {
  sessionId: '018f4d7e-0000-7000-8000-000000000001',
  refreshHash: Buffer.alloc(32, 1),
  clientId: 'another',
};

describe('rotate', () => {
  test('moves the one session on, by one, and notes that it was seen and when it rotated', async () => {
    const [mine, other] = [await presented(), await presented()];
    // As if they shared their secret: even then it is the session of the token that moves.
    const hash = mine.refreshHash.toString('hex');
    await rows.alter(`refresh_hash = decode('${hash}', 'hex')`, other.sessionId);
    for (const { sessionId } of [mine, other]) await rows.age(sessionId, '10 minutes');
    const [before, untouched] = [await timesOf(mine.sessionId), await timesOf(other.sessionId)];

    const session = await store.rotate(mine);

    expect(session).toMatchObject({ id: mine.sessionId, clientId: 'first-party', ended: false });
    const after = await timesOf(mine.sessionId);
    expect(after.generation).toBe(1);
    for (const name of ['rotatedAt', 'seenAt'] as const) {
      expect(after[name].getTime() - before[name].getTime()).toBeGreaterThan(590_000);
    }
    expect(await timesOf(other.sessionId)).toEqual(untouched);
    expect(await store.rotate(mine)).toBeUndefined();
    expect((await store.rotate({ ...mine, generation: 1 }))?.id).toBe(mine.sessionId);
  });

  test.each<[string, Partial<PresentedGeneration>]>([
    ['another session', { sessionId: ELSEWHERE.sessionId }],
    ['another secret', { refreshHash: ELSEWHERE.refreshHash }],
    ['another client', { clientId: ELSEWHERE.clientId }],
    ['a later generation', { generation: 1 }],
    ['an earlier generation', { generation: -1 }],
  ])('changes nothing for %s', async (_name, part) => {
    const mine = await presented();
    const before = await timesOf(mine.sessionId);
    expect(await store.rotate({ ...mine, ...part })).toBeUndefined();
    expect(await timesOf(mine.sessionId)).toEqual(before);
    expect(await store.rotate(mine)).toBeDefined();
  });

  test.each([
    ['has ended', `ended_at = clock_timestamp(), ended_reason = 'logout'`],
    ['is over', 'expires_at = clock_timestamp()'],
    ['was idle for just as long as it may', "last_seen_at = clock_timestamp() - interval '1800 s'"],
  ])('moves no session that %s', async (_name, sql) => {
    const mine = await presented();
    await rows.alter(sql, mine.sessionId);
    const before = await timesOf(mine.sessionId);
    expect(await store.rotate(mine)).toBeUndefined();
    expect(await timesOf(mine.sessionId)).toEqual(before);
  });

  test('moves one that was idle for less, or is in its last minute', async () => {
    for (const sql of [
      "last_seen_at = clock_timestamp() - interval '1740 s'",
      "expires_at = clock_timestamp() + interval '60 s'",
    ]) {
      const mine = await presented();
      await rows.alter(sql, mine.sessionId);
      expect(await store.rotate(mine)).toBeDefined();
    }
  });
});

describe('stateOf', () => {
  test('says of a family, whatever its generation, how it stands', async () => {
    const mine = await presented();
    await store.rotate(mine);
    await rows.alter("rotated_at = rotated_at - interval '100 s'", mine.sessionId);
    const state = await store.stateOf(mine, false);
    expect(state).toMatchObject({ id: mine.sessionId, generation: 1, ended: false, idle: false });
    expect(state!.secondsSinceRotation).toBeGreaterThanOrEqual(100);
    expect(state!.secondsSinceRotation).toBeLessThan(150);
    expect(state!.secondsLeft).toBeGreaterThan(43_000);
    expect(state!.secondsLeft).toBeLessThanOrEqual(43_200);
    await rows.alter("last_seen_at = clock_timestamp() - interval '1740 s'", mine.sessionId);
    expect((await store.stateOf(mine, false))?.idle).toBe(false);
    await rows.alter("last_seen_at = clock_timestamp() - interval '1800 s'", mine.sessionId);
    expect((await store.stateOf(mine, false))?.idle).toBe(true);
    await rows.alter(
      `expires_at = clock_timestamp(), ended_at = clock_timestamp(), ended_reason = 'logout'`,
      mine.sessionId,
    );
    const over = await store.stateOf(mine, false);
    expect([over?.ended, over!.secondsLeft <= 0]).toEqual([true, true]);
  });

  test('knows none by another session, secret or client', async () => {
    const [mine, other] = [await presented(), await presented()];
    for (const [name, value] of Object.entries(ELSEWHERE)) {
      expect(await store.stateOf({ ...mine, [name]: value }, false), name).toBeUndefined();
    }
    const hash = mine.refreshHash.toString('hex');
    await rows.alter(`refresh_hash = decode('${hash}', 'hex')`, other.sessionId);
    for (const each of [mine, { ...other, refreshHash: mine.refreshHash }]) {
      expect((await store.stateOf(each, false))?.id).toBe(each.sessionId);
    }
  });

  test('holds the row until the unit of work ends where that is asked for, and no longer', async () => {
    const mine = await presented();
    const other = new pg.Client({ connectionString: database.superuserUrl });
    await other.connect();
    const free = (): Promise<boolean> =>
      other
        .query('SELECT FROM sessions.session WHERE id = $1 FOR UPDATE NOWAIT', [mine.sessionId])
        .then(() => true)
        .catch((error: unknown) => (error as { code?: string }).code !== '55P03');
    try {
      const whether = (lock: boolean): Promise<boolean> =>
        started.app.get(UnitOfWork).run(async () => {
          await store.stateOf(mine, lock);
          return free();
        });
      expect([await whether(false), await whether(true), await free()]).toEqual([true, false, true]);
    } finally {
      await other.end();
    }
  });
});
