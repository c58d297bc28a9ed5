import { OnWorkerEvent, Processor, WorkerHost } from '@nestjs/bullmq';
import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { Cron, Interval, ScheduleModule, Timeout } from '@nestjs/schedule';
import type { Job } from 'bullmq';
import { EventEmitter, once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AccessService } from '../../src/access/access.service.js';
import { matrixDifference } from '../../src/access/inventory/matrix-difference.js';
import { RouteInventory } from '../../src/access/inventory/route-inventory.js';
import { RouteMatrix } from '../../src/access/inventory/route-matrix.js';
import { Pipeline } from '../../src/core/pipeline.js';
import type { Principal } from '../../src/core/principal.js';
import { RequestContext } from '../../src/core/request-context.js';
import { Authenticated, RequirePermission } from '../../src/core/route-policy.js';
import { SystemTask, systemPermissionsOf } from '../../src/core/system-task.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { ask, refusalOf, startHostile, type HostileApplication } from '../support/hostile.application.js';
import { permissions } from './access.application.js';
import { newSubject } from './access.fixtures.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const ran = new EventEmitter();
/** What a task is to the rest of the kit while it runs. */
interface Run {
  readonly context: RequestContext;
  readonly holds: Readonly<Record<string, boolean>>;
}
async function report(task: string, access: AccessService): Promise<void> {
  const holds: Record<string, boolean> = {};
  for (const permission of ['documents:read-any', 'documents:read', 'invoices:approve'] as const) {
    holds[permission] = await access.holds(permission);
  }
  ran.emit(task, { context: RequestContext.current(), holds });
}
const runOf = async (task: string): Promise<Run> => ((await once(ran, task)) as [Run])[0];

@Injectable()
class ReportTasks {
  constructor(readonly access: AccessService) {}

  @Interval(5)
  @SystemTask({ name: 'nightly-report', permissions: ['documents:read-any'] })
  nightly(): Promise<void> {
    return report('nightly', this.access);
  }

  /** The other way round, and with nothing. */
  @SystemTask({ name: 'idle-sweep' })
  @Interval('sweep', 5)
  sweep(): Promise<void> {
    return report('sweep', this.access);
  }

  @Timeout(5)
  @SystemTask({ name: 'overreaching-import', permissions: ['documents:read'] })
  async overreach(): Promise<void> {
    await this.access.require('invoices:approve');
  }

  @Cron('0 0 1 1 *')
  @SystemTask({ name: 'yearly-purge', permissions: ['documents:write'] })
  yearly(): void {
    throw new TypeError('what nobody needs to read');
  }
}

/** A failing task is logged by the scheduler; the logger of these applications is silent. */
const base = (): Parameters<typeof startHostile>[0] => ({
  databaseUrl: database.appUrl,
  access: { permissions },
  imports: [ScheduleModule.forRoot()],
});

@Processor('mails')
class MailProcessor extends WorkerHost {
  constructor(readonly access: AccessService) {
    super();
  }

  @SystemTask({ name: 'mail-queue', permissions: ['documents:read'] })
  override async process(job: Job<{ subject: string }>): Promise<string> {
    await report('mail', this.access);
    return `sent ${job.data.subject}`;
  }

  @OnWorkerEvent('completed')
  onCompleted(): void {
    return;
  }
}

