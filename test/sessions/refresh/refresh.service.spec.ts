import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { RefreshService } from '../../../src/sessions/refresh/refresh.service.js';
import { RefreshStore, type RefreshState } from '../../../src/sessions/refresh/refresh.store.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { SessionRows } from '../session-rows.js';
import { startSessions, type Started } from '../sessions-application.js';

let database: TestDatabase;
let rows: SessionRows;
let started: Started;
let service: RefreshService;
let store: RefreshStore;
beforeAll(async () => {
  database = await createTestDatabase();
  rows = await SessionRows.connect(database.ownerUrl);
  started = await startSessions({ database });
  service = started.app.get(RefreshService);
  store = started.app.get(RefreshStore);
});
afterAll(async () => {
  await started.app.close();
  await rows.close();
  await database.drop();
});
afterEach(() => vi.restoreAllMocks());

/** `unlocked`: what the first look finds; under the lock it is what the row says. */
function firstLook(unlocked: Partial<RefreshState>): void {
  const original = store.stateOf.bind(store);
  vi.spyOn(store, 'stateOf').mockImplementation(async (presented, lock) => {
    const state = await original(presented, lock);
    return state && (lock ? state : { ...state, ...unlocked });
  });
}

const refusalOf = (text: string): Promise<unknown> =>
  service.refresh(text, 'token').then(
    () => 'accepted',
    (error: unknown) => error,
  );

test('what looks like reuse and under the lock is a retry gets the same successor, and the family lives', async () => {
  const { sessionId, refreshToken } = await started.open();
  const successor = await service.refresh(refreshToken, 'token');
  firstLook({ secondsSinceRotation: 11 });
  expect((await service.refresh(refreshToken, 'token')).refreshToken).toBe(successor.refreshToken);
  expect((await rows.of(sessionId)).reason).toBe(null);
});

test('what looks like reuse and under the lock is over is refused as that, without an event of reuse', async () => {
  const { sessionId, refreshToken } = await started.open();
  await service.refresh(refreshToken, 'token');
  await rows.alter(
    `rotated_at = rotated_at - interval '11 s', ended_at = clock_timestamp(), ended_reason = 'logout'`,
    sessionId,
  );
  firstLook({ ended: false });
  started.events.splice(0);
  expect(await refusalOf(refreshToken)).toMatchObject({
    code: 'invalid-credentials',
    detail: 'the session has ended',
  });
  expect(started.events.map(({ action }) => action)).not.toContain('session.reuse-detected');
  expect((await rows.of(sessionId)).reason).toBe('logout');
});

test('the operator is told why', async () => {
  const { sessionId, refreshToken } = await started.open();
  expect(await refusalOf('zt_refresh_')).toMatchObject({ detail: 'the refresh token is not one of ours' });
  vi.spyOn(store, 'rotate').mockResolvedValueOnce(undefined);
  expect(await refusalOf(refreshToken)).toMatchObject({
    code: 'temporarily-unavailable',
    detail: 'the session changed while it was looked at',
  });
  await service.refresh(refreshToken, 'token');
  await rows.ageRotation(sessionId, '11 s');
  expect(await refusalOf(refreshToken)).toMatchObject({ detail: 'the refresh token was used before' });
});

test('in the very instant of its end a session is over', async () => {
  const { refreshToken } = await started.open();
  vi.spyOn(store, 'rotate').mockResolvedValueOnce(undefined);
  firstLook({ secondsLeft: 0 });
  expect(await refusalOf(refreshToken)).toMatchObject({ detail: 'the session has expired' });
});

test('the session of a token is known whatever its generation, of this delivery alone, and of no other text', async () => {
  const { sessionId, refreshToken } = await started.open();
  const successor = await service.refresh(refreshToken, 'token');
  for (const text of [refreshToken, successor.refreshToken]) {
    expect(service.sessionIdOf(text, 'token')).toBe(sessionId);
    expect(service.sessionIdOf(text, 'cookie')).toBeUndefined();
  }
  expect(service.sessionIdOf('zt_refresh_', 'token')).toBeUndefined();
});
