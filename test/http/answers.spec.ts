import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADAPTERS, type RunningApplication } from '../support/application.js';
import { startEdge } from './edge.application.js';
import { SECRET, THROWS } from './edge.controllers.js';
import { requestOf, sendRaw, type RawAnswer, type RawOptions } from './raw-client.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** What every answer bears, and nothing that is not in this list. */
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
};
/** Of what Node's parser refuses: no adapter ever sees it. */
const PARSER_HEADERS = [
  'cache-control',
  'content-security-policy',
  'cross-origin-resource-policy',
  'referrer-policy',
  'strict-transport-security',
  'x-content-type-options',
] as const;
const TRANSPORT_HEADERS = ['connection', 'content-length', 'content-type', 'date', 'transfer-encoding'];

describe.each(ADAPTERS)('what the edge answers over %s', (adapter) => {
  let edge: RunningApplication;
  beforeAll(async () => {
    edge = await startEdge({ adapter });
  });
  afterAll(() => edge.close());

  async function ask(request: string, options: RawOptions = {}): Promise<RawAnswer> {
    const { answers } = await sendRaw(edge.port, request, { answers: 1, ...options });
    expect(answers).toHaveLength(1);
    return answers[0] as RawAnswer;
  }
  const json = (body: string): string =>
    requestOf(
      'POST /bound',
      ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`],
      body,
    );

  const problems: readonly [status: number, title: string, code: string, request: string][] = [
    [400, 'Bad Request', 'invalid-request', json('{')],
    [401, 'Unauthorized', 'authentication-required', requestOf('GET /own')],
    [403, 'Forbidden', 'permission-denied', requestOf('GET /forbidden', ['Authorization: Bearer somebody'])],
    [404, 'Not Found', 'not-found', requestOf('GET /nowhere')],
    [405, 'Method Not Allowed', 'method-not-allowed', requestOf('DELETE /open')],
    [413, 'Payload Too Large', 'payload-too-large', json(`{"title":"${'a'.repeat(102_400)}"}`)],
    [
      415,
      'Unsupported Media Type',
      'unsupported-media-type',
      requestOf('POST /bound', ['Content-Type: text/plain', 'Content-Length: 2'], '{}'),
    ],
    [417, 'Expectation Failed', 'invalid-request', requestOf('GET /open', ['Expect: foo'])],
    [
      431,
      'Request Header Fields Too Large',
      'headers-too-large',
      requestOf('GET /open', [`X: ${'x'.repeat(20_000)}`]),
    ],
    [500, 'Internal Server Error', 'internal-error', requestOf('GET /throws/error')],
    [503, 'Service Unavailable', 'temporarily-unavailable', requestOf('GET /throws/unavailable')],
  ];

  test.each(problems)('%i is a problem document and nothing else', async (status, title, code, request) => {
    const answer = await ask(request);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    const id = answer.headers.get('x-request-id') ?? '';
    expect(id).toMatch(UUID);
    expect(answer.body).toEqual({
      type: `urn:zero-trust:error:${code}`,
      title,
      status,
      code,
      instance: `urn:uuid:${id}`,
    });
  });

  test('a validation error adds its fields, and none of the values that were sent', async () => {
    const answer = await ask(json('{"title":["hunter2"],"<script>":"hunter2","count":"hunter2"}'));
    expect([answer.status, (answer.body as { code: string }).code]).toEqual([400, 'validation-failed']);
    const { errors, ...rest } = answer.body as { errors: { field: string; messages: string[] }[] };
    expect(Object.keys(rest)).toEqual(['type', 'title', 'status', 'code', 'instance']);
    expect(errors.map(({ field }) => field).sort()).toEqual(['<script>', 'count', 'title']);
    for (const error of errors) {
      expect(Object.keys(error)).toEqual(['field', 'messages']);
      expect(error.messages.every((message) => typeof message === 'string' && message !== '')).toBe(true);
    }
    expect(answer.text).not.toContain('hunter2');
  });

  test('a list of validation errors is bounded in count and length', async () => {
    const fields = Array.from({ length: 1_000 }, (_, at) => `"${'k'.repeat(20)}${at}":1`).join(',');
    const many = await ask(json(`{${fields}}`));
    const long = await ask(json(`{"${'k'.repeat(50_000)}":1}`));
    expect([many.status, long.status]).toEqual([400, 400]);
    expect((many.body as { errors: unknown[] }).errors).toHaveLength(20);
    expect(many.text.length).toBeLessThan(8_192);
    expect(long.text.length).toBeLessThan(8_192);
  });

  test('401 names the scheme, 405 the methods that there are', async () => {
    expect((await ask(requestOf('GET /own'))).headers.get('www-authenticate')).toBe('Bearer');
    for (const method of ['PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']) {
      const answer = await ask(requestOf(`${method} /open`));
      expect([method, answer.status, answer.headers.get('allow')]).toEqual([method, 405, 'GET, HEAD, POST']);
    }
    const one = await ask(requestOf('POST /bound/id/x', ['Content-Length: 0']));
    expect([one.status, one.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  test('429 says when to come back and which quota it was, also before routing', async () => {
    const small = await startEdge({ adapter, throttler: { sourceRequests: 1, routeRequests: 1_000_000 } });
    try {
      const first = await sendRaw(small.port, requestOf('GET /nowhere'));
      const second = await sendRaw(small.port, requestOf('GET /nowhere'));
      expect(first.answers[0]?.status).toBe(404);
      const [answer] = second.answers;
      expect(answer?.body).toMatchObject({ status: 429, code: 'too-many-requests' });
      expect(answer?.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
      expect(answer?.headers.get('ratelimit')).toMatch(/^"source";r=0;t=\d+$/);
      expect(answer?.headers.get('ratelimit-policy')).toBe('"source";q=1;w=60');
      for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
        expect([name, answer?.headers.get(name)]).toEqual([name, value]);
      }
    } finally {
      await small.close();
    }
  });

  test('503 says when to come back', async () => {
    expect((await ask(requestOf('GET /throws/unavailable'))).headers.get('retry-after')).toBe('1');
  });

  test.each<readonly [string, string]>([
    ['200', requestOf('GET /open')],
    ...problems
      .filter(([status]) => status !== 417 && status !== 431)
      .map(([status, , , request]) => [String(status), request] as const),
    ['400 of the router', requestOf('GET /bound/id/%C3%28')],
    ['a parameter that is too long', requestOf(`GET /bound/id/${'a'.repeat(5_000)}`)],
    ['a malformed Host', requestOf('GET /open', ['Host: two'])],
    ['an error after other headers were set', requestOf('GET /half')],
    ['an error after other headers were set on the reply', requestOf('GET /half-said')],
    ['an error after a reason was given that cannot be written', requestOf('GET /reason')],
    ['an error because of a head that cannot be written', requestOf('GET /refused-head')],
  ])('%s bears the security headers exactly, and none that names the server', async (_, request) => {
    const { headers } = await ask(request);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      expect([name, headers.get(name)]).toEqual([name, value]);
    }
    expect(headers.get('x-request-id')).toMatch(UUID);
    const known = new Set([
      ...Object.keys(SECURITY_HEADERS),
      ...TRANSPORT_HEADERS,
      ...['x-request-id', 'allow', 'retry-after', 'www-authenticate', 'ratelimit', 'ratelimit-policy'],
    ]);
    expect([...headers.keys()].filter((name) => !known.has(name))).toEqual([]);
  });

  test.each([
    ['a line that is no HTTP', 'HELLO\r\n\r\n'],
    ['an expectation', requestOf('GET /open', ['Expect: foo'])],
    ['too large a header', requestOf('GET /open', [`X: ${'x'.repeat(20_000)}`])],
    ['two lengths', requestOf('POST /open', ['Content-Length: 1', 'Content-Length: 2'], 'x')],
  ])('%s, refused before any adapter, bears an id and what protects a browser', async (_, request) => {
    const { answers, closed } = await sendRaw(edge.port, request);
    expect([answers.length, closed]).toEqual([1, true]);
    const { headers } = answers[0] as RawAnswer;
    expect(headers.get('x-request-id')).toMatch(UUID);
    for (const name of PARSER_HEADERS)
      expect([name, headers.get(name)]).toEqual([name, SECURITY_HEADERS[name]]);
  });

  test('an id that the caller chose is not taken over, and no two requests share one', async () => {
    const chosen = '00000000-0000-4000-8000-000000000000';
    const ids = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const answer = await ask(requestOf('GET /open', [`X-Request-Id: ${chosen}`]));
        return answer.headers.get('x-request-id');
      }),
    );
    expect(new Set(ids).size).toBe(20);
    expect(ids).not.toContain(chosen);
  });

  test.each(THROWS)('RBAC-31 of a handler that throws %s nothing comes out', async (what) => {
    const answer = await ask(requestOf(`GET /throws/${what}`));
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(Object.keys(answer.body as object)).toEqual(['type', 'title', 'status', 'code', 'instance']);
    expect(answer.text + JSON.stringify([...answer.headers])).not.toContain('hunter2');
    expect(answer.text).not.toMatch(/nest|express|fastify|typeorm|node_modules|\bat /i);
  });

  test.each([
    ['error', 500],
    ['odd', 500],
    ['status', 500],
    ['exposed', 500],
    ['http502', 500],
    ['cause', 418],
  ])('the status of an error that nobody made about a request is not believed: %s', async (what, status) => {
    expect((await ask(requestOf(`GET /throws/${what}`))).status).toBe(status);
  });

  test('nothing that was sent comes back in an error', async () => {
    const probe = 'zq7Reflected';
    const answers = await Promise.all([
      ask(requestOf(`GET /${probe}`)),
      ask(requestOf(`GET /%${probe}`)),
      ask(requestOf(`GET /bound/id/${probe}`)),
      ask(requestOf(`GET /bound/id/${probe.repeat(20)}`)),
      ask(requestOf(`GET /bound?sort=${probe}`)),
      ask(requestOf('GET /own', [`Authorization: Bearer ${probe}`])),
      ask(json(`{"title":${probe}}`)),
      ask(json(`{"title":{"a":"${probe}"}}`)),
      ask(requestOf('POST /bound', [`Content-Type: ${probe}/json`, 'Content-Length: 2'], '{}')),
      ask(requestOf(`${probe} /open`)),
      ask(requestOf('GET /open', [`Expect: ${probe}`])),
    ]);
    for (const { status, text, headers } of answers) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(text + JSON.stringify([...headers])).not.toContain(probe);
    }
  });

  test('HEAD has the headers of GET and no body', async () => {
    const get = await ask(requestOf('GET /open'));
    const { answers } = await sendRaw(edge.port, requestOf('HEAD /open'), { head: true });
    expect(answers[0]?.status).toBe(200);
    const names = (headers: Headers | undefined): string[] =>
      [...(headers?.keys() ?? [])].filter((name) => name !== 'content-length');
    expect(names(answers[0]?.headers)).toEqual(names(get.headers));
  });

  test('headers that name another method change nothing', async () => {
    for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']) {
      const answer = await ask(requestOf('POST /own', [`${name}: GET`, 'Content-Length: 0']));
      expect([name, answer.status]).toEqual([name, 405]);
      const other = await ask(requestOf('GET /own?_method=POST', [`${name}: POST`]));
      expect([name, other.status]).toEqual([name, 401]);
    }
  });

  test('headers that name another path change nothing', async () => {
    for (const name of ['X-Original-URL', 'X-Rewrite-URL', 'X-Forwarded-Uri', 'X-Forwarded-Prefix']) {
      expect((await ask(requestOf('GET /own', [`${name}: /open`]))).status).toBe(401);
      expect((await ask(requestOf('GET /nowhere', [`${name}: /open`]))).status).toBe(404);
    }
  });

  test('an answer that fails once it has begun is broken off, never ended as if it were whole', async () => {
    const { answers, closed } = await sendRaw(edge.port, requestOf('GET /breaks'));
    expect([answers.length, closed]).toEqual([0, true]);
    const response = await fetch(`${edge.url}/breaks`);
    await expect(response.text()).rejects.toThrow();
  });
});

test('the secret that these handlers throw is one that the assertions look for', () => {
  expect(SECRET).toContain('hunter2');
});