describe('a task', () => {
  let app: HostileApplication;
  beforeAll(async () => {
    app = await startHostile({ ...base(), providers: [ReportTasks, MailProcessor] });
  });
  afterAll(() => app.close());
  beforeEach(() => {
    app.events.length = 0;
  });

  test('RBAC-01 V8.2.1 runs as a system principal of its own, with exactly what it declares, in either order of decorators', async () => {
    for (const [task, subject, reads] of [
      ['nightly', 'system:nightly-report', true],
      ['sweep', 'system:idle-sweep', false],
    ] as const) {
      const { context, holds } = await runOf(task);
      expect(context.transport).toBe('task');
      expect(context.principal).toEqual({ kind: 'system', subject });
      expect(Object.isFrozen(context.principal)).toBe(true);
      expect(holds).toEqual({
        'documents:read-any': reads,
        'documents:read': false,
        'invoices:approve': false,
      });
      // Each run is one of its own.
      expect((await runOf(task)).context.id).not.toBe(context.id);
    }
  });

  test('a job of a queue runs alike, and its answer goes back to the queue', async () => {
    const running = runOf('mail');
    const processor = app.app.get(MailProcessor);
    expect(await processor.process({ data: { subject: 'hello' } } as Job<{ subject: string }>)).toBe(
      'sent hello',
    );
    const { context, holds } = await running;
    expect(context.principal).toEqual({ kind: 'system', subject: 'system:mail-queue' });
    expect(holds).toMatchObject({ 'documents:read': true, 'invoices:approve': false });
  });

  test('RBAC-01 what it is refused and that it failed is recorded like a request, with the id of the run', async () => {
    await expect(app.app.get(ReportTasks).overreach()).rejects.toMatchObject({ code: 'permission-denied' });
    const own = app.events.filter(({ actor }) => actor === 'system:overreaching-import').slice(-2);
    expect(own).toMatchObject([
      { action: 'access.refused', transport: 'task', detail: { permission: 'invoices:approve' } },
      {
        action: 'task.failed',
        outcome: 'failure',
        transport: 'task',
        handler: 'ReportTasks.overreach',
        target: { type: 'task', id: 'overreaching-import' },
        detail: { code: 'permission-denied' },
      },
    ]);
    expect(own[0]?.requestId).toBe(own[1]?.requestId);
    expect(() => {
      app.app.get(ReportTasks).yearly();
    }).toThrow('what nobody needs to read');
    const failed = app.events.at(-1);
    expect(failed).toMatchObject({ action: 'task.failed', target: { id: 'yearly-purge' } });
    expect(JSON.stringify(failed)).not.toContain('what nobody needs to read');
  });

  test('stands in the inventory and in the matrix with what it holds, and no role reaches it', async () => {
    const named = app.app
      .get(RouteInventory)
      .entries()
      .filter(({ transport }) => transport === 'task')
      .map(({ method, path, handlerName }) => `${method} ${path} ${handlerName}`);
    expect(named.sort()).toEqual([
      'CRON yearly-purge yearly',
      'INTERVAL idle-sweep sweep',
      'INTERVAL nightly-report nightly',
      'QUEUE mail-queue process',
      'TIMEOUT overreaching-import overreach',
    ]);
    const rows = await app.app.get(RouteMatrix).rows();
    expect(rows.find(({ path }) => path === 'nightly-report')).toMatchObject({
      ...{ transport: 'task', policy: 'system', permissions: ['documents:read-any'], roles: [] },
      handler: 'ReportTasks.nightly',
    });
    const wider = rows.map((row) =>
      row.path === 'idle-sweep' ? { ...row, permissions: ['documents:write'] } : row,
    );
    expect(matrixDifference(rows, wider)).toMatchObject([
      { kind: 'opened', what: 'now holds documents:write' },
    ]);
    expect(matrixDifference(wider, rows)).toMatchObject([
      { kind: 'tightened', what: 'no longer holds documents:write' },
    ]);
    const without = rows.filter(({ path }) => path !== 'nightly-report');
    expect(matrixDifference(without, rows)).toMatchObject([
      { kind: 'opened', what: 'new, a task that holds documents:read-any' },
    ]);
  });
});

