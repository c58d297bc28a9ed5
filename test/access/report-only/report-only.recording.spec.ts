import { Controller, Get, Logger, Module } from '@nestjs/common';
import * as fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { AccessReports } from '../../../src/access/report-only/access-reports.js';
import { ReportAnnouncements } from '../../../src/access/report-only/report.announcements.js';
import {
  Findings,
  MAX_SUBJECTS,
  OVERFLOW,
  PASSES,
  type Finding,
} from '../../../src/access/report-only/report.findings.js';
import { REPORT_REASONS, reasonOf } from '../../../src/access/report-only/report.reasons.js';
import { ReportOnlyRecorder } from '../../../src/access/report-only/report-only.recorder.js';
import { ReportStore } from '../../../src/access/report-only/report.store.js';
import { Authenticator } from '../../../src/core/authenticator.js';
import { Pipeline, refused } from '../../../src/core/pipeline.js';
import { RequirePermission } from '../../../src/core/route-policy.js';
import { SecurityEvents, type SecurityEvent } from '../../../src/core/security-events.js';
import { ERROR_STATUS, ZeroTrustError, type ErrorCode } from '../../../src/core/zero-trust-error.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { startFaultProxy, type FaultProxy } from '../../support/fault-proxy.js';
import {
  ask,
  startHostile,
  type HostileApplication,
  type HostileOptions,
} from '../../support/hostile.application.js';
import { FrozenClock } from '../../throttler/frozen-clock.js';
import { permissions } from '../access.application.js';
import { asOwner, newSubject } from '../access.fixtures.js';

const READ: Finding = {
  ...{ way: 'GET /cats', handler: 'CatsController.list' },
  ...{ reason: 'a demanded permission is not held', permissions: ['documents:read'] },
};

@Controller('cats')
class CatsController {
  @Get()
  @RequirePermission('documents:read')
  list(): string {
    return 'cats';
  }
}
@Module({ controllers: [CatsController] })
class CatsModule {}

let database: TestDatabase;
let proxy: FaultProxy;
beforeAll(async () => {
  database = await createTestDatabase();
  proxy = await startFaultProxy(database.appUrl);
});
afterAll(async () => {
  await proxy.close();
  await database.drop();
});
let errors: string[];
let warnings: string[];
beforeEach(() => {
  errors = [];
  warnings = [];
  vi.spyOn(Logger.prototype, 'error').mockImplementation((text: unknown) => void errors.push(String(text)));
  vi.spyOn(Logger.prototype, 'warn').mockImplementation((text: unknown) => void warnings.push(String(text)));
});
afterEach(async () => {
  vi.restoreAllMocks();
  proxy.pass();
  await asOwner(database, 'TRUNCATE access.report');
});

const start = (options: Partial<HostileOptions> = {}): Promise<HostileApplication> =>
  startHostile({
    databaseUrl: proxy.through(database.appUrl),
    imports: [CatsModule],
    access: { permissions, reportOnly: { modules: [CatsModule] } },
    ...options,
  });
const rows = (): Promise<{ reason: string; times: string; subjects: string[] }[]> =>
  asOwner(database, 'SELECT reason, times, subjects FROM access.report ORDER BY reason');

describe('a database that is gone', () => {
  test('is nothing that a report-only call notices; what it could not take is kept, counted, and written later', async () => {
    const app = await start();
    const recorder = app.app.get(ReportOnlyRecorder);
    try {
      proxy.cut();
      for (let call = 0; call < 3; call += 1) {
        expect(await ask(app, 'GET', '/cats', { as: newSubject() })).toEqual({ status: 200, body: 'cats' });
        expect((await ask(app, 'GET', '/cats')).status).toBe(200);
      }
      await recorder.flush();
      await recorder.flush();
      expect(recorder.counts()).toEqual({ wouldRefuse: 6, wouldPass: 0, unrecorded: 6 });
      expect(errors.filter((text) => text.includes('could not be recorded and is kept'))).toHaveLength(1);
      // What is enforced refuses, as ever.
      expect((await ask(app, 'GET', '/admin/roles', { as: newSubject() })).status).toBe(503);
      proxy.pass();
      await vi.waitFor(async () => {
        await recorder.flush();
        expect(recorder.counts().unrecorded).toBe(0);
      }, 20_000);
      expect((await rows()).map(({ reason, times }) => [reason, Number(times)])).toEqual([
        ['it could not be checked', 3],
        ['no credentials were presented', 3],
      ]);
    } finally {
      await app.close();
    }
  });

  test('that answers nothing holds a call up for a second at most', async () => {
    const app = await start();
    try {
      proxy.blackHole();
      const beganMs = performance.now();
      expect((await ask(app, 'GET', '/cats', { as: newSubject() })).status).toBe(200);
      expect(performance.now() - beganMs).toBeLessThan(2_000);
    } finally {
      proxy.pass();
      await app.close();
    }
  });

  test('while the process ends loses what was found, and the log says how much', async () => {
    const app = await start();
    await ask(app, 'GET', '/cats');
    await ask(app, 'GET', '/cats');
    await app.app.get(ReportOnlyRecorder).flush();
    proxy.cut();
    await ask(app, 'GET', '/cats');
    await app.close();
    expect(errors).toContain('Stopping with 1 report-only findings that could not be recorded.');
    proxy.pass();
    expect((await rows()).map(({ times }) => Number(times))).toEqual([2]);
  });

  test('is no reason for a clean end to lose anything: what was found last is written', async () => {
    const app = await start();
    await ask(app, 'GET', '/cats');
    await app.close();
    expect((await rows()).map(({ times }) => Number(times))).toEqual([1]);
    expect(errors).toEqual([]);
  });
});

