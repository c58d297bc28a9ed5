import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RequestContext } from '../../src/core/request-context.js';
import { SecurityEvents } from '../../src/core/security-events.js';
import { uuidV7 } from '../../src/core/uuid-v7.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { AccessTokenMinter } from '../../src/sessions/access-tokens/access-token.minter.js';
import { SESSION_ENDINGS, type Session } from '../../src/sessions/session.js';
import { SessionsService } from '../../src/sessions/sessions.service.js';
import { SessionsSettings } from '../../src/sessions/sessions.settings.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import {
  answerOf,
  ISSUER,
  startSessions,
  takeApart,
  type HeldClock,
  type Started,
} from './sessions-application.js';

let database: TestDatabase;
let owner: pg.Client;
let one: Started;
let two: Started;
let sessions: SessionsService;
let unitOfWork: UnitOfWork;

beforeAll(async () => {
  database = await createTestDatabase();
  owner = new pg.Client({ connectionString: database.ownerUrl });
  await owner.connect();
  [one, two] = await Promise.all([
    startSessions({ database }),
    startSessions({ database, adapter: 'fastify' }),
  ]);
  sessions = one.app.get(SessionsService);
  unitOfWork = one.app.get(UnitOfWork);
});
afterAll(async () => {
  await Promise.all([one.app.close(), two.app.close()]);
  await owner.end();
  await database.drop();
});
beforeEach(() => one.events.splice(0));

const subject = (): string => uuidV7(Date.now());
const proof = { acr: 'aal1', amr: ['pwd'], delivery: 'token' } as const;

async function rows(of: string): Promise<Record<string, unknown>[]> {
  return (
    await owner.query<Record<string, unknown>>('SELECT * FROM sessions.session WHERE subject = $1', [of])
  ).rows;
}

/** By the owner, with the event that the database wants: what only its own clock would do. */
async function alter(sql: string, id: string): Promise<void> {
  await owner.query('BEGIN');
  await owner.query("INSERT INTO audit.pending (id, entry) VALUES (gen_random_uuid(), '{}')");
  await owner.query(`UPDATE sessions.session SET ${sql} WHERE id = $1`, [id]);
  await owner.query('COMMIT');
}