describe('nobody else becomes a task', () => {
  @Controller()
  class RunNowController {
    constructor(readonly tasks: ReportTasks) {}

    @Get('run')
    @Authenticated()
    async run(): Promise<string> {
      await this.tasks.nightly();
      return 'ran';
    }

    @Get('documents')
    @RequirePermission('documents:read-any')
    read(): string {
      return 'everything';
    }
  }

  test('RBAC-01 a request that calls the method of a task runs nothing of it', async () => {
    const started = await startHostile({
      ...base(),
      imports: [],
      providers: [ReportTasks],
      controllers: [RunNowController],
    });
    const seen: unknown[] = [];
    ran.on('nightly', (run) => seen.push(run));
    try {
      expect((await ask(started, 'GET', '/run', { as: newSubject() })).status).toBe(500);
      expect(seen).toEqual([]);
    } finally {
      ran.removeAllListeners('nightly');
      await started.close();
    }
  });

  test('RBAC-01 an authenticator that says "system", by whatever name, gives nothing by that', async () => {
    const running = once(ran, 'nightly');
    const first = await startHostile({ ...base(), providers: [ReportTasks] });
    const [{ context }] = (await running) as [Run];
    await first.close();
    expect(systemPermissionsOf(context.principal!)).toEqual(new Set(['documents:read-any']));
    for (const forged of [
      { ...context.principal! },
      { kind: 'account', subject: 'system:nightly-report' },
      { kind: 'service', subject: 'system' },
    ] as Principal[]) {
      expect(systemPermissionsOf(forged)).toBeUndefined();
      @Module({})
      class ForgingModule {
        constructor(pipeline: Pipeline) {
          pipeline.useAuthenticator({ authenticate: () => forged });
        }
      }
      const started = await startHostile({
        ...base(),
        withIdentity: false,
        imports: [ForgingModule],
        providers: [ReportTasks],
        controllers: [RunNowController],
      });
      try {
        expect((await ask(started, 'GET', '/documents')).status).toBe(403);
      } finally {
        await started.close();
      }
    }
  });

  test('RBAC-01 one that was handed a real one, out of a task, is refused as well', async () => {
    const running = once(ran, 'nightly');
    const first = await startHostile({ ...base(), providers: [ReportTasks] });
    const [{ context }] = (await running) as [Run];
    await first.close();
    @Module({})
    class LeakingModule {
      constructor(pipeline: Pipeline) {
        pipeline.useAuthenticator({ authenticate: () => context.principal });
      }
    }
    const started = await startHostile({
      ...base(),
      withIdentity: false,
      imports: [LeakingModule],
      providers: [ReportTasks],
      controllers: [RunNowController],
    });
    try {
      expect((await ask(started, 'GET', '/documents')).status).toBe(401);
    } finally {
      await started.close();
    }
  });

  test('RBAC-01 a task that calls another one does not get its rights; one that overrides it keeps its own', () => {
    @Injectable()
    class BaseTasks {
      @SystemTask({ name: 'base-task', permissions: ['documents:read'] })
      run(): string | undefined {
        return RequestContext.current()?.principal?.subject;
      }
    }
    @Injectable()
    class OtherTasks extends BaseTasks {
      @SystemTask({ name: 'other-task' })
      override run(): string | undefined {
        return super.run();
      }

      @SystemTask({ name: 'recursive-task' })
      again(left: number): string | undefined {
        return left === 0 ? RequestContext.current()?.principal?.subject : this.again(left - 1);
      }
    }
    expect(new BaseTasks().run()).toBe('system:base-task');
    expect(() => new OtherTasks().run()).toThrow(/was called inside of a request or of another task/);
    expect(new OtherTasks().again(2)).toBe('system:recursive-task');
    // Outside of its run nothing is left of it.
    expect(RequestContext.current()).toBeUndefined();
  });
});