describe('what is kept of a caller', () => {
  /** Another identity, whose subjects and errors are whatever callers send. */
  class EchoingAuthenticator extends Authenticator {
    override authenticate(
      execution: Parameters<Authenticator['authenticate']>[0],
    ): { kind: 'account'; subject: string } | undefined {
      const { headers } = execution
        .switchToHttp()
        .getRequest<{ headers: Readonly<Record<string, string | undefined>> }>();
      if (headers['x-fault']) {
        throw new ZeroTrustError('invalid-credentials', { detail: `no ${headers['x-fault']}` });
      }
      return { kind: 'account', subject: headers['x-subject'] ?? '' };
    }
  }
  @Module({})
  class EchoingModule {
    constructor(pipeline: Pipeline) {
      pipeline.useAuthenticator(new EchoingAuthenticator());
    }
  }

  test('is nothing that they sent: neither a subject that is no id, nor what an authenticator says of them', async () => {
    const app = await start({ withIdentity: false, imports: [CatsModule, EchoingModule] });
    try {
      for (let at = 0; at < 20; at += 1) {
        await ask(app, 'GET', '/cats', { headers: { 'x-subject': `ada-${at}@example.test` } });
        await ask(app, 'GET', '/cats', { headers: { 'x-fault': `secret-${at}` } });
        await ask(app, 'GET', `/cats?x=${at}`, { headers: { 'x-subject': '' } });
      }
      await app.app.get(ReportOnlyRecorder).flush();
      expect((await rows()).map(({ times, ...row }) => ({ ...row, times: Number(times) }))).toEqual([
        { reason: 'the credentials do not hold', times: 20, subjects: [] },
        { reason: 'the subject can hold no grants: its id is no UUID', times: 40, subjects: [] },
      ]);
      const stored = await asOwner<{ text: string }>(database, 'SELECT r::text AS text FROM access.report r');
      for (const { text } of stored) expect(text).not.toMatch(/example\.test|secret/);
    } finally {
      await app.close();
    }
  });

  test('are ids of twenty accounts at most, in one spelling, over all replicas', async () => {
    const [one, other] = [await start(), await start()];
    try {
      const shared = randomUUID();
      for (const app of [one, other]) {
        await ask(app, 'GET', '/cats', { as: shared });
        for (let at = 0; at < 15; at += 1) await ask(app, 'GET', '/cats', { as: randomUUID() });
      }
      await Promise.all([one, other].map((app) => app.app.get(ReportOnlyRecorder).flush()));
      const [row] = await rows();
      expect(Number(row?.times)).toBe(32);
      expect(row?.subjects).toHaveLength(MAX_SUBJECTS);
      expect(new Set(row?.subjects).size).toBe(MAX_SUBJECTS);
    } finally {
      await one.close();
      await other.close();
    }
  });

  test('never becomes a reason: whatever a stage says, it is one of a closed list', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(
          'throttle-route',
          'authenticate',
          'throttle-principal',
          'segment',
          'authorize',
          'assure',
        ),
        fc.constantFrom(...(Object.keys(ERROR_STATUS) as ErrorCode[])),
        fc.string(),
        (stage, code, detail) => {
          const refusal = refused(detail, new ZeroTrustError(code, { detail }));
          if (refusal.passed) throw new Error('passed');
          expect(REPORT_REASONS).toContain(reasonOf({ stage, refusal }));
        },
      ),
    );
  });
});