describe('Opening a session', () => {
  test('JWT-14 the token says what RFC 9068 asks for, for 900 seconds, and nothing personal', async () => {
    const who = subject();
    const { sessionId, accessToken, expiresInSeconds } = await one.open(who);

    const { header, claims } = takeApart(accessToken);
    const now = one.clock.nowSeconds();
    const { kid } = await one.key();
    expect(expiresInSeconds).toBe(900);
    expect(header).toEqual({ alg: 'ES256', typ: 'at+jwt', kid });
    expect(claims).toEqual({
      ...{ iss: ISSUER, sub: who, aud: ISSUER, exp: now + 900, iat: now, sid: sessionId, auth_time: now },
      ...{ client_id: 'first-party', acr: 'aal1', amr: ['pwd'], seq: expect.any(Number) as number },
      jti: expect.stringMatching(
        /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      ) as string,
    });
  });

  test('JWT-14 no two of 100,000 tokens made on two instances in one millisecond share a jti', () => {
    const seen = new Set<string>();
    const capture = { sign: (claims: { jti: string }) => void seen.add(claims.jti) } as never;
    const settings = one.app.get(SessionsSettings);
    const instances = [one, two].map(({ clock }) => new AccessTokenMinter(capture, settings, clock));
    const session: Session = {
      id: subject(),
      subject: subject(),
      clientId: 'x',
      delivery: 'token',
      acr: 'aal1',
      amr: ['pwd'],
      authTime: 1,
    };
    for (let count = 0; count < 50_000; count += 1) {
      for (const instance of instances) instance.mint(session, 0, { kid: 'k', algorithm: 'ES256' } as never);
    }
    expect(seen.size).toBe(100_000);
  });

  test('the principal is what the session says, on every replica', async () => {
    const who = subject();
    const { accessToken, sessionId } = await sessions.open({
      ...{ subject: who, clientId: 'mobile', acr: 'aal2', amr: ['pwd', 'otp'], delivery: 'token' },
    });
    for (const instance of [one, two]) {
      expect(JSON.parse((await instance.ask(accessToken)).text)).toEqual({
        ...{ kind: 'account', subject: who, sessionId, clientId: 'mobile', acr: 'aal2', amr: ['pwd', 'otp'] },
        authTime: one.clock.nowSeconds(),
      });
    }
  });

  test('its event is published inside of its transaction, with ids alone', async () => {
    const who = subject();
    const { sessionId } = await one.open(who);
    expect(one.events).toMatchObject([
      {
        ...{ action: 'session.opened', outcome: 'success', delivery: 'same-transaction', actor: who },
        target: { type: 'session', id: sessionId },
        detail: { acr: 'aal1', amr: 'pwd', clientId: 'first-party', delivery: 'token' },
      },
    ]);
  });

  test('a transaction that rolls back leaves no session, and its token opens nothing', async () => {
    const who = subject();
    let accessToken = '';
    await expect(
      unitOfWork.run(async () => {
        ({ accessToken } = await one.open(who));
        throw new Error('the account was disabled meanwhile');
      }),
    ).rejects.toThrow('disabled meanwhile');
    expect(await rows(who)).toEqual([]);
    expect((await one.ask(accessToken)).status).toBe(401);
  });

  test('a session lives for twelve hours by the clock of the database, whatever happens in it', async () => {
    const who = subject();
    const { sessionId, accessToken } = await one.open(who);
    const [row] = await rows(who);
    expect(Number(row!['expires_at']) - Number(row!['created_at'])).toBe(12 * 3600 * 1000);

    await alter("created_at = created_at - interval '13 hours', expires_at = now()", sessionId);
    const answer = await one.ask(accessToken);
    expect([answer.status, one.events.at(-1)?.reason]).toEqual([401, 'the session has expired']);
  });

  test('what nobody could have proved is a mistake of the caller, before anything is written', async () => {
    const wrong: [string, object][] = [
      ['subject', { subject: 'alice@example.test' }],
      ['subject', { subject: subject().toUpperCase() }],
      ['clientId', { clientId: '' }],
      ['clientId', { clientId: 'a b' }],
      ['acr', { acr: 'aal4' }],
      ['amr', { amr: [] }],
      ['amr', { amr: ['PWD!'] }],
      ['delivery', { delivery: 'cookie' }],
      ['delivery', { delivery: undefined }],
    ];
    for (const [name, part] of wrong) {
      const opening = { subject: subject(), ...proof, ...part } as never;
      await expect(sessions.open(opening)).rejects.toThrow(new RegExp(`^SessionsService.open: ${name}:`));
    }
    expect(one.events).toEqual([]);
  });

  test('REF-17 every session gets an id of its own', async () => {
    const who = subject();
    const ids = await Promise.all(Array.from({ length: 20 }, async () => (await one.open(who)).sessionId));
    expect(new Set(ids).size).toBe(20);
  });
});