describe('the start is refused', () => {
  test('RBAC-01 by every scheduled or queue handler that nobody declared, with class, method and mend', async () => {
    @Injectable()
    class ForgottenTasks {
      @Cron('0 0 1 1 *', { name: 'yearly' })
      yearly(): void {
        return;
      }
      @Interval(60_000)
      often(): void {
        return;
      }
      @Timeout(60_000)
      later(): void {
        return;
      }
    }
    @Processor('forgotten')
    class ForgottenProcessor extends WorkerHost {
      process(): Promise<void> {
        return Promise.resolve();
      }
      @OnWorkerEvent('failed')
      onFailed(): void {
        return;
      }
    }
    @Controller()
    class ForgottenController {
      @Interval(60_000)
      tick(): void {
        return;
      }
    }
    const text = await refusalOf({
      ...base(),
      providers: [ForgottenTasks, ForgottenProcessor],
      controllers: [ForgottenController],
    });
    for (const said of [
      'ForgottenTasks.yearly (task CRON yearly)',
      'ForgottenTasks.often (task INTERVAL often)',
      'ForgottenTasks.later (task TIMEOUT later)',
      'ForgottenProcessor.process (task QUEUE forgotten)',
      'ForgottenController.tick (task INTERVAL tick)',
    ]) {
      expect(text).toContain(
        `${said} is called by nobody who asks, with rights that nobody gave: write @SystemTask({ name: '…', permissions: […] }) on the method`,
      );
    }
    expect(text).not.toContain('onFailed');
  });

  test('RBAC-01 by an overriding task that is not declared again, and by one that another decorator has replaced', async () => {
    class DeclaredTasks {
      @Interval(60_000)
      @SystemTask({ name: 'declared-task' })
      run(): void {
        return;
      }
    }
    @Injectable()
    class CarelessTasks extends DeclaredTasks {
      @Interval(60_000)
      override run(): void {
        return;
      }
    }
    @Injectable()
    class ReplacingTasks extends DeclaredTasks {
      constructor() {
        super();
        this.run = () => undefined;
      }
    }
    const text = await refusalOf({ ...base(), providers: [CarelessTasks, ReplacingTasks] });
    expect(text).toContain('CarelessTasks.run (task INTERVAL run) is called by nobody who asks');
    expect(text).toContain('ReplacingTasks.run (task INTERVAL run) is called by nobody who asks');
  });

  test('RBAC-01 by permissions that nobody declared, a name that two tasks share, and a task that answers requests', async () => {
    @Injectable()
    class FaultyTasks {
      @Interval(60_000)
      @SystemTask({ name: 'faulty-task', permissions: ['documents:shred' as never] })
      faulty(): void {
        return;
      }
      @Interval(60_000)
      @SystemTask({ name: 'same-name', permissions: ['documents:read'] })
      first(): void {
        return;
      }
      @Interval(60_000)
      @SystemTask({ name: 'same-name' })
      second(): void {
        return;
      }
    }
    @Controller()
    class BothController {
      @Get('both')
      @Authenticated()
      @SystemTask({ name: 'both-ways' })
      both(): void {
        return;
      }
    }
    const text = await refusalOf({ ...base(), providers: [FaultyTasks], controllers: [BothController] });
    expect(text).toContain(
      'FaultyTasks.faulty (task INTERVAL faulty-task) holds "documents:shred", which nobody declared',
    );
    expect(text).toContain('FaultyTasks.second (task INTERVAL same-name) has the name of another task');
    expect(text).toContain('BothController.both (task CALL both-ways) is a task and answers requests');
  });

  test('RBAC-01 in code already where the name is malformed or the mark stands where it means nothing', () => {
    for (const name of [
      '',
      'Nightly',
      'nightly report',
      'nightly_report',
      '-nightly',
      'system:x',
      'x'.repeat(65),
    ]) {
      expect(() => SystemTask({ name })).toThrow(/lower-case words joined by "-"/);
    }
    expect(() => SystemTask({ name: 'fine', permissions: ['everything' as never] })).toThrow(
      /are names like/,
    );
    expect(() => SystemTask({ name: 'fine', permissions: 'documents:read' as never })).toThrow(
      /are names like/,
    );
    expect(() => {
      SystemTask({ name: 'fine' })(class {}, 'x', undefined as never);
    }).toThrow(/belongs on a method/);
    expect(() => {
      class Twice {
        @SystemTask({ name: 'first' })
        @SystemTask({ name: 'second' })
        run(): void {
          return;
        }
      }
      return Twice;
    }).toThrow(/stands twice/);
  });
});
