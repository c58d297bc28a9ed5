import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { UnitOfWork } from '../../../src/database/unit-of-work.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { accessTokenOf, Edge } from '../edge-application.js';
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

const ended = (id: string): Promise<string | null> => rows.of(id).then(({ reason }) => reason);

describe('Binding', () => {
  test('a token handed over in one way is none in the other, and its session lives', async () => {
    const [inBody, inCookie] = [await one.open(), await one.open({ delivery: 'cookie' })];
    for (const edge of [one, two]) {
      expect((await edge.refresh(inCookie.refreshToken)).status).toBe(401);
      expect((await edge.refreshByCookie(`__Host-refresh=${inBody.refreshToken}`)).status).toBe(401);
    }
    expect((await one.refresh(inBody.refreshToken)).status).toBe(200);
    expect((await one.refreshByCookie(`__Host-refresh=${inCookie.refreshToken}`)).status).toBe(200);
  });

  test('a token of one client is none in the hands of another: refused, and the session lives', async () => {
    const mobile = await one.open({ clientId: 'mobile' });
    expect((await one.refresh(mobile.refreshToken)).status).toBe(401);
    expect((await rows.of(mobile.sessionId)).generation).toBe(0);
    expect(await ended(mobile.sessionId)).toBe(null);
  });

  test('both at once are refused with 400, and neither session moves', async () => {
    const [inBody, inCookie] = [await one.open(), await one.open({ delivery: 'cookie' })];
    const answer = await one.send(
      'POST',
      '/auth/refresh',
      { cookie: `__Host-refresh=${inCookie.refreshToken}` },
      JSON.stringify({ refreshToken: inBody.refreshToken }),
    );
    expect([answer.status, answer.body['code']]).toEqual([400, 'ambiguous-credentials']);
    for (const { sessionId } of [inBody, inCookie]) expect((await rows.of(sessionId)).generation).toBe(0);
  });

  test('REF-14 what is issued says what the session says now, and every answer with a token is not stored', async () => {
    const { refreshToken } = await one.open({ acr: 'aal2', amr: ['pwd', 'otp'] });
    const answer = await one.refresh(refreshToken);
    const claims = JSON.parse(
      Buffer.from(accessTokenOf(answer).split('.')[1]!, 'base64url').toString(),
    ) as Record<string, unknown>;
    expect([claims['acr'], claims['amr']]).toEqual(['aal2', ['pwd', 'otp']]);
    expect(claims['roles'] ?? claims['scope'] ?? claims['permissions']).toBeUndefined();
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(Object.keys(answer.body).sort()).toEqual(
      ['accessToken', 'expiresIn', 'refreshToken', 'status', 'tokenType'].sort(),
    );
  });
});

describe.each(['express', 'fastify'] as const)('Bad input on %s', (adapter) => {
  const edge = (): Edge => (adapter === 'express' ? one : two);

  test('REF-18 whatever is in the place of a token is refused with 400, 401 or 413, and echoed by nothing', async () => {
    const { refreshToken } = await edge().open();
    const values: unknown[] = [
      ...[null, {}, [], { $ne: null }, true, false, 123, 'undefined', '', ' ', [refreshToken]],
      ...[{ toString: 1 }, { refreshToken }, `${refreshToken} `, ` ${refreshToken}`, `${refreshToken}\0`],
      ...['%00', 'A'.repeat(1_000_000), `zt_refresh_${'A'.repeat(91)}`, refreshToken.toUpperCase()],
      ...["' OR 1=1 --", '\u0000', '\ud800', '🔑'.repeat(26)],
    ];
    for (const value of values) {
      const { status, text } = await edge().refresh(value);
      expect([400, 401, 413], JSON.stringify(value).slice(0, 40)).toContain(status);
      expect(text).not.toContain('zt_refresh_');
    }
    for (const body of [
      '',
      'null',
      '[]',
      '"x"',
      '{',
      '{}',
      '{"refreshToken":"a","refreshToken":"b"}',
      '{"x":1}',
    ]) {
      const { status } = await edge().send('POST', '/auth/refresh', {}, body);
      expect([400, 401], body).toContain(status);
    }
    expect((await edge().refresh(refreshToken)).status).toBe(200);
  });

  test('REF-18 so is whatever is in the place of a cookie: empty, doubled, quoted, with a blank, %00 or a megabyte', async () => {
    const { refreshToken } = await edge().open({ delivery: 'cookie' });
    const name = '__Host-refresh';
    const cookies = [
      ...[`${name}=`, name, `${name}="${refreshToken}"`, `${name}=${refreshToken}%00`, `${name}=%00`],
      ...[`${name}=${refreshToken}; ${name}=${refreshToken}`, `${name}=a; ${name}=${refreshToken}`],
      ...[`${name}=${refreshToken}x`, `${name.toLowerCase()}=${refreshToken}`, `x${name}=${refreshToken}`],
      ...[`${name}=${refreshToken},x`, `${name}=${refreshToken} x`, `${name}=; ${name}=${refreshToken}`],
    ];
    for (const cookie of cookies) expect((await edge().refreshByCookie(cookie)).status, cookie).toBe(401);
    expect((await edge().refreshByCookie(`${name}=${'A'.repeat(1_000_000)}`)).status).toBe(431);
    expect((await edge().refreshByCookie(`${name}=${refreshToken}`)).status).toBe(200);
  });

  test('REF-18 a token that we never issued costs not one statement, however it came', async () => {
    const { refreshToken } = await edge().open();
    const stranger = `${refreshToken.slice(0, 60)}${refreshToken[60] === 'A' ? 'B' : 'A'}${refreshToken.slice(61)}`;
    // What is recorded of them is written whole a few times and then counted.
    for (let count = 0; count < 6; count += 1) await edge().refresh(stranger);
    const queried = vi.spyOn(edge().get(UnitOfWork), 'query');
    const written = vi.spyOn(edge().get(UnitOfWork), 'runDetached');
    try {
      for (let count = 0; count < 20; count += 1) expect((await edge().refresh(stranger)).status).toBe(401);
      expect([queried.mock.calls.length, written.mock.calls.length]).toEqual([0, 0]);
      expect((await edge().refresh(refreshToken)).status).toBe(200);
      expect([queried.mock.calls.length, written.mock.calls.length]).toEqual([1, 0]);
    } finally {
      queried.mockRestore();
      written.mockRestore();
    }
  });
});
