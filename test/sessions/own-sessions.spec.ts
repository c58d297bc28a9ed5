import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { uuidV7 } from '../../src/core/uuid-v7.js';
import type { OpenedSession } from '../../src/sessions/sessions.service.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { Edge, type EdgeAnswer } from './edge-application.js';
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
const as = ({ accessToken }: OpenedSession): Record<string, string> => ({
  authorization: `Bearer ${accessToken}`,
});
interface Item {
  readonly id: string;
  readonly current: boolean;
  readonly device: string | null;
  readonly address: string | null;
}
const itemsOf = ({ body }: EdgeAnswer): Item[] => body['items'] as Item[];
const reasonOf = async (id: string): Promise<string | null> => (await rows.of(id)).reason;

describe('The list of own sessions', () => {
  test('REF-22 shows one their own living sessions alone, the one that asks marked, and no secret', async () => {
    const [alice, bob] = [subject(), subject()];
    const [first, second, dead] = [
      await one.open({ subject: alice }),
      await two.open({ subject: alice }),
      await one.open({ subject: alice }),
    ];
    await one.open({ subject: bob });
    await one.sessions.end(dead.sessionId, 'logout');
    for (const edge of [one, two]) {
      const answer = await edge.send('GET', '/auth/sessions', as(first));
      expect(itemsOf(answer).map(({ id, current }) => [id, current])).toEqual([
        [second.sessionId, false],
        [first.sessionId, true],
      ]);
      expect(Object.keys(itemsOf(answer)[0]!).sort()).toEqual(
        ['acr', 'address', 'amr', 'createdAt', 'current', 'device', 'id', 'lastSeenAt'].sort(),
      );
      expect((await edge.send('GET', '/auth/sessions')).status).toBe(401);
    }
  });

  test('one row whose sealed details do not open hides neither that session nor the others, and is reported', async () => {
    const alice = subject();
    const good = await one.open({ subject: alice });
    const tampered = [await one.open({ subject: alice }), await one.open({ subject: alice })];
    await rows.alter(String.raw`client_sealed = '\x00'`, tampered[0]!.sessionId);
    await rows.alter("client_sealed = sha256('x') || sha256('y')", tampered[1]!.sessionId);
    one.events.splice(0);
    const answer = await one.send('GET', '/auth/sessions', as(good));
    expect(answer.status).toBe(200);
    expect(itemsOf(answer).length).toBe(3);
    for (const { sessionId } of tampered) {
      expect(itemsOf(answer).find(({ id }) => id === sessionId)).toMatchObject({
        device: null,
        address: null,
      });
      expect(one.events).toContainEqual(
        expect.objectContaining({
          action: 'encryption.integrity-failed',
          target: { type: 'row', id: sessionId },
        }),
      );
    }
    expect((await one.send('DELETE', `/auth/sessions/${tampered[0]!.sessionId}`, as(good))).status).toBe(204);
  });
});

