import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RouteInventory } from '../../src/access/inventory/route-inventory.js';
import { SecurityEvents, type PublishedSecurityEvent } from '../../src/core/security-events.js';
import { SessionsService } from '../../src/sessions/sessions.service.js';
import { ADAPTERS } from '../support/application.js';
import { startSample, type Sample } from '../support/sample.js';
import { OWN_PAGE, Visitor } from '../support/visitor.js';
import type { RawAnswer } from './raw-client.js';

const LISTED = 'https://app.test';
const EVIL = 'https://evil.test';

const FORM = 'Content-Type: application/x-www-form-urlencoded';
const MULTIPART = 'Content-Type: multipart/form-data; boundary=x';
const PART = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n';

/** What a page of another site can make a browser send, with the header fields that browsers add. */
const FORGED: readonly (readonly [string, readonly string[], string])[] = [
  ['a form', [`Origin: ${EVIL}`, 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate', FORM], 'a=b'],
  ['a form with a file', [`Origin: ${EVIL}`, 'Sec-Fetch-Site: cross-site', MULTIPART], PART],
  [
    'a form that looks like JSON',
    [`Origin: ${EVIL}`, 'Sec-Fetch-Site: cross-site', 'Content-Type: text/plain'],
    '{"a":"=b"}',
  ],
  ['a form without fields', [`Origin: ${EVIL}`, 'Sec-Fetch-Site: cross-site'], ''],
  [
    'fetch in no-cors mode',
    [`Origin: ${EVIL}`, 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors', 'Content-Type: text/plain'],
    '{}',
  ],
  ['a beacon', [`Origin: ${EVIL}`, 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Dest: empty'], 'x'],
  ['JSON', [`Origin: ${EVIL}`, 'Sec-Fetch-Site: cross-site', 'Content-Type: application/json'], '{}'],
  ['an old browser', [`Origin: ${EVIL}`, 'Content-Type: application/json'], '{}'],
  ['a sandboxed frame', ['Origin: null', 'Sec-Fetch-Site: cross-site'], ''],
  ['a sandboxed frame of an old browser', ['Origin: null', 'Content-Type: application/json'], '{}'],
  ['a sibling host', ['Origin: https://blog.localhost', 'Sec-Fetch-Site: same-site'], ''],
  ['another port of the same host', ['Origin: http://localhost:8443', 'Sec-Fetch-Site: same-site'], ''],
  ['a browser that hides its origin', ['Sec-Fetch-Site: cross-site'], ''],
  ['an unknown relation', ['Sec-Fetch-Site: same-Origin', 'Content-Type: application/json'], '{}'],
  ['two relations', ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site'], ''],
  ['two origins', ['Origin: http://localhost', `Origin: ${EVIL}`], ''],
  ['a listed origin that is not alone', [`Origin: ${LISTED}, ${EVIL}`, 'Sec-Fetch-Site: cross-site'], ''],
  [
    'a method in a header',
    [`Origin: ${EVIL}`, 'Sec-Fetch-Site: cross-site', 'X-HTTP-Method-Override: GET'],
    '',
  ],
  [
    'an origin that names us before the at sign',
    ['Origin: http://localhost@evil.test', 'Content-Type: application/json'],
    '{}',
  ],
];

const codeOf = ({ body }: RawAnswer): unknown => (body as { code?: unknown } | undefined)?.code;
const emailOf = ({ body }: RawAnswer): unknown => (body as { email?: unknown } | undefined)?.email;

describe.each(ADAPTERS)('what another site makes a browser send, on %s', (adapter) => {
  let sample: Sample;
  let owner: pg.Client;
  const events: PublishedSecurityEvent[] = [];
  beforeAll(async () => {
    sample = await startSample({ adapter, environment: { CORS_ORIGINS: LISTED } });
    sample.app.get(SecurityEvents).subscribe((event) => void events.push(event));
    owner = new pg.Client({ connectionString: sample.database.superuserUrl });
    await owner.connect();
  });
  afterAll(async () => {
    await owner.end();
    await sample.close();
  });

  const port = (): number => Number(new URL(sample.url).port);
  const credentialsOf = (name: string): { email: string; password: string } => {
    const { email, password } = sample.accounts.find((each) => each.email === `${name}@example.test`)!;
    return { email, password };
  };
  /** With a session in cookies, as signing in would hand it over. */
  async function signedIn(name: string): Promise<Visitor> {
    const subject = await sample.accountId(name);
    const opened = await sample.app
      .get(SessionsService)
      .open({ subject, acr: 'aal1', amr: ['pwd'], delivery: 'cookie' });
    const visitor = new Visitor(port());
    visitor.cookies.set('__Host-access', opened.accessToken).set('__Host-refresh', opened.refreshToken);
    return visitor;
  }
  /** Everything that a forged request could have changed: all rows of all tables, but for the log and when who was seen. */
  async function state(): Promise<unknown> {
    const { rows: tables } = await owner.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
       WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'audit') ORDER BY 1`,
    );
    expect(tables.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['sessions.session', 'identity.account', 'access.role', 'documents.document']),
    );
    const contents = await owner.query<object>(
      tables
        .map(
          ({ name }) =>
            `SELECT '${name}' AS name, coalesce(md5(string_agg(row, '' ORDER BY row)), '') AS digest
             FROM (SELECT (to_jsonb(t) - 'last_seen_at')::text AS row FROM ${name} t) rows`,
        )
        .join(' UNION ALL '),
    );
    return contents.rows;
  }
  function expectRefusal(answer: RawAnswer): void {
    expect([answer.status, codeOf(answer)]).toEqual([403, 'cross-site-request']);
    expect(answer.headers.getSetCookie()).toEqual([]);
    expect(answer.headers.get('clear-site-data')).toBeNull();
  }

  test('the refusal is a problem document with id and security headers, and says nothing more', async () => {
    const answer = await new Visitor(port()).send('POST /auth/login', [
      `Origin: ${EVIL}`,
      'Sec-Fetch-Site: cross-site',
    ]);
    const id = answer.headers.get('x-request-id');
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.body).toEqual({
      type: 'urn:zero-trust:error:cross-site-request',
      title: 'Forbidden',
      status: 403,
      code: 'cross-site-request',
      instance: `urn:uuid:${id!}`,
    });
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(answer.headers.get('strict-transport-security')).toBe('max-age=63072000; includeSubDomains');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });

  test('the refusal leaves one event, and the hundredth is counted instead of kept', async () => {
    const { rows: before } = await owner.query<{ n: string }>('SELECT count(*) AS n FROM audit.pending');
    const visitor = await signedIn('viewer');
    const { rows: since } = await owner.query<{ n: string }>('SELECT count(*) AS n FROM audit.pending');
    expect(Number(since[0]!.n)).toBeGreaterThan(Number(before[0]!.n));
    events.length = 0;
    const answer = await visitor.send('POST /auth/logout', [`Origin: ${EVIL}`]);
    expectRefusal(answer);
    expect(events).toEqual([
      expect.objectContaining({
        action: 'access.refused',
        outcome: 'failure',
        delivery: 'detached',
        reason: 'another site made a browser send the request',
        detail: { code: 'cross-site-request' },
        requestId: answer.headers.get('x-request-id'),
        sourceAddress: '127.0.0.1',
        transport: 'http',
        actor: undefined,
      }),
    ]);
    for (let n = 0; n < 100; n += 1)
      expectRefusal(await visitor.send('POST /auth/logout', [`Origin: ${EVIL}`]));
    const { rows: after } = await owner.query<{ n: string }>('SELECT count(*) AS n FROM audit.pending');
    expect(events).toHaveLength(101);
    expect(Number(after[0]!.n) - Number(since[0]!.n)).toBeLessThanOrEqual(10);
  });

  test('a 403 that a handler throws is another one', async () => {
    const viewer = await signedIn('viewer');
    const answer = await viewer.own('POST /documents', { title: 'a', body: 'b' });
    expect([answer.status, codeOf(answer)]).toEqual([403, 'permission-denied']);
  });

  test.each(FORGED)('WEB-02 %s does not rotate a refresh token', async (_, fields, body) => {
    const visitor = await signedIn('editor');
    const before = await state();
    for (const line of ['POST /auth/refresh', 'POST /auth/refresh?', 'POST /auth/refresh/'])
      expectRefusal(await visitor.send(line, fields, body));
    expect(await state()).toEqual(before);
    expect((await visitor.own('GET /auth/me')).status).toBe(200);
    // The control: the very same cookies, from the service's own page.
    const first = visitor.cookies.get('__Host-refresh');
    expect((await visitor.own('POST /auth/refresh')).status).toBe(200);
    expect(visitor.cookies.get('__Host-refresh')).not.toBe(first);
  });

  test('WEB-03 no route that changes anything can be reached by another site', async () => {
    const inventory = sample.app.get(RouteInventory).entries();
    const changing = inventory.filter(
      ({ transport, method }) => transport === 'http' && !['GET', 'HEAD', 'OPTIONS'].includes(method),
    );
    const routes = changing.map(({ method, path }) => `${method} ${path}`);
    expect(routes).toEqual(
      expect.arrayContaining([
        'POST /auth/login',
        'POST /auth/login/mfa',
        'POST /auth/refresh',
        'POST /auth/logout',
        'POST /auth/logout/all',
        'POST /auth/password/change',
        'POST /auth/mfa/totp',
        'DELETE /auth/sessions/:id',
        'PUT /admin/roles/:name',
        'POST /documents',
      ]),
    );
    const visitor = await signedIn('editor');
    const before = await state();
    for (const route of routes) {
      const line = route.replaceAll(/:\w+/g, '0193a7b0-0000-7000-8000-000000000000').replace(/^ALL/, 'POST');
      for (const [name, fields, body] of FORGED) {
        const answer = await visitor.send(line, fields, body);
        expect([line, name, answer.status, codeOf(answer)]).toEqual([line, name, 403, 'cross-site-request']);
        expect(answer.headers.getSetCookie()).toEqual([]);
      }
      // The control: of the service's own page the same request is judged by what it is.
      const own = await new Visitor(port()).send(line, [...OWN_PAGE, 'Content-Type: application/json'], '{}');
      expect([line, codeOf(own)]).not.toEqual([line, 'cross-site-request']);
    }
    expect(await state()).toEqual(before);
    expect((await visitor.own('GET /auth/me')).status).toBe(200);
  }, 120_000);

  test('WEB-03 a method that the service does not know is refused as well, and reading stays open', async () => {
    const visitor = await signedIn('viewer');
    for (const method of ['PROPFIND', 'LOCK', 'PURGE', 'TRACE']) {
      const { status } = await visitor.send(`${method} /auth/me`, [`Origin: ${EVIL}`]);
      expect([403, 405], method).toContain(status);
    }
    const reading = await visitor.send('GET /auth/me', [`Origin: ${EVIL}`, 'Sec-Fetch-Site: cross-site']);
    expect([reading.status, reading.headers.get('access-control-allow-origin')]).toEqual([200, null]);
    expect(reading.headers.get('cross-origin-resource-policy')).toBe('same-origin');
  });

  test('WEB-05 another site cannot sign a browser in, with whatever credentials', async () => {
    const { rows: before } = await owner.query('SELECT count(*) FROM sessions.session');
    const credentials = JSON.stringify(credentialsOf('clerk'));
    for (const [name, fields] of FORGED) {
      const victim = new Visitor(port());
      const planted = fields.filter((field) => !field.startsWith('Content-Type'));
      for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded']) {
        for (const path of ['/auth/login', '/auth/login/mfa']) {
          const answer = await victim.send(
            `POST ${path}`,
            [...planted, `Content-Type: ${type}`],
            credentials,
          );
          expect([name, answer.status, codeOf(answer)]).toEqual([name, 403, 'cross-site-request']);
          expect(answer.headers.getSetCookie()).toEqual([]);
        }
      }
      expect(victim.cookies.size).toBe(0);
    }
    const { rows: after } = await owner.query('SELECT count(*) FROM sessions.session');
    expect(after).toEqual(before);
  });

  test('WEB-05 REF-17 a session that somebody planted before is not the one after signing in', async () => {
    const attacker = await signedIn('clerk');
    const victim = attacker.copy();
    expect((await victim.own('POST /auth/login', credentialsOf('viewer'))).status).toBe(200);
    for (const name of ['__Host-access', '__Host-refresh'])
      expect(victim.cookies.get(name)).not.toBe(attacker.cookies.get(name));
    expect(emailOf(await victim.own('GET /auth/me'))).toBe('viewer@example.test');
    // Nor is it left alive: no cookie of the browser leads to it any more (ASVS 7.2.4).
    expect((await attacker.own('GET /auth/me')).status).toBe(401);
  });

  const STRANGERS = [
    'https://app.test.evil',
    'https://evilapp.test',
    'https://sub.app.test',
    'http://app.test',
    'https://app.test:8443',
    'https://app.test.',
    'https://app.test@evil',
    'https://app.test, https://evil',
    'https://evil, https://app.test',
    'https://app.test/',
    'https://app.test#',
    'https://app.test?',
    'https://app.test%00.evil',
    'https://app_test',
    'https://appxtest',
    'https:app.test',
    '//app.test',
    'app.test',
    'https://*.test',
    '*',
    'null',
    'file://',
    'http://localhost.evil.test',
    'http://evillocalhost',
    'http://localhost.',
    'http://localhost:8443',
    'http://127.0.0.1',
    'http://[::1]',
  ];

  test.each(STRANGERS)('WEB-06 WEB-07 %s is a stranger', async (origin) => {
    const visitor = await signedIn('viewer');
    for (const more of [[], ['Sec-Fetch-Site: cross-site'], ['Sec-Fetch-Site: same-site']]) {
      expectRefusal(await visitor.send('POST /auth/refresh', [`Origin: ${origin}`, ...more]));
    }
    const preflight = await visitor.send('OPTIONS /auth/refresh', [
      `Origin: ${origin}`,
      'Access-Control-Request-Method: POST',
      'Access-Control-Request-Headers: content-type',
    ]);
    const simple = await visitor.send('GET /auth/me', [`Origin: ${origin}`]);
    for (const { headers } of [preflight, simple]) {
      expect(headers.get('access-control-allow-origin')).toBeNull();
      expect(headers.get('vary')).toMatch(/\bOrigin\b/i);
    }
  });

  test('WEB-06 WEB-07 a listed origin may call with cookies, and is the only one that is named', async () => {
    const visitor = await signedIn('viewer');
    const fields = [`Origin: ${LISTED}`, 'Sec-Fetch-Site: cross-site'];
    const preflight = await visitor.send('OPTIONS /auth/refresh', [
      ...fields,
      'Access-Control-Request-Method: POST',
      'Access-Control-Request-Headers: content-type',
    ]);
    const simple = await visitor.send('GET /auth/me', fields);
    const refreshed = await visitor.send('POST /auth/refresh', fields);
    expect([preflight.status, simple.status, refreshed.status]).toEqual([204, 200, 200]);
    for (const { headers } of [preflight, simple, refreshed]) {
      expect(headers.get('access-control-allow-origin')).toBe(LISTED);
      expect(headers.get('access-control-allow-credentials')).toBe('true');
      expect(headers.get('vary')).toMatch(/\bOrigin\b/i);
    }
    expect(refreshed.headers.getSetCookie()).toHaveLength(2);
    expect(simple.headers.get('access-control-expose-headers')).not.toMatch(/cookie|authorization|\*/i);
    expect(preflight.headers.getSetCookie()).toEqual([]);
  });

  test('the service’s own page is told by its host, in any letter case, and a client that is no browser may call', async () => {
    for (const fields of [
      [],
      ['Origin: http://localhost'],
      ['Origin: https://localhost'],
      ['Origin: HTTP://LOCALHOST'],
      ['Sec-Fetch-Site: same-origin'],
      ['Sec-Fetch-Site: none'],
    ]) {
      const visitor = await signedIn('viewer');
      expect([fields, (await visitor.send('POST /auth/refresh', fields)).status]).toEqual([fields, 200]);
    }
  });

  test.each([
    ['text/plain', '{"refreshToken":"x"}'],
    ['text/plain; charset=application/json', '{}'],
    ['application/x-www-form-urlencoded', 'refreshToken=x'],
    ['multipart/form-data; boundary=x', PART],
    ['application/json; charset=utf-16', '{}'],
    ['application/json, text/plain', '{}'],
    ['text/plain, application/json', '{}'],
    ['application/json+x', '{}'],
    ['text/json', '{}'],
    ['application/xml', '<a/>'],
    ['application/csp-report', '{}'],
    ['', '{}'],
  ])('WEB-18 a body of the type "%s" is bound by no route', async (type, body) => {
    const visitor = await signedIn('editor');
    const before = await state();
    const routes = sample.app
      .get(RouteInventory)
      .entries()
      .filter(
        ({ transport, method }) => transport === 'http' && !['GET', 'HEAD', 'OPTIONS'].includes(method),
      );
    expect(routes.length).toBeGreaterThan(20);
    for (const { method, path } of routes) {
      const line = `${method} ${path.replaceAll(/:\w+/g, '0193a7b0-0000-7000-8000-000000000000')}`;
      const answer = await visitor.send(
        line,
        [...OWN_PAGE, ...(type ? [`Content-Type: ${type}`] : [])],
        body,
      );
      expect([line, answer.status, codeOf(answer)]).toEqual([line, 415, 'unsupported-media-type']);
    }
    expect(await state()).toEqual(before);
  });
});