describe('the counts in memory', () => {
  test('are bounded: what there is no room for is counted without particulars, and nothing is lost', () => {
    const findings = new Findings(3);
    for (let at = 0; at < 10; at += 1) findings.add({ ...READ, way: `GET /${at}` }, at, randomUUID());
    const counted = findings.drain();
    expect(counted).toHaveLength(4);
    expect(counted.find(({ reason }) => reason === OVERFLOW)).toEqual({
      ...{ way: '*', handler: '*', reason: OVERFLOW, permissions: [] },
      ...{ times: 7, subjects: [], firstSeenMs: 3, lastSeenMs: 9 },
    });
    expect(counted.reduce((sum, { times }) => sum + times, 0)).toBe(10);
    expect(findings.isEmpty).toBe(true);
  });

  test('that could not be written are counted on, with the first and the last time', () => {
    const findings = new Findings(3);
    findings.add(READ, 5, 'b');
    const [counted] = [findings.drain()];
    findings.add(READ, 7, 'a');
    findings.restore(counted);
    expect(findings.drain()).toEqual([
      { ...READ, times: 2, subjects: ['a', 'b'], firstSeenMs: 5, lastSeenMs: 7 },
    ]);
  });

  test('are added up by the database, whoever writes at the same time and in whatever order', async () => {
    const app = await start();
    const store = app.app.get(ReportStore);
    const ways = Array.from({ length: 50 }, (_, at) => `GET /${String(at).padStart(2, '0')}`);
    const batch = (replica: number): Promise<void> => {
      const findings = new Findings(100);
      for (const way of replica % 2 === 0 ? ways : [...ways].reverse()) findings.add({ ...READ, way }, 1);
      return store.add(findings.drain());
    };
    try {
      await Promise.all(Array.from({ length: 8 }, (_, replica) => batch(replica)));
      expect((await store.list()).map(({ times }) => times)).toEqual(ways.map(() => 8));
    } finally {
      await app.close();
    }
  });
});

describe('log and audit log', () => {
  const counted = (changes: Partial<Finding> = {}): Parameters<ReportAnnouncements['publish']>[0] => [
    { ...READ, ...changes, times: 3, subjects: [randomUUID()], firstSeenMs: 0, lastSeenMs: 1 },
  ];

  test('are told once an hour for each way in, reason and permission, never of what would pass, never of whom', async () => {
    const clock = new FrozenClock();
    const events = new SecurityEvents(clock);
    const published: SecurityEvent[] = [];
    events.subscribe((event) => void published.push(event));
    const announcements = new ReportAnnouncements(events, clock);
    await announcements.publish(counted());
    await announcements.publish(counted());
    await announcements.publish(counted({ reason: PASSES }));
    expect(published).toHaveLength(1);
    expect(published[0]).toMatchObject({
      action: 'access.would-refuse',
      target: { type: 'handler', id: 'CatsController.list' },
      detail: { count: 3, permission: 'documents:read' },
    });
    expect(JSON.stringify(published)).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-4/);
    await announcements.publish(counted({ permissions: ['documents:write'] }));
    expect(published).toHaveLength(2);
    clock.advanceSeconds(3_599);
    await announcements.publish(counted());
    expect(published).toHaveLength(2);
    clock.advanceSeconds(1);
    await announcements.publish(counted());
    expect(published).toHaveLength(3);
  });

  test('that cannot be written are tried again with the next finding, and fail nothing', async () => {
    const clock = new FrozenClock();
    const events = new SecurityEvents(clock);
    let isDown = true;
    let taken = 0;
    events.subscribe(() => {
      if (isDown) throw new Error('down');
      taken += 1;
    });
    const announcements = new ReportAnnouncements(events, clock);
    await announcements.publish(counted());
    isDown = false;
    await announcements.publish(counted());
    expect(taken).toBe(1);
  });

  test('get one line a minute with the number of calls, while there are any', () => {
    const clock = new FrozenClock();
    const announcements = new ReportAnnouncements(new SecurityEvents(clock), clock);
    announcements.summarise(0);
    announcements.summarise(2);
    announcements.summarise(5);
    clock.advanceSeconds(60);
    announcements.summarise(5);
    clock.advanceSeconds(60);
    announcements.summarise(5);
    expect(warnings).toEqual(
      [2, 3].map(
        (calls) =>
          `REPORT-ONLY: ${calls} calls that enforcement would refuse were let through; see \`zero-trust report\``,
      ),
    );
  });
});

describe('the login of the application', () => {
  test('V8.2.1 adds to the report, reads it and forgets it, and cannot rewrite what a row is about', async () => {
    const app = await start();
    try {
      await ask(app, 'GET', '/cats');
      await app.app.get(ReportOnlyRecorder).flush();
      const { default: pg } = await import('pg');
      const client = new pg.Client({ connectionString: database.appUrl });
      await client.connect();
      try {
        for (const column of ['way', 'handler', 'reason']) {
          await expect(client.query(`UPDATE access.report SET ${column} = 'x'`)).rejects.toThrow(
            'permission denied',
          );
        }
        await expect(client.query('TRUNCATE access.report')).rejects.toThrow('permission denied');
      } finally {
        await client.end();
      }
      expect((await app.app.get(AccessReports).read()).ways).toHaveLength(1);
    } finally {
      await app.close();
    }
  });
});
