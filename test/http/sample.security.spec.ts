import fc from 'fast-check';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RouteInventory } from '../../src/access/inventory/route-inventory.js';
import { ADAPTERS } from '../support/application.js';
import { startSample, type Answer, type Caller, type Sample } from '../support/sample.js';

const ID = '00000000-0000-4000-8000-000000000000';
const INJECTIONS = [
  "'",
  "' OR '1'='1",
  '1; SELECT pg_sleep(3)--',
  "' || (SELECT pg_sleep(3)) || '",
  '(select pg_sleep(3))',
  '1) UNION SELECT NULL,NULL--',
  '$1',
  '\\',
  '%',
  "'; DROP TABLE documents.document;--",
];

describe.each(ADAPTERS)('the sample under bad input over %s', (adapter) => {
  let sample: Sample;
  let callers: Caller[];
  let routes: { method: string; path: string }[];
  beforeAll(async () => {
    sample = await startSample({ adapter });
    callers = [
      sample.anonymous,
      await sample.signIn('editor'),
      await sample.signIn('clerk'),
      await sample.signIn('admin'),
    ];
    routes = sample.app
      .get(RouteInventory)
      .entries()
      .filter(({ method }) => /^(GET|POST|PUT|PATCH|DELETE)$/.test(method))
      .map(({ method, path }) => ({ method, path }))
      // A session that ends itself would leave nobody to ask as.
      .filter(({ path }) => !/logout|sessions/.test(path));
    expect(routes.length).toBeGreaterThan(10);
  });
  afterAll(() => sample.close());

  function expectHandled({ status, headers, body }: Answer, what: unknown): void {
    expect({ what, status, below500: status < 500 }).toMatchObject({ below500: true });
    if (status < 400) return;
    expect([what, headers.get('content-type')]).toEqual([what, 'application/problem+json; charset=utf-8']);
    expect(body).toMatchObject({ status, instance: `urn:uuid:${headers.get('x-request-id') ?? ''}` });
  }

  test('VAL-13 SQL in every parameter and field is text or refused, never slow and never an error', async () => {
    for (const { method, path } of routes) {
      for (const injection of INJECTIONS) {
        const filled = path.replace(/:\w+/g, encodeURIComponent(injection));
        const query = `?after=${encodeURIComponent(injection)}&limit=${encodeURIComponent(injection)}`;
        const body = { title: injection, body: injection, email: injection, role: injection, id: injection };
        const before = performance.now();
        const answers = await Promise.all(
          callers.map((caller) =>
            caller.send(
              method,
              method === 'GET' ? filled + query : filled,
              method === 'GET' ? undefined : body,
            ),
          ),
        );
        expect(performance.now() - before).toBeLessThan(2_500);
        for (const answer of answers) expectHandled(answer, { method, filled });
      }
    }
    const [, editor] = callers;
    const stored = await editor?.post('/documents', { title: INJECTIONS[8], body: INJECTIONS[9] });
    expect(stored?.body).toMatchObject({ title: INJECTIONS[8], body: INJECTIONS[9] });
  }, 120_000);

  test('NET-08 NET-09 thousands of keys and the largest bodies do not hold the others up', async () => {
    const [, editor] = callers;
    const delay = monitorEventLoopDelay({ resolution: 5 });
    const keys = Array.from({ length: 8_000 }, (_, at) => `"${String(at)}":0`).join(',');
    const bodies = [`{${keys}}`, `{"title":"${'a'.repeat(100_000)}"}`, `{"a":[${'0,'.repeat(50_000)}0]}`];
    await editor?.post('/documents', { title: 'warm', body: 'up' });
    // The best of three: a pause of the machine is not the input's.
    const measured: { p99: number; max: number }[] = [];
    for (let attempt = 0; attempt < 3 && !measured.some(isWithinBudget); attempt += 1) {
      delay.reset();
      delay.enable();
      for (let round = 0; round < 6; round += 1) {
        for (const raw of bodies) {
          const response = await fetch(`${sample.url}/documents`, {
            method: 'POST',
            headers: { 'content-type': 'application/json', authorization: `Bearer ${editor?.token ?? ''}` },
            body: raw,
          });
          expect(response.status).toBe(400);
        }
        const query = Array.from({ length: 1_500 }, (_, at) => `${String(at)}=0`).join('&');
        expect((await editor?.get(`/documents?${query}`))?.status).toBe(400);
      }
      delay.disable();
      measured.push({ p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 });
    }
    expect(measured.at(-1)).toSatisfy(isWithinBudget);
  });

  test('NET-10 clients that leave while a password is hashed or a query runs leave nothing behind', async () => {
    const [, editor] = callers;
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, at) => {
          const leave = new AbortController();
          const asked =
            at % 2 === 0
              ? fetch(`${sample.url}/auth/login`, {
                  method: 'POST',
                  headers: { 'content-type': 'application/json' },
                  body: JSON.stringify({
                    email: 'nobody@example.test',
                    password: 'whatever',
                    delivery: 'token',
                  }),
                  signal: leave.signal,
                })
              : fetch(`${sample.url}/documents`, {
                  headers: { authorization: `Bearer ${editor?.token ?? ''}` },
                  signal: leave.signal,
                });
          setImmediate(() => {
            leave.abort();
          });
          await asked.then((response) => response.text()).catch(() => undefined);
        }),
      );
    }
    // As many at once as the pool has connections: none is missing.
    const answers = await Promise.all(Array.from({ length: 40 }, () => (editor as Caller).get('/documents')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    await sample.signIn('viewer');
  }, 60_000);

  test('NET-14 many sign-ins at once leave the routes of others answered', async () => {
    const [, editor] = callers;
    const body = { email: 'nobody@example.test', password: 'whatever it is', delivery: 'token' };
    const flood = Promise.all(Array.from({ length: 200 }, () => sample.anonymous.post('/auth/login', body)));
    const took: number[] = [];
    for (let at = 0; at < 20; at += 1) {
      const before = performance.now();
      expect((await editor?.get('/documents'))?.status).toBe(200);
      took.push(performance.now() - before);
    }
    const statuses = new Set((await flood).map(({ status }) => status));
    for (const status of statuses) expect([401, 429, 503]).toContain(status);
    took.sort((one, other) => one - other);
    expect(took[Math.floor(took.length / 2)]).toBeLessThan(1_000);
  }, 60_000);

  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom(
      ...INJECTIONS,
      '__proto__',
      'constructor',
      '\0',
      '\ud800',
      '\u202e',
      'null',
      '-0',
      '1e999',
      ID,
    ),
  );
  const value = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      text,
      fc.double(),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('any'), { maxLength: 4 }),
      fc.dictionary(text, tie('any'), { maxKeys: 4 }),
    ),
  })).any;
  const FIELDS = [
    'title',
    'body',
    'accountId',
    'access',
    'clientName',
    'iban',
    'amountCents',
    'currency',
    'email',
  ];
  const MORE = [
    'password',
    'delivery',
    'role',
    'permissions',
    'inherits',
    'reason',
    'permission',
    'expiresAt',
  ];
  const fields = fc.dictionary(fc.oneof(fc.constantFrom(...FIELDS, ...MORE), text), value, { maxKeys: 6 });

  test('VAL-01 VAL-03 VAL-14 whatever is sent to whichever route, by whom: never a 5xx, always one shape', async () => {
    const deadline = performance.now() + 12_000;
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.nat(),
        fc.oneof(fields, value),
        fc.array(fc.tuple(fc.oneof(fc.constantFrom('after', 'limit', 'actor', 'from'), text), text), {
          maxLength: 3,
        }),
        fc.oneof(fc.constant(ID), text),
        async (route, who, body, query, id) => {
          if (performance.now() > deadline) return;
          const { method, path } = routes[route % routes.length] as (typeof routes)[number];
          const encode = (raw: string): string => encodeURIComponent(raw.replace(/\p{Surrogate}/gu, ''));
          const filled = path.replace(/:\w+/g, encode(id) || '-');
          const search = query.map(([name, content]) => `${encode(name)}=${encode(content)}`).join('&');
          const caller = callers[who % callers.length] as Caller;
          const answer = await caller.send(
            method,
            `${filled}?${search}`,
            method === 'GET' ? undefined : body,
          );
          expectHandled(answer, { method, filled, search, body });
        },
      ),
      { seed: 20_260_801, numRuns: 1_500 },
    );
  }, 60_000);
});

const isWithinBudget = ({ p99, max }: { p99: number; max: number }): boolean => p99 < 200 && max < 500;