describe('Ending sessions', () => {
  test('REF-11 after a logout the access token is dead on every replica at once; the other session lives', async () => {
    const who = subject();
    const [first, second] = [await one.open(who), await one.open(who)];

    const answer = await answerOf(
      `${one.url}/auth/logout`,
      { authorization: `Bearer ${first.accessToken}` },
      'POST',
    );

    expect([answer.status, answer.text, answer.headers['cache-control']]).toEqual([204, '', 'no-store']);
    for (const instance of [one, two]) {
      expect((await instance.ask(first.accessToken)).status).toBe(401);
      expect((await instance.ask(second.accessToken)).status).toBe(200);
      expect(['the session has ended', 'the token was revoked']).toContain(instance.events.at(-1)?.reason);
    }
    expect(one.events.find(({ action }) => action === 'session.ended')).toMatchObject({
      ...{ outcome: 'success', delivery: 'same-transaction', actor: who, reason: 'logout' },
      target: { type: 'session', id: first.sessionId },
    });
  });

  test('REF-11 logout is for who is signed in; once more is refused like any dead token', async () => {
    const logout = (headers: Record<string, string>) => answerOf(`${one.url}/auth/logout`, headers, 'POST');
    expect((await logout({})).status).toBe(401);
    const { accessToken } = await one.open();
    expect((await logout({ authorization: `Bearer ${accessToken}` })).status).toBe(204);
    expect((await logout({ authorization: `Bearer ${accessToken}` })).status).toBe(401);
    expect(
      (await answerOf(`${one.url}/auth/logout`, { authorization: `Bearer ${accessToken}` })).status,
    ).toBe(404);
  });

  test('of many who end one session at once, one does, and there is one event', async () => {
    const { sessionId } = await one.open();
    one.events.splice(0);
    const ended = await Promise.all(
      Array.from({ length: 8 }, (_, at) =>
        (at % 2 ? two : one).app.get(SessionsService).end(sessionId, 'logout'),
      ),
    );
    expect(ended.filter(Boolean).length).toBe(1);
    expect([...one.events, ...two.events].filter(({ target }) => target?.id === sessionId).length).toBe(1);
    expect(await sessions.end(sessionId, 'account-disabled')).toBe(false);
    expect(await sessions.end(subject(), 'logout')).toBe(false);
  });

  test('REF-12 all sessions of a subject end but the one that is named, with an event for each', async () => {
    const who = subject();
    const other = await one.open();
    const [kept, ...rest] = [await one.open(who), await one.open(who), await two.open(who)];
    one.events.splice(0);

    expect(await sessions.endAllOf(who, 'password-changed', kept.sessionId)).toBe(2);

    expect(one.events.map(({ target, reason }) => [target?.id, reason]).sort()).toEqual(
      rest.map(({ sessionId }) => [sessionId, 'password-changed']).sort(),
    );
    for (const { accessToken } of rest) expect((await two.ask(accessToken)).status).toBe(401);
    for (const { accessToken } of [kept, other]) expect((await two.ask(accessToken)).status).toBe(200);
    expect(await sessions.endAllOf(who, 'account-disabled')).toBe(1);
    expect(await sessions.endAllOf(who, 'account-disabled')).toBe(0);
  });

  test('those who end the same sessions at once neither deadlock nor end one twice', async () => {
    const who = subject();
    for (let count = 0; count < 12; count += 1) await one.open(who);
    const ended = await Promise.all(
      [one, two, one, two].map(({ app }) => app.get(SessionsService).endAllOf(who, 'account-disabled')),
    );
    expect(ended.reduce((sum, each) => sum + each)).toBe(12);
  });

  test('an end that rolls back leaves the session alive', async () => {
    const { sessionId, accessToken } = await one.open();
    await expect(
      unitOfWork.run(async () => {
        await sessions.end(sessionId, 'logout');
        throw new Error('something else failed');
      }),
    ).rejects.toThrow('something else failed');
    expect((await one.ask(accessToken)).status).toBe(200);
  });

  test('an end that cannot be recorded does not happen', async () => {
    const { sessionId, accessToken } = await one.open();
    const stop = one.app.get(SecurityEvents).subscribe(({ action }) => {
      if (action === 'session.ended') throw new Error('no room in the log');
    });
    await expect(sessions.end(sessionId, 'logout')).rejects.toThrow('no room');
    stop();
    expect((await one.ask(accessToken)).status).toBe(200);
  });
});

