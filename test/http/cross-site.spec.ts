import { Controller, ForbiddenException, Post, type INestApplication } from '@nestjs/common';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RouteInventory } from '../../src/access/route-inventory.js';
import { Public } from '../../src/core/route-policy.js';
import { SecurityEvents, type PublishedSecurityEvent } from '../../src/core/security-events.js';
import { RequestLog } from '../../src/http/request-log.js';
import { SessionsService } from '../../src/sessions/sessions.service.js';
import { ADAPTERS } from '../support/application.js';
import { startSample, type Sample } from '../support/sample.js';
import { OWN_PAGE, Visitor } from '../support/visitor.js';
import { edgeRefusal, startEdge } from './edge.application.js';
import { openRaw, requestOf, type RawAnswer } from './raw-client.js';

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
    expect(emailOf(await attacker.own('GET /auth/me'))).toBe('clerk@example.test');
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

  test('WEB-17 no method stands in for another one, and what is none is refused', async () => {
    const visitor = await signedIn('editor');
    for (const header of ['X-HTTP-Method', 'X-HTTP-Method-Override', 'X-Method-Override']) {
      for (const path of ['/auth/logout', '/auth/logout?_method=POST', '/auth/refresh']) {
        const answer = await visitor.send(`GET ${path}`, [...OWN_PAGE, `${header}: POST`]);
        expect([answer.status, answer.headers.get('allow')]).toEqual([405, expect.stringContaining('POST')]);
      }
      const deleting = await visitor.send('GET /auth/sessions', [...OWN_PAGE, `${header}: DELETE`]);
      expect(deleting.status).toBe(200);
      const posted = await visitor.send('POST /auth/sessions', [...OWN_PAGE, `${header}: DELETE`]);
      expect(posted.status).toBe(405);
    }
    for (const method of ['TRACE', 'PROPFIND', 'LOCK', 'MKCOL', 'SEARCH', 'LINK', 'PURGE']) {
      const answer = await visitor.send(`${method} /auth/me`, OWN_PAGE);
      expect([404, 405, 501], method).toContain(answer.status);
      expect(answer.text).not.toContain('__Host-');
    }
    // Node's parser knows no such methods.
    for (const method of ['TRACK', 'DEBUG', 'get', 'JUMP'])
      expect((await visitor.send(`${method} /auth/me`, OWN_PAGE)).status, method).toBe(400);
    expect((await visitor.own('GET /auth/me')).status).toBe(200);
  });

  test('WEB-16 no answer names what serves it', async () => {
    const visitor = await signedIn('editor');
    const answers = [
      await visitor.own('GET /auth/me'),
      await visitor.own('GET /nowhere'),
      await visitor.own('GET /%ff'),
      await visitor.own('POST /documents', '{"'),
      await visitor.own('POST /documents', { title: 1 }),
      await visitor.own('PUT /auth/me'),
      await visitor.send('POST /auth/login', [`Origin: ${EVIL}`]),
      await visitor.send('POST /auth/login', [...OWN_PAGE, 'Content-Type: text/plain'], 'x'),
      await visitor.send('OPTIONS /auth/me', [`Origin: ${LISTED}`, 'Access-Control-Request-Method: GET']),
      await visitor.send('BREW /pot', []),
      await visitor.send(`GET /${'a'.repeat(20_000)}`, []),
      await new Visitor(port()).send('GET /documents', []),
    ];
    expect(new Set(answers.map(({ status }) => status)).size).toBeGreaterThan(5);
    for (const { headers, text } of answers) {
      for (const banner of ['server', 'x-powered-by', 'via', 'x-aspnet-version', 'x-runtime'])
        expect(headers.get(banner)).toBeNull();
      const said = `${[...headers].flat().join('\n')}\n${text}`;
      expect(said).not.toMatch(/express|fastify|nest|node|postgres|typeorm|passport|\bv?\d+\.\d+\.\d+\b/i);
    }
  });
});

