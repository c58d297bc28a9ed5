import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SessionsService } from '../../src/sessions/sessions.service.js';
import { ADAPTERS } from '../support/application.js';
import { startSample, type Sample } from '../support/sample.js';
import { OWN_PAGE, Visitor } from '../support/visitor.js';

const LISTED = 'https://app.test';
const EVIL = 'https://evil.test';

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

describe.each(ADAPTERS)('what answers give away, and which methods there are, on %s', (adapter) => {
  let sample: Sample;
  beforeAll(async () => {
    sample = await startSample({ adapter, environment: { CORS_ORIGINS: LISTED } });
  });
  afterAll(() => sample.close());

  const port = (): number => Number(new URL(sample.url).port);
  async function signedIn(name: string): Promise<Visitor> {
    const subject = await sample.accountId(name);
    const opened = await sample.app
      .get(SessionsService)
      .open({ subject, acr: 'aal1', amr: ['pwd'], delivery: 'cookie' });
    const visitor = new Visitor(port());
    visitor.cookies.set('__Host-access', opened.accessToken).set('__Host-refresh', opened.refreshToken);
    return visitor;
  }

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