describe('What the database holds', () => {
  test('REF-15 neither a token nor a part of one is stored anywhere', async () => {
    const { accessToken, refreshToken } = await one.open();
    await one.ask(accessToken);
    await one.ask(`${accessToken}x`);
    const [header, payload, signature] = takeApart(accessToken).parts;
    const refresh = Buffer.from(refreshToken.replace('zt_refresh_', ''), 'base64url');
    const secrets = [
      ...[accessToken, payload, signature, String(takeApart(accessToken).claims['jti']), refreshToken],
      // The secret of the family and the MAC; the id and the generation before them are no secrets.
      ...[refresh.toString('latin1', 16, 32), refresh.toString('latin1', 36), refreshToken.slice(40, 60)],
    ];
    const tables = await owner.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
        WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    );
    expect(tables.rows.map(({ name }) => name)).toContain('sessions.session');
    for (const { name } of tables.rows) {
      const dump = await owner.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`);
      for (const { row } of dump.rows) {
        const bytes = row.replace(/\\x([0-9a-f]+)/g, (_, hex: string) =>
          Buffer.from(hex, 'hex').toString('latin1'),
        );
        for (const secret of [...secrets, header]) expect(bytes.includes(secret)).toBe(false);
      }
    }
  });

  test('the application can add a session and end it, and nothing else', async () => {
    const app = new pg.Client({ connectionString: database.appUrl });
    await app.connect();
    const { sessionId } = await one.open();
    for (const sql of [
      `UPDATE sessions.session SET expires_at = now() + interval '1 year' WHERE id = '${sessionId}'`,
      `UPDATE sessions.session SET acr = 'aal3' WHERE id = '${sessionId}'`,
      `UPDATE sessions.session SET subject = '${subject()}' WHERE id = '${sessionId}'`,
      `DELETE FROM sessions.session WHERE id = '${sessionId}'`,
      'TRUNCATE sessions.session',
      "UPDATE sessions.signing_key SET private_sealed = ''",
      'UPDATE sessions.signing_key SET created_at = now()',
      'DELETE FROM sessions.signing_key',
    ]) {
      await expect(app.query(sql)).rejects.toMatchObject({ code: '42501' });
    }
    // Silently it can't even do that: the database wants the event in the same transaction.
    await expect(
      app.query(
        `UPDATE sessions.session SET ended_at = now(), ended_reason = 'logout' WHERE id = '${sessionId}'`,
      ),
    ).rejects.toMatchObject({ code: 'ZT001' });
    await app.end();
  });

  test('the endings that the code knows are those that the database knows', async () => {
    const { rows: found } = await owner.query<{ text: string }>(
      `SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint
        WHERE conrelid = 'sessions.session'::regclass AND pg_get_constraintdef(oid) LIKE '%logout%'`,
    );
    const known = [...found[0]!.text.matchAll(/'([a-z-]+)'::text/g)].map(([, name]) => name);
    expect(known.sort()).toEqual([...SESSION_ENDINGS].sort());
  });
});

describe('The time', () => {
  function at(clock: HeldClock, nowMs: number, work: () => Promise<number>): Promise<number> {
    const before = clock.now;
    clock.now = nowMs;
    return work().finally(() => (clock.now = before));
  }

  test('JWT-13 a token ends 5 seconds after its exp, to the second, on every replica', async () => {
    const { accessToken } = await one.open();
    const exp = Number(takeApart(accessToken).claims['exp']) * 1000;
    for (const { clock, ask } of [one, two]) {
      const status = (now: number): Promise<number> =>
        at(clock, now, async () => (await ask(accessToken)).status);
      expect(await status(exp - 1000)).toBe(200);
      expect(await status(exp)).toBe(200);
      expect(await status(exp + 4999)).toBe(200);
      expect(await status(exp + 5000)).toBe(401);
      expect(await status(exp + 6000)).toBe(401);
      expect(await status(exp + 3_600_000)).toBe(401);
    }
  });

  test('JWT-13 without tolerance a token ends at its exp, and one of 60 seconds lives for 60 seconds', async () => {
    const strict = await startSessions({ database, clockToleranceSeconds: 0, accessTokenTtlSeconds: 60 });
    const { accessToken, expiresInSeconds } = await strict.open();
    expect(expiresInSeconds).toBe(60);
    strict.clock.now += 59_999;
    expect((await strict.ask(accessToken)).status).toBe(200);
    strict.clock.now += 1;
    expect((await strict.ask(accessToken)).status).toBe(401);
    await strict.app.close();
  });
});

test('outside of a request an event names the subject as its actor', async () => {
  expect(RequestContext.current()).toBeUndefined();
  const who = subject();
  await one.open(who);
  expect(one.events[0]?.actor).toBe(who);
});
