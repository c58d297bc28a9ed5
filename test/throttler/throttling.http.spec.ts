import { Logger } from '@nestjs/common';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { limitedApplication, type AdapterName, type LimitedApplication } from './limited.application.js';

const open: LimitedApplication[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(open.splice(0).map((app) => app.close()));
});

async function start(
  adapter: AdapterName,
  throttling?: Parameters<typeof limitedApplication>[0]['throttling'],
): Promise<LimitedApplication> {
  const app = await limitedApplication({ adapter, throttling: throttling ?? {} });
  open.push(app);
  return app;
}

describe.each(['express', 'fastify'] as const)('limits over %s', (adapter) => {
  test('THR-01 headers that name another address do not make another source', async () => {
    const app = await start(adapter, { sourceRequests: 1_000 });
    const statuses: number[] = [];
    for (let at = 0; at < 200; at += 1) {
      const address = `198.51.100.${String(at)}`;
      const { status } = await app.send('POST', 'login', {
        headers: {
          'x-forwarded-for': address,
          forwarded: `for=${address}`,
          'x-real-ip': address,
          'cf-connecting-ip': address,
          'true-client-ip': address,
          'x-client-ip': address,
        },
      });
      statuses.push(status);
    }
    expect(statuses.filter((status) => status === 201)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(195);
    expect(new Set(app.events.map(({ sourceAddress }) => sourceAddress))).not.toContain('198.51.100.7');
  });

  test('THR-11 of 200 parallel requests at a limit of 10 exactly 10 pass', async () => {
    const app = await start(adapter, { sourceRequests: 1_000, strictRequests: 10 });
    const answers = await Promise.all(Array.from({ length: 200 }, () => app.send('POST', 'login')));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(10);
  });

  test('THR-15 no user agent, other method, trailing slash or other case has a bucket of its own', async () => {
    const app = await start(adapter, { routeRequests: 4 });
    const statuses = [
      await app.send('GET', 'open', { headers: { 'user-agent': 'kube-probe/1.30' } }),
      await app.send('HEAD', 'open', { headers: { 'user-agent': 'Googlebot/2.1' } }),
      await app.send('GET', 'open?a=1', { headers: { 'x-health-check': '1' } }),
      await app.send('GET', 'open', { headers: { 'user-agent': 'ELB-HealthChecker/2.0' } }),
    ].map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 200, 200]);
    for (const path of ['open', 'open/', 'OPEN']) {
      // Fastify matches neither the slash nor the case: 404 is as good, an answer would not be.
      expect((await app.send('GET', path)).status, path).not.toBe(200);
    }
    expect((await app.send('HEAD', 'open')).status).toBe(429);
  });

  test('THR-16 a refusal says when to come back, and coming back then works', async () => {
    const app = await start(adapter);
    for (let used = 0; used < 5; used += 1) await app.send('POST', 'login');
    const { status, headers } = await app.send('POST', 'login');
    expect(status).toBe(429);
    expect(headers.get('retry-after')).toBe('12');
    expect(headers.get('ratelimit')).toBe('"route";r=0;t=12');
    expect(headers.get('ratelimit-policy')).toBe('"route";q=5;w=60');
    expect(headers.get('x-ratelimit-limit')).toBeNull();
    app.clock.advanceSeconds(12);
    expect((await app.send('POST', 'login')).status).toBe(201);
  });

  test('an allowed answer tells what is left, of the principal where there is one', async () => {
    const app = await start(adapter);
    const visitor = await app.send('GET', 'open');
    expect(visitor.headers.get('ratelimit')).toBe('"route";r=119;t=1');
    expect(visitor.headers.get('ratelimit-policy')).toBe('"route";q=120;w=60');
    const account = await app.send('GET', 'rare', { headers: { 'x-name': 'alice' } });
    expect(account.headers.get('ratelimit')).toBe('"principal";r=2;t=20');
    expect(account.headers.get('ratelimit-policy')).toBe('"principal";q=3;w=60');
  });

  test('an answer tells nothing when announceQuota is off, and a refusal still does', async () => {
    const app = await start(adapter, { announceQuota: false, routeRequests: 1 });
    expect((await app.send('GET', 'open')).headers.get('ratelimit')).toBeNull();
    expect((await app.send('GET', 'open')).headers.get('ratelimit')).toBe('"route";r=0;t=60');
  });

  test('a principal has a limit of its own, and one does not use up what another has', async () => {
    const app = await start(adapter);
    const as = async (name: string): Promise<number> =>
      (await app.send('GET', 'rare', { headers: { 'x-name': name } })).status;
    expect([await as('alice'), await as('alice'), await as('alice')]).toEqual([200, 200, 200]);
    expect(await as('alice')).toBe(429);
    expect(await as('bob')).toBe(200);
    expect(app.events.map(({ action, reason }) => [action, reason])).toEqual([
      ['throttle.refused', 'the limit per principal and handler is used up'],
    ]);
  });

  test('requests without credentials are limited before anybody looks for some', async () => {
    const app = await start(adapter, { routeRequests: 2 });
    const statuses: number[] = [];
    for (let at = 0; at < 4; at += 1) statuses.push((await app.send('GET', 'own')).status);
    expect(statuses).toEqual([401, 401, 429, 429]);
  });

  test.each([
    ['nothing is there', 'GET', 'nothing-here', undefined, 404],
    ['the method is not there', 'PATCH', 'open', undefined, 404],
    ['the body cannot be parsed', 'POST', 'login', '{"a":', 400],
    ['the body is too large', 'POST', 'login', JSON.stringify({ a: 'x'.repeat(2_000_000) }), 413],
  ])('the limit per source counts also where %s', async (_case, method, path, body, expected) => {
    const app = await start(adapter, { sourceRequests: 2 });
    const init = body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } };
    const send = async (): Promise<number> => (await app.send(method, path, init)).status;
    expect([await send(), await send(), await send()]).toEqual([expected, expected, 429]);
    expect((await app.send('GET', 'open')).status).toBe(429);
  });

  test('THR-16 a flood from one source is one record a window', async () => {
    const app = await start(adapter, { sourceRequests: 1 });
    for (let at = 0; at < 20; at += 1) await app.send('GET', 'nothing-here');
    expect(app.events).toHaveLength(1);
    expect(app.events[0]).toMatchObject({
      action: 'throttle.refused',
      outcome: 'failure',
      sourceAddress: '127.0.0.1',
      transport: 'http',
      reason: 'the limit per source is used up',
    });
    app.clock.advanceSeconds(60);
    for (let at = 0; at < 20; at += 1) await app.send('GET', 'nothing-here');
    expect(app.events).toHaveLength(2);
  });

  test('a refusal that cannot be recorded is a refusal all the same', async () => {
    const app = await start(adapter, { sourceRequests: 1 });
    app.failToRecord();
    const errors = vi.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
    await app.send('GET', 'open');
    expect((await app.send('GET', 'open')).status).toBe(429);
    expect(errors).toHaveBeenCalledWith('throttle.refused could not be recorded', expect.anything());
  });
});
