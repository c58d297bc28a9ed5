import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADAPTERS } from '../support/application.js';
import { Visitor } from '../support/visitor.js';
import { Caller, startSample, type Sample } from '../support/sample.js';

describe.each(ADAPTERS)('from sign-in to logout on %s', (adapter) => {
  let sample: Sample;
  beforeAll(async () => {
    sample = await startSample({ adapter });
  });
  afterAll(() => sample.close());

  test('somebody signs in, is known by name and right, logs out, and the token is dead at once', async () => {
    const editor = await sample.signIn('editor');
    const me = await editor.get('/auth/me');
    expect(me.status).toBe(200);
    expect(me.body).toMatchObject({
      email: 'editor@example.test',
      roles: ['editor'],
      permissions: ['documents:read', 'documents:share', 'documents:write'],
      acr: 'aal1',
      amr: ['pwd'],
    });
    expect((await editor.get('/documents')).status).toBe(200);
    expect((await editor.post('/auth/logout')).status).toBe(204);
    const after = await editor.get('/documents');
    expect([after.status, (after.body as { code: string }).code]).toEqual([401, 'invalid-credentials']);
    expect((await editor.get('/auth/me')).status).toBe(401);
  });

  test('logging out ends that session and no other', async () => {
    const [first, second] = [await sample.signIn('viewer'), await sample.signIn('viewer')];
    await first.post('/auth/logout');
    expect((await first.get('/documents')).status).toBe(401);
    expect((await second.get('/documents')).status).toBe(200);
  });

  test('every answer says who asked for nothing more: request id, no banner, no caching', async () => {
    const viewer = await sample.signIn('viewer');
    for (const answer of await Promise.all([
      viewer.get('/auth/me'),
      viewer.get('/nope'),
      sample.anonymous.get('/documents'),
      sample.anonymous.get('/health/live'),
    ])) {
      expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
      expect(answer.headers.get('x-powered-by')).toBeNull();
      expect(answer.headers.get('server')).toBeNull();
      expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(answer.headers.get('strict-transport-security')).toContain('max-age=');
      expect(answer.headers.get('cache-control')).toContain('no-store');
    }
  });

  test('WEB-15 nothing of the inside is served to a stranger', async () => {
    const paths = [
      '/docs',
      '/api',
      '/api-json',
      '/swagger',
      '/openapi.json',
      '/metrics',
      '/graphql',
      '/.env',
      '/.git/config',
      '/inspector',
    ];
    for (const path of paths) expect([401, 404], path).toContain((await sample.anonymous.get(path)).status);
    const live = await sample.anonymous.get('/health/live');
    expect([live.status, live.body]).toEqual([200, { status: 'up' }]);
    const ready = await sample.anonymous.get('/health/ready');
    expect([ready.status, ready.body]).toEqual([200, { status: 'up' }]);
  });

  test('REF-17 signing in again in the same browser ends the session that its cookies held, and no other', async () => {
    const browser = new Visitor(Number(new URL(sample.url).port));
    const elsewhere = await sample.signIn('clerk');
    const credentials = (name: string): { email: string; password: string } => {
      const { email, password } = sample.accounts.find((each) => each.email === `${name}@example.test`)!;
      return { email, password };
    };
    expect((await browser.own('POST /auth/login', credentials('editor'))).status).toBe(200);
    const before = browser.copy();
    expect((await before.own('GET /auth/me')).status).toBe(200);

    // A refused sign-in takes nothing from anybody.
    const wrong = { ...credentials('clerk'), password: 'not the one of the clerk' };
    expect((await browser.copy().own('POST /auth/login', wrong)).status).toBe(401);
    expect((await before.own('GET /auth/me')).status).toBe(200);

    expect((await browser.own('POST /auth/login', credentials('clerk'))).status).toBe(200);
    expect((await before.own('GET /auth/me')).status).toBe(401);
    expect((await before.own('POST /auth/refresh')).status).toBe(401);
    expect((await browser.own('GET /auth/me')).status).toBe(200);
    expect((await elsewhere.get('/auth/me')).status).toBe(200);
  });

  test('OPS-03 no well-known account or password opens anything', async () => {
    for (const [email, password] of [
      ['admin@example.test', 'admin'],
      ['admin@example.test', 'password'],
      ['root@localhost.test', 'root'],
      ['admin@example.test', 'changeme'],
    ]) {
      const answer = await sample.anonymous.post('/auth/login', { email, password, delivery: 'token' });
      expect([401, 429], email).toContain(answer.status);
    }
  });

  test('a token of another instance, a damaged one and none at all are refused alike in shape', async () => {
    const viewer = await sample.signIn('viewer');
    const damaged = new Caller(sample.url, `${viewer.token!.slice(0, -8)}xxxxxxxx`);
    const answer = await damaged.get('/documents');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(Object.keys(answer.body as object).sort()).toEqual([
      'code',
      'instance',
      'status',
      'title',
      'type',
    ]);
  });
});