describe.each(ADAPTERS)('a stranger at the service in production, on %s', (adapter) => {
  let sample: Sample;
  beforeAll(async () => {
    sample = await startSample({ adapter, environment: { NODE_ENV: 'production' } });
  });
  afterAll(() => sample.close());

  test('WEB-15 is told up or down, and of the inside nothing', async () => {
    const visitor = new Visitor(Number(new URL(sample.url).port));
    const paths = [
      ...['/docs', '/docs/', '/docs-json', '/api', '/api-json', '/api/docs', '/swagger', '/swagger.json'],
      ...['/openapi.json', '/openapi.yaml', '/metrics', '/graphql', '/graphiql', '/.env', '/.git/config'],
      ...['/.git/HEAD', '/inspector', '/health', '/debug', '/status', '/server-status', '/actuator/env'],
      ...['/package.json', '/dist/main.js', '/main.js.map', '/.data/env', '/.well-known/', '/admin', '/auth'],
      ...['/..%2f.env', '/%2e%2e/.env', '//.env', '/.env/', '/.ENV', '/favicon.ico', '/robots.txt', '/'],
      ...['/admin/access/routes', '/admin/audit', '/admin/roles', '/admin/accounts', '/documents'],
    ];
    for (const path of paths) {
      const { status, headers, text } = await visitor.send(`GET ${path}`, []);
      expect([400, 401, 404], path).toContain(status);
      expect(headers.get('content-type'), path).toContain('application/problem+json');
      expect(text, path).not.toMatch(/DATABASE|MASTER_KEY|\[core\]|swagger|at .*\.[jt]s/i);
    }
    for (const path of ['/health/live', '/health/ready']) {
      const { status, text } = await visitor.send(`GET ${path}`, []);
      expect([status, text]).toEqual([200, '{"status":"up"}']);
    }
  });
});

describe.each(ADAPTERS)('the edge that refuses another site, on %s', (adapter) => {
  const forged = [`Origin: ${EVIL}`, 'Sec-Fetch-Site: cross-site'];

  test('a refusal that cannot be recorded is a 503, and never passes', async () => {
    const edge = await startEdge({ adapter });
    try {
      edge.app.get(SecurityEvents).subscribe(() => Promise.reject(new Error('the log is full')));
      const answer = await new Visitor(edge.port).send('POST /open', forged);
      expect([answer.status, codeOf(answer)]).toEqual([503, 'temporarily-unavailable']);
      expect(answer.text).not.toContain('the log is full');
      expect(answer.headers.get('retry-after')).not.toBeNull();
    } finally {
      await edge.close();
    }
  });

  test('a client that leaves while its refusal is recorded leaves nothing open', async () => {
    const edge = await startEdge({ adapter });
    try {
      let [begun, finish] = [(): void => undefined, (): void => undefined];
      const recording = new Promise<void>((resolve) => (begun = resolve));
      const recorded = new Promise<void>((resolve) => (finish = resolve));
      edge.app.get(SecurityEvents).subscribe(() => {
        begun();
        return recorded;
      });
      const socket = await openRaw(edge.port);
      socket.write(requestOf('POST /open', forged));
      await recording;
      socket.destroy();
      finish();
      expect((await new Visitor(edge.port).send('GET /open', [])).status).toBe(200);
    } finally {
      await edge.close();
    }
  });

  test('the event names the client that a trusted proxy names, and the answer is counted', async () => {
    const edge = await startEdge({ adapter, http: { trustedProxies: ['127.0.0.1'], requestLog: true } });
    try {
      const sources: unknown[] = [];
      edge.app.get(SecurityEvents).subscribe(({ sourceAddress }) => void sources.push(sourceAddress));
      const before = edge.app.get(RequestLog).counts['4'];
      await new Visitor(edge.port).send('POST /open', [...forged, 'X-Forwarded-For: 203.0.113.7']);
      expect(sources).toEqual(['203.0.113.7']);
      await expect.poll(() => edge.app.get(RequestLog).counts['4']).toBe(before + 1);
    } finally {
      await edge.close();
    }
  });

  test('a handler that throws Nest’s own 403, in the very words of the check, is not taken for it', async () => {
    @Controller()
    class ThrowingController {
      @Post('forbidden')
      @Public()
      forbidden(): never {
        throw new ForbiddenException('Cross-origin request detected from Sec-Fetch-Site header');
      }
    }
    const edge = await startEdge({ adapter, controllers: [ThrowingController] });
    try {
      const published: unknown[] = [];
      edge.app.get(SecurityEvents).subscribe((event) => void published.push(event));
      const answer = await new Visitor(edge.port).own('POST /forbidden');
      expect([answer.status, codeOf(answer), published]).toEqual([403, 'permission-denied', []]);
    } finally {
      await edge.close();
    }
  });

  test.each<[string, Parameters<INestApplication['enableCors']>]>([
    ['every origin with credentials', [{ origin: true, credentials: true }]],
    ['every origin', []],
    ['one more', [{ origin: 'https://more.test' }]],
  ])(
    'WEB-07 an application that itself allows %s does not start, with origins in the options or without',
    async (_, given) => {
      for (const corsOrigins of [[], [LISTED]])
        expect(
          await edgeRefusal({
            adapter,
            http: { corsOrigins },
            before: (app) => {
              app.enableCors(...given);
            },
          }),
        ).toContain(
          'the application enables CORS itself: remove app.enableCors and the option cors, and name each origin in corsOrigins',
        );
    },
  );
});