describe('Ending own sessions', () => {
  test("REF-22 somebody else's session does not exist here, in whatever spelling; unknown, ended and foreign ones look alike", async () => {
    const [alice, bob, ended] = [await one.open(), await one.open(), await one.open()];
    await one.sessions.end(ended.sessionId, 'logout');
    const strangers = [
      ...[bob.sessionId, bob.sessionId.toUpperCase(), ended.sessionId, crypto.randomUUID()],
      '00000000-0000-0000-0000-000000000000',
    ];
    for (const edge of [one, two]) {
      const shapes = new Set<string>();
      for (const id of strangers) {
        const { status, body } = await edge.send('DELETE', `/auth/sessions/${id}`, as(alice));
        shapes.add(`${String(status)} ${String(body['code'])} ${Object.keys(body).join()}`);
      }
      expect([...shapes]).toEqual(['404 not-found type,title,status,code,instance']);
      const malformed = [
        '1',
        '-1',
        '%00',
        '..%2f',
        `${bob.sessionId}x`,
        bob.sessionId.replaceAll('-', ''),
        '*',
      ];
      for (const id of [...malformed, `%20${bob.sessionId}`, `{${bob.sessionId}}`, "'%20OR%201=1--"]) {
        const { status } = await edge.send('DELETE', `/auth/sessions/${id}`, as(alice));
        expect([400, 404], id).toContain(status);
      }
      expect((await edge.send('GET', `/auth/sessions/${bob.sessionId}`, as(alice))).status).not.toBe(200);
    }
    expect(await two.ask(bob.accessToken)).toBe(200);
    expect((await two.refresh(bob.refreshToken)).status).toBe(200);
  });

  test('REF-22 one ends an own one, also spelt in capitals: dead with its tokens, recorded once', async () => {
    const alice = subject();
    const [asking, other] = [await one.open({ subject: alice }), await one.open({ subject: alice })];
    const path = `/auth/sessions/${other.sessionId.toUpperCase()}`;
    one.events.splice(0);
    expect((await one.send('DELETE', path, as(asking))).status).toBe(204);
    expect((await one.send('DELETE', path, as(asking))).status).toBe(404);
    expect(await one.ask(other.accessToken)).toBe(401);
    expect((await two.refresh(other.refreshToken)).status).toBe(401);
    expect(await one.ask(asking.accessToken)).toBe(200);
    expect(one.events.filter(({ action }) => action === 'session.ended')).toMatchObject([
      { actor: alice, target: { type: 'session', id: other.sessionId }, reason: 'ended-by-subject' },
    ]);
  });

  test('REF-22 whoever authenticated too long ago must do so again first, and is told how', async () => {
    const alice = subject();
    const old = await one.open({ subject: alice });
    const other = await one.open({ subject: alice });
    const now = one.clock.now;
    try {
      one.clock.now = now + 605_000 + 1_000;
      for (const path of [`/auth/sessions/${other.sessionId}`, '/auth/sessions']) {
        const { status, headers } = await one.send('DELETE', path, as(old));
        expect(status).toBe(401);
        expect(headers.get('www-authenticate')).toContain('insufficient_user_authentication');
      }
      expect((await one.send('GET', '/auth/sessions', as(old))).status).toBe(200);
      const recent = await one.sessions.replace(old.sessionId, { acr: 'aal1', amr: ['pwd'] });
      expect((await one.send('DELETE', `/auth/sessions/${other.sessionId}`, as(recent))).status).toBe(204);
    } finally {
      one.clock.now = now;
    }
  });

  test('REF-12 all others end at once, the one that asks lives on, everywhere', async () => {
    const alice = subject();
    const mine = [];
    for (let count = 0; count < 4; count += 1) mine.push(await two.open({ subject: alice }));
    const [asking, ...others] = mine as [OpenedSession, ...OpenedSession[]];
    expect((await one.send('DELETE', '/auth/sessions', as(asking))).status).toBe(204);
    for (const { accessToken, refreshToken, sessionId } of others) {
      expect(await one.ask(accessToken)).toBe(401);
      expect((await two.refresh(refreshToken)).status).toBe(401);
      expect(await reasonOf(sessionId)).toBe('ended-by-subject');
      expect(await rows.countOfFeed(sessionId)).toBe(1);
    }
    expect(await two.ask(asking.accessToken)).toBe(200);
    expect((await one.refresh(asking.refreshToken)).status).toBe(200);
  });

  test('REF-11 logout ends this session, logout/all every one; cookies go with the attributes that they came with', async () => {
    const alice = subject();
    const [first, second, third] = [
      await one.open({ subject: alice, delivery: 'cookie' }),
      await one.open({ subject: alice }),
      await one.open({ subject: alice }),
    ];
    for (const edge of [one, two]) {
      const answer = await edge.send('POST', '/auth/logout', {
        cookie: `__Host-refresh=${first.refreshToken}`,
      });
      // Once more does no harm: whoever presses twice is logged out.
      expect(answer.status).toBe(204);
      expect(answer.headers.getSetCookie()).toEqual([
        '__Host-access=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax',
        '__Host-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict',
      ]);
      expect(answer.headers.get('clear-site-data')).toContain('"cookies"');
    }
    expect((await one.refreshByCookie(`__Host-refresh=${first.refreshToken}`)).status).toBe(401);
    expect((await one.send('GET', '/whoami', { cookie: `__Host-access=${first.accessToken}` })).status).toBe(
      401,
    );
    expect(await one.ask(second.accessToken)).toBe(200);

    expect((await one.send('POST', '/auth/logout/all', as(second))).status).toBe(204);
    for (const { accessToken, refreshToken } of [second, third]) {
      expect(await one.ask(accessToken)).toBe(401);
      expect((await two.refresh(refreshToken)).status).toBe(401);
    }
    expect(await rows.livingOf(alice)).toEqual([]);
  });

  test('REF-11 whoever has only a refresh token left can log out, in the way in which it was handed over', async () => {
    const { sessionId, refreshToken } = await one.open();
    const wrong = await two.send('POST', '/auth/logout', { cookie: `__Host-refresh=${refreshToken}` });
    expect(wrong.status).toBe(401);
    expect(await reasonOf(sessionId)).toBe(null);
    const answer = await two.send('POST', '/auth/logout', {}, JSON.stringify({ refreshToken }));
    expect(answer.status).toBe(204);
    expect(await reasonOf(sessionId)).toBe('logout');
  });
});
