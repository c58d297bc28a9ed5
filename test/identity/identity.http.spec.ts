import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../src/access/grants/actor.js';
import { GrantsService } from '../../src/access/grants/grants.service.js';
import { RolesService } from '../../src/access/grants/roles.service.js';
import { AccountsService } from '../../src/identity/accounts/accounts.service.js';
import { ADAPTERS } from '../support/application.js';
import { Service, type Answer } from './identity.application.js';
import { IdentityDatabase, PASSWORD } from './identity.services.js';

describe.each(ADAPTERS)('identity over HTTP on %s', (adapter) => {
  let db: IdentityDatabase;
  let service: Service;
  const ids: Record<string, string> = {};
  let admin: string;
  beforeAll(async () => {
    db = await IdentityDatabase.create();
    service = await new Service().start(db, adapter);
    for (const name of ['alice', 'admin', 'disabled']) {
      const email = `${name}@example.test`;
      ids[name] = (
        await service.get(AccountsService).create({ email, displayName: `The ${name}`, password: PASSWORD })
      ).id;
    }
    const permissions = ['accounts:read', 'accounts:disable', 'accounts:end-sessions'] as const;
    await service.get(RolesService).put('keeper', { permissions }, SYSTEM_PRINCIPAL);
    await service
      .get(GrantsService)
      .grant({ subject: ids['admin']!, role: 'keeper', reason: 'test' }, SYSTEM_PRINCIPAL);
    await service.get(AccountsService).disable(ids['disabled']!, SYSTEM_PRINCIPAL);
    admin = await service.tokenByFactor(ids['admin']!, 'admin@example.test');
  });
  afterAll(async () => {
    await service.running.close();
    await db.close();
  });
  beforeEach(() => {
    service.engine.verified.length = 0;
  });

  test('JWT-14 signing in answers with the token and nothing about the person, not to be cached', async () => {
    const answer = await service.login('Alice@Example.Test', PASSWORD);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      status: 'authenticated',
      accessToken: expect.any(String) as string,
      refreshToken: expect.any(String) as string,
      tokenType: 'Bearer',
      expiresIn: 900,
    });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('set-cookie')).toBeNull();
    const { accessToken } = answer.body as { accessToken: string };
    const claims = Buffer.from(accessToken.split('.')[1]!, 'base64url').toString();
    expect(claims).toContain(ids['alice']);
    expect(claims).not.toMatch(/example\.test"?,?"email|alice@|The alice|roles|permissions/i);
  });

  test('who has signed in sees who they are, what they may do and how sure we are', async () => {
    const answer = await service.send('GET', '/auth/me', undefined, admin);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      id: ids['admin'],
      email: 'admin@example.test',
      displayName: 'The admin',
      roles: ['keeper'],
      permissions: ['accounts:disable', 'accounts:end-sessions', 'accounts:read'],
      acr: 'aal2',
      amr: ['pwd', 'otp'],
      authTime: expect.any(Number) as number,
      sessionId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    });
    const { authTime } = answer.body as { authTime: number };
    expect(Math.abs(Date.now() / 1000 - authTime)).toBeLessThan(300);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect((await service.send('GET', '/auth/me')).status).toBe(401);
  });

  test('PWD-01 unknown, wrong and disabled are one and the same answer, headers included', async () => {
    const answers = [
      await service.login('nobody@example.test', PASSWORD),
      await service.login('alice@example.test', 'not her password'),
      await service.login('disabled@example.test', PASSWORD),
    ];
    const shapes = answers.map(({ status, headers, body }) => ({
      status,
      headers: Object.fromEntries(
        [...headers].filter(([name]) => !['date', 'etag', 'x-request-id', 'ratelimit'].includes(name)),
      ),
      body: { ...(body as object), instance: '' },
    }));
    expect(shapes[0]).toMatchObject({ status: 401, body: { code: 'invalid-credentials' } });
    expect(shapes[0]!.headers).toMatchObject({ 'www-authenticate': 'Bearer' });
    expect(shapes[1]).toEqual(shapes[0]);
    expect(shapes[2]).toEqual(shapes[0]);
    expect(service.engine.verified).toHaveLength(3);
  });

  test('PWD-07 a giant password is refused fast, and no hash is computed', async () => {
    for (const length of [1025, 50_000, 1_000_000]) {
      const started = performance.now();
      const answer = await service.login('alice@example.test', 'x'.repeat(length));
      expect([400, 413]).toContain(answer.status);
      expect(performance.now() - started).toBeLessThan(1_000);
      expect(answer.text).not.toContain('xxxx');
    }
    expect(service.engine.verified).toEqual([]);
  });

  test('PWD-07 PWD-08 whatever can be set can be used: 64 and 128 characters, emoji, combining sequences, 1024 bytes', async () => {
    // 64 emoji of 256 bytes; 128 combining sequences; 128 characters; 256 emoji of 1024 bytes.
    const passwords = [
      '🐈🐕🦜🐠🦎🐢🐇🐎'.repeat(8),
      'e\u0301o\u0302u\u0308a\u0300i\u0302n\u0303c\u0327y\u0301'.repeat(16),
      'q!Zw7-gh'.repeat(16),
      '🐈🐕🦜🐠🦎🐢🐇🐎'.repeat(32),
    ];
    for (const [at, password] of passwords.entries()) {
      const email = `long-${at}@example.test`;
      await service.get(AccountsService).create({ email, displayName: 'Long', password });
      expect((await service.login(email, password)).status).toBe(200);
      expect((await service.login(email, password.slice(0, -2))).status).toBe(401);
      expect((await service.login(email, `${password} `)).status).toBe(password.length >= 512 ? 400 : 401);
    }
  });

  test('PWD-05 PWD-10 a password is what was received: no cut at 72 bytes, no other normal form, no trimming', async () => {
    const set = 'pässwort-é '.repeat(8);
    const email = 'exact@example.test';
    await service.get(AccountsService).create({ email, displayName: 'Exact', password: set });
    for (const presented of [
      `${set.slice(0, 72)}another tail 123`,
      Buffer.from(set).subarray(0, 72).toString(),
      set.normalize('NFD'),
      set.trim(),
      set.toUpperCase(),
    ]) {
      expect((await service.login(email, presented)).status).toBe(401);
    }
    expect((await service.login(email, set)).status).toBe(200);
  });

  test.each([
    ['an operator for an address', { email: { $gt: '' }, password: PASSWORD, delivery: 'token' }],
    [
      'a list for an address',
      { email: ['alice@example.test', 'b@example.test'], password: PASSWORD, delivery: 'token' },
    ],
    [
      'an operator for a password',
      { email: 'alice@example.test', password: { $ne: null }, delivery: 'token' },
    ],
    [
      'a FindOperator',
      {
        email: { '@instanceof': 'FindOperator', _type: 'raw', _value: '1=1' },
        password: PASSWORD,
        delivery: 'token',
      },
    ],
    ['a number for a password', { email: 'alice@example.test', password: 1e15, delivery: 'token' }],
    ['a truth for a password', { email: 'alice@example.test', password: true, delivery: 'token' }],
    ['no address', { password: PASSWORD, delivery: 'token' }],
    ['a null address', { email: null, password: PASSWORD, delivery: 'token' }],
    ['an unknown field', { email: 'alice@example.test', password: PASSWORD, delivery: 'token', admin: true }],
    [
      'a prototype',
      '{"email":"alice@example.test","password":"x","delivery":"token","__proto__":{"admin":true}}',
    ],
    ['a list of bodies', [{ email: 'alice@example.test', password: PASSWORD, delivery: 'token' }]],
    [
      'half a surrogate pair',
      '{"email":"alice@example.test","password":"\\ud800\\ud800","delivery":"token"}',
    ],
    ['nothing', {}],
  ])('VAL-09 %s is refused with 400 before anything is asked', async (_, body) => {
    const answer = await service.send('POST', '/auth/login', body);
    expect(answer.status).toBe(400);
    expect(answer.text).not.toMatch(/tea house|FindOperator|\$gt/);
    expect(service.engine.verified).toEqual([]);
  });

  test('VAL-18 what is more or less than one address is refused, and the field is named without its value', async () => {
    for (const email of [
      'a@x.test\r\nBcc: b@x.test',
      'a@x.test,b@x.test',
      '"a b"@x.test',
      '<a@x.test>',
      ' a@x.test',
      `${'a'.repeat(10_000)}@x.test`,
    ]) {
      const answer = await service.login(email, PASSWORD);
      expect(answer.status).toBe(400);
      expect(answer.body).toMatchObject({
        code: 'validation-failed',
        errors: [{ field: 'email', messages: ['email must be one e-mail address'] }],
      });
      expect(answer.text).not.toMatch(/Bcc|x\.test/);
    }
  });

  test('the session is handed over in cookies, and in no other way, unless the body asks for tokens', async () => {
    const credentials = { email: 'alice@example.test', password: PASSWORD };
    for (const body of [credentials, { ...credentials, delivery: 'cookie' }]) {
      const answer = await service.send('POST', '/auth/login', body);
      expect(answer.body).toEqual({ status: 'authenticated', expiresIn: 900 });
      const cookies = answer.headers.getSetCookie();
      expect(cookies.map((cookie) => cookie.split('=')[0])).toEqual(['__Host-access', '__Host-refresh']);
      expect(cookies.every((cookie) => /; ?HttpOnly/i.test(cookie) && /; ?Secure/i.test(cookie))).toBe(true);
    }
    service.engine.verified.length = 0;
    for (const delivery of ['TOKEN', 'body', ['token'], true]) {
      const answer = await service.login('alice@example.test', PASSWORD, delivery);
      expect(answer.status).toBe(400);
      expect(answer.body).toMatchObject({
        errors: [{ field: 'delivery', messages: ['delivery must be token or cookie'] }],
      });
    }
    expect(service.engine.verified).toEqual([]);
  });

  test('the administration of accounts asks for its permissions', async () => {
    const alice = await service.tokenOf('alice@example.test');
    for (const [method, path] of [
      ['GET', '/admin/accounts'],
      ['POST', `/admin/accounts/${ids['alice']!}/disable`],
      ['POST', `/admin/accounts/${ids['alice']!}/enable`],
      ['DELETE', `/admin/accounts/${ids['alice']!}/sessions`],
    ] as const) {
      expect((await service.send(method, path)).status).toBe(401);
      expect((await service.send(method, path, undefined, alice)).status).toBe(403);
    }
  });

  test('changing an account asks for a second factor of the last ten minutes, and says so as RFC 9470 does', async () => {
    const { id } = await service
      .get(AccountsService)
      .create({ email: 'keeper@example.test', displayName: 'Keeper', password: PASSWORD });
    await service.get(GrantsService).grant({ subject: id, role: 'keeper', reason: 'test' }, SYSTEM_PRINCIPAL);
    const keeper = await service.tokenOf('keeper@example.test');
    expect((await service.send('GET', '/admin/accounts', undefined, keeper)).status).toBe(200);
    for (const [method, path] of [
      ['POST', `/admin/accounts/${ids['alice']!}/disable`],
      ['POST', `/admin/accounts/${ids['alice']!}/enable`],
      ['DELETE', `/admin/accounts/${ids['alice']!}/sessions`],
    ] as const) {
      const refused = await service.send(method, path, undefined, keeper);
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
        401,
        'Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="600"',
      ]);
    }
  });

  test('RBAC-22 the list of accounts shows six fields of each, by cursor, and sorts or filters by nothing', async () => {
    const seen: { id: string }[] = [];
    for (let next: string | null = ''; next !== null;) {
      const path: string = `/admin/accounts?limit=2${next === '' ? '' : `&after=${next}`}`;
      const { status, body, text } = await service.send('GET', path, undefined, admin);
      expect(status).toBe(200);
      const page = body as { items: { id: string }[]; next: string | null };
      expect(text).not.toMatch(/argon2|hash|canonical|source/i);
      for (const item of page.items) {
        expect(Object.keys(item).sort()).toEqual([
          'createdAt',
          'disabledAt',
          'displayName',
          'email',
          'id',
          'state',
        ]);
      }
      seen.push(...page.items);
      next = page.next;
    }
    const all = await db.rows<{ id: string }>('SELECT id FROM identity.account ORDER BY id');
    expect(seen.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
    for (const query of [
      'sort=passwordHash',
      'select=*',
      'fields=password_hash',
      'expand=sessions',
      'relations=grants',
      'email[$ne]=x',
      'limit=0',
      'limit=101',
      'limit=1e2',
      'limit=0x10',
      'limit=',
      'limit=2&limit=3',
      'after=x',
      "after='",
    ]) {
      expect((await service.send('GET', `/admin/accounts?${query}`, undefined, admin)).status, query).toBe(
        400,
      );
    }
  });

  test('a disabled account is out at once, comes in again when it is enabled, and its old sessions stay dead', async () => {
    const alice = await service.tokenOf('alice@example.test');
    const change = (what: string, id = ids['alice']!): Promise<Answer> =>
      service.send('POST', `/admin/accounts/${id}/${what}`, undefined, admin);
    expect((await service.send('GET', '/auth/me', undefined, alice)).status).toBe(200);
    expect((await change('disable')).status).toBe(204);
    expect((await change('disable')).status).toBe(204);
    expect((await service.send('GET', '/auth/me', undefined, alice)).status).toBe(401);
    expect((await service.login('alice@example.test', PASSWORD)).status).toBe(401);
    expect((await change('enable')).status).toBe(204);
    expect((await service.send('GET', '/auth/me', undefined, alice)).status).toBe(401);
    expect((await service.login('alice@example.test', PASSWORD)).status).toBe(200);

    expect((await change('disable', ids['admin'])).body).toMatchObject({ status: 409, code: 'conflict' });
    expect((await change('disable', randomUUID())).status).toBe(404);
    expect((await change('disable', 'x')).status).toBe(400);
  });

  test('an administrator ends all sessions of an account, and the account can sign in again', async () => {
    const tokens = [await service.tokenOf('alice@example.test'), await service.tokenOf('alice@example.test')];
    const path = `/admin/accounts/${ids['alice']!}/sessions`;
    expect((await service.send('DELETE', path, undefined, admin)).status).toBe(204);
    for (const token of tokens)
      expect((await service.send('GET', '/auth/me', undefined, token)).status).toBe(401);
    expect((await service.login('alice@example.test', PASSWORD)).status).toBe(200);
    expect(
      (await service.send('DELETE', `/admin/accounts/${randomUUID()}/sessions`, undefined, admin)).status,
    ).toBe(404);
  });

  test('PWD-22 signing in is limited per source, and per account as well, with Retry-After', async () => {
    const limited = await new Service().start(
      db,
      adapter,
      { sourceAttempts: 3, sourceAttemptsWindowSeconds: 900 },
      { strictRequests: 5 },
    );
    try {
      const known = [];
      for (let count = 0; count < 4; count += 1)
        known.push(await limited.login('alice@example.test', 'not her password'));
      expect(known.map(({ status }) => status)).toEqual([401, 401, 401, 429]);
      const refusal = known.at(-1)!;
      expect(Number(refusal.headers.get('retry-after'))).toBeLessThanOrEqual(900);
      expect(refusal.body).toMatchObject({ code: 'too-many-requests' });
      // The fifth and last of the source; then the source is at its limit, whatever account it names.
      expect((await limited.login('nobody@example.test', PASSWORD)).status).toBe(401);
      const bySource = await limited.login('nobody@example.test', PASSWORD);
      expect(bySource.status).toBe(429);
      expect(Number(bySource.headers.get('retry-after'))).toBeLessThanOrEqual(60);
      expect(limited.engine.verified).toHaveLength(4);
    } finally {
      await limited.running.close();
    }
  });

  test('PWD-26 a flood is hashed a few at a time; the rest hears 503 with Retry-After, and other routes go on', async () => {
    const flooded = await new Service().start(db, adapter, {
      hashConcurrency: 1,
      hashQueueLimit: 3,
      sourceAttempts: 1_000,
      accountAttempts: 10_000,
    });
    try {
      const token = await flooded.tokenOf('alice@example.test');
      const rssBefore = process.memoryUsage.rss();
      const flood = Array.from({ length: 60 }, (_, at) =>
        flooded.login(at % 2 === 0 ? 'alice@example.test' : `nobody-${at}@example.test`, 'not the password'),
      );
      const others = await Promise.all(
        Array.from({ length: 5 }, () => flooded.send('GET', '/auth/me', undefined, token)),
      );
      const answers = await Promise.all(flood);
      expect(others.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
      const refused = answers.filter(({ status }) => status === 503);
      expect(answers.filter(({ status }) => status === 401).length + refused.length).toBe(60);
      expect(refused.length).toBeGreaterThan(0);
      for (const { headers, body } of refused) {
        expect(headers.get('retry-after')).toBe('2');
        expect(body).toMatchObject({ code: 'temporarily-unavailable' });
      }
      expect(flooded.engine.mostAtOnce).toBe(1);
      expect(process.memoryUsage.rss() - rssBefore).toBeLessThan(19 * 2 ** 20 + 150 * 2 ** 20);
    } finally {
      await flooded.running.close();
    }
  });
});
