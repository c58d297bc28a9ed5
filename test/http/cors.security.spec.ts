import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADAPTERS, type RunningApplication } from '../support/application.js';
import { edgeRefusal, startEdge } from './edge.application.js';
import { requestOf, sendRaw, type RawAnswer } from './raw-client.js';

const OURS = 'https://app.example.test';

describe.each(ADAPTERS)('other origins over %s', (adapter) => {
  let closed: RunningApplication;
  let listed: RunningApplication;
  beforeAll(async () => {
    closed = await startEdge({ adapter });
    listed = await startEdge({ adapter, http: { corsOrigins: [OURS, 'http://localhost:8080'] } });
  });
  afterAll(() => Promise.all([closed.close(), listed.close()]));

  async function ask(app: RunningApplication, line: string, fields: readonly string[]): Promise<RawAnswer> {
    const { answers } = await sendRaw(app.port, requestOf(line, fields));
    expect(answers).toHaveLength(1);
    return answers[0] as RawAnswer;
  }
  const preflight = (
    app: RunningApplication,
    origin: string,
    more: readonly string[] = [],
  ): Promise<RawAnswer> =>
    ask(app, 'OPTIONS /open', [`Origin: ${origin}`, 'Access-Control-Request-Method: POST', ...more]);
  const corsHeaders = ({ headers }: RawAnswer): string[] =>
    [...headers.keys()].filter((name) => name.startsWith('access-control-'));

  test('without a list no origin is allowed anything', async () => {
    const answer = await preflight(closed, OURS);
    expect([answer.status, corsHeaders(answer)]).toEqual([405, []]);
    expect(corsHeaders(await ask(closed, 'GET /open', [`Origin: ${OURS}`]))).toEqual([]);
  });

  test('a listed origin is allowed by its own name, without credentials', async () => {
    const answer = await preflight(listed, OURS);
    expect(answer.status).toBe(204);
    expect(answer.headers.get('access-control-allow-origin')).toBe(OURS);
    expect(answer.headers.get('access-control-allow-methods')?.split(/, ?/)).toEqual([
      'GET',
      'HEAD',
      'POST',
      'PUT',
      'PATCH',
      'DELETE',
    ]);
    expect(answer.headers.get('access-control-allow-headers')?.split(/, ?/)).toEqual([
      'Authorization',
      'Content-Type',
    ]);
    expect(answer.headers.get('access-control-max-age')).toBe('600');
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    expect(answer.headers.get('vary')).toMatch(/\bOrigin\b/i);
    const simple = await ask(listed, 'GET /open', [`Origin: ${OURS}`]);
    expect(simple.headers.get('access-control-allow-origin')).toBe(OURS);
    expect(simple.headers.get('vary')).toMatch(/\bOrigin\b/i);
    expect(simple.headers.get('access-control-expose-headers')).toContain('X-Request-Id');
  });

  test('a preflight bears an id and the security headers', async () => {
    const { headers } = await preflight(listed, OURS);
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('strict-transport-security')).toBe('max-age=63072000; includeSubDomains');
    expect(headers.get('cache-control')).toBe('no-store');
  });

  test.each([
    'null',
    '*',
    'https://evil.example',
    'https://app.example.test.evil.example',
    'https://evilapp.example.test',
    'https://sub.app.example.test',
    'https://app.example.test:8443',
    'http://app.example.test',
    'https://app.example.test/',
    'https://APP.example.test',
    'https://app.example.test@evil.example',
    'https://app_example.test',
    'https://appXexample.test',
    'https://app.example.test evil',
    'http://localhost:8081',
    'file://',
    'https://app.example.test, https://evil.example',
  ])(
    'the origin %s is allowed nothing, in a preflight or a request, and is never repeated',
    async (origin) => {
      for (const answer of [
        await preflight(listed, origin),
        await ask(listed, 'GET /open', [`Origin: ${origin}`]),
      ]) {
        expect(answer.headers.get('access-control-allow-origin')).toBeNull();
        expect(answer.headers.get('vary')).toMatch(/\bOrigin\b/i);
      }
    },
  );

  test('an answer without an origin varies by origin all the same, so that no cache mixes them up', async () => {
    expect((await ask(listed, 'GET /open', [])).headers.get('vary')).toMatch(/\bOrigin\b/i);
  });

  test('a private network is never opened, and other headers are not reflected', async () => {
    const answer = await preflight(listed, OURS, [
      'Access-Control-Request-Private-Network: true',
      'Access-Control-Request-Headers: x-evil',
    ]);
    expect(answer.headers.get('access-control-allow-private-network')).toBeNull();
    expect(answer.headers.get('access-control-allow-headers')).not.toContain('x-evil');
  });

  test('errors can be read by a listed origin too', async () => {
    for (const line of ['GET /own', 'GET /nowhere', 'POST /bound']) {
      const answer = await ask(listed, line, [`Origin: ${OURS}`, 'Content-Length: 0']);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.headers.get('access-control-allow-origin')).toBe(OURS);
    }
    const unread = await ask(listed, 'POST /bound', [
      `Origin: ${OURS}`,
      'Content-Type: text/plain',
      'Content-Length: 1',
    ]);
    expect([unread.status, unread.headers.get('access-control-allow-origin')]).toEqual([415, OURS]);
  });

  test('a refusal for too many requests can be read by a listed origin too', async () => {
    const small = await startEdge({
      adapter,
      http: { corsOrigins: [OURS] },
      throttler: { sourceRequests: 1 },
    });
    try {
      await ask(small, 'GET /open', []);
      const answer = await ask(small, 'GET /open', [`Origin: ${OURS}`]);
      expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([429, OURS]);
    } finally {
      await small.close();
    }
  });
});

test.each([
  '*',
  'https://*.example.test',
  'null',
  'https://app.example.test/',
  'https://app.example.test/path',
  'https://APP.example.test',
  'https://user@app.example.test',
  'https://app.example.test:443',
  'app.example.test',
  'ftp://app.example.test',
  '',
])('%j among the origins does not start', async (origin) => {
  const refusal = await edgeRefusal({ http: { corsOrigins: [origin] } });
  expect(refusal).toContain(`corsOrigins: ${JSON.stringify(origin)} `);
});
