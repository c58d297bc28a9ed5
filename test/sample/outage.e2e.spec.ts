import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.js';
import { startSample, type Caller, type Sample } from '../support/sample.js';

// The database goes away in the two ways that it can: connections are cut, or nothing answers any more.
describe('when the database is gone', () => {
  let sample: Sample;
  let proxy: FaultProxy;
  let viewer: Caller;

  beforeAll(async () => {
    sample = await startSample({
      through: async ({ appUrl, auditUrl }) => {
        proxy = await startFaultProxy(appUrl);
        return { appUrl: proxy.through(appUrl), auditUrl };
      },
    });
    viewer = await sample.signIn('viewer');
  });
  afterAll(async () => {
    await sample.close();
    await proxy.close();
  });

  test.each(['cut', 'blackHole'] as const)(
    'FLT-06 RBAC-27 %s: 503 and readiness down, never a 200 or a 500, and the service recovers alone',
    async (fault) => {
      proxy[fault]();
      const answers = await Promise.all([
        ...Array.from({ length: 10 }, () => viewer.get('/documents')),
        sample.anonymous.post('/auth/login', {
          email: 'viewer@example.test',
          password: 'whatever it may be',
          delivery: 'token',
        }),
      ]);
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
      for (const { headers, body } of answers) {
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
        expect((body as { code: string }).code).toBe('temporarily-unavailable');
      }
      const ready = await sample.anonymous.get('/health/ready');
      expect([ready.status, ready.body]).toEqual([503, { status: 'down' }]);
      expect((await sample.anonymous.get('/health/live')).status).toBe(200);
      proxy.pass();
      await vi.waitUntil(async () => (await sample.anonymous.get('/health/ready')).status === 200, {
        timeout: 15_000,
        interval: 50,
      });
      await vi.waitUntil(async () => (await viewer.get('/documents')).status === 200, {
        timeout: 15_000,
        interval: 50,
      });
    },
    60_000,
  );
});
