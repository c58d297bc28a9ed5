import { BullModule, BullRegistrar, Processor, WorkerHost } from '@nestjs/bullmq';
import {
  Module,
  type DynamicModule,
  type INestApplicationContext,
  type Provider,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Transport } from '@nestjs/microservices';
import { Test, type TestingModule } from '@nestjs/testing';
import { Queue, QueueEvents, UnrecoverableError, type Job } from 'bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { AccessService } from '../../src/access/access.service.js';
import { RequestContext } from '../../src/core/request-context.js';
import { SecurityEvents, type PublishedSecurityEvent } from '../../src/core/security-events.js';
import { SystemTask } from '../../src/core/system-task.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import {
  createHostile,
  hostileModule,
  startHostile,
  type HostileOptions,
} from '../support/hostile.application.js';
import { startRedis, type RedisServer } from '../support/redis.js';
import { permissions } from './access.application.js';

const QUEUE = 'mails';
const AT_ONCE = 6;

let database: TestDatabase;
let redis: RedisServer | undefined;
let connection: { host: string; port: number };
beforeAll(async () => {
  database = await createTestDatabase();
  redis = await startRedis();
  connection = { host: '127.0.0.1', port: redis.port };
});
afterAll(async () => {
  await redis?.stop();
  await database.drop();
});

let queue: Queue;
let finished: QueueEvents;
let open: { close(): Promise<unknown> }[] = [];
beforeEach(async () => {
  queue = new Queue(QUEUE, { connection });
  // Each job that is waited for is one.
  queue.setMaxListeners(5 * AT_ONCE);
  finished = new QueueEvents(QUEUE, { connection });
  await finished.waitUntilReady();
});
afterEach(async () => {
  for (const each of open.reverse()) await each.close();
  open = [];
  await queue.obliterate({ force: true });
  await Promise.all([queue.close(), finished.close()]);
});

interface Started {
  readonly app: INestApplicationContext;
  readonly events: PublishedSecurityEvent[];
}

/** In which applications a worker runs. */
const KINDS: Readonly<Record<string, (options: HostileOptions) => Promise<Started>>> = {
  'beside Express': startWithHttp,
  'beside Fastify': (options) => startWithHttp({ ...options, adapter: 'fastify' }),
  'without HTTP': async (options) => {
    const app = await compiled(hostileModule(options));
    const events = eventsOf(app);
    await app.init();
    return { app, events };
  },
  'of a microservice': async (options) => {
    const app = await NestFactory.createMicroservice(hostileModule(options), {
      ...{ transport: Transport.TCP, options: { host: '127.0.0.1', port: 0 } },
      ...{ abortOnError: false, logger: false },
    });
    open.push(app);
    const events = eventsOf(app);
    await app.listen();
    return { app, events };
  },
};

/** All is made, and no hook has run. */
async function compiled(root: DynamicModule | Type): Promise<TestingModule> {
  const app = await Test.createTestingModule({ imports: [root] }).compile();
  open.push(app);
  return app;
}

function eventsOf(app: INestApplicationContext): PublishedSecurityEvent[] {
  const events: PublishedSecurityEvent[] = [];
  app.get(SecurityEvents).subscribe((event) => {
    events.push(event);
  });
  return events;
}

async function startWithHttp(options: HostileOptions): Promise<Started> {
  const started = await startHostile(options);
  open.push(started);
  return started;
}

const withWorkers = (
  providers: Provider[],
  extraOptions: { manualRegistration?: boolean } = {},
): HostileOptions => ({
  databaseUrl: database.appUrl,
  access: { permissions },
  imports: [BullModule.forRoot({ connection, extraOptions }), BullModule.registerQueue({ name: QUEUE })],
  providers,
});

interface Seen {
  readonly id: string;
  readonly transport: string;
  readonly principal: unknown;
}

function seen(): Seen {
  const { id, transport, principal } = RequestContext.current()!;
  return { id, transport, principal };
}

@Processor(QUEUE, { concurrency: AT_ONCE })
class MailWorker extends WorkerHost {
  #inside = 0;
  #togetherUntil: (() => void)[] = [];

  constructor(readonly access: AccessService) {
    super();
  }

  @SystemTask({ name: 'mail-queue', permissions: ['documents:read'] })
  override async process(job: Job<{ failures?: number }>): Promise<unknown> {
    switch (job.name) {
      case 'overreach':
        return this.access.require('invoices:approve');
      case 'fail':
        if (job.attemptsMade < (job.data.failures ?? 1)) throw new Error('the post is closed');
        return 'sent at last';
      case 'give up':
        throw new UnrecoverableError('there is no such address');
      case 'together':
        return this.#together();
      default: {
        const holds = [await this.access.holds('documents:read'), await this.access.holds('documents:write')];
        return { ...seen(), holds };
      }
    }
  }

  /** Goes on when as many are inside as there may be at once. */
  async #together(): Promise<readonly Seen[]> {
    const before = seen();
    this.#inside += 1;
    const all = new Promise<void>((resolve) => this.#togetherUntil.push(resolve));
    if (this.#inside % AT_ONCE === 0) for (const goOn of this.#togetherUntil.splice(0)) goOn();
    await all;
    await this.access.holds('documents:read');
    return [before, seen()];
  }
}

/** A hook of the host's in its root module, where the workers have been made and nothing of the kit is left to run. */
const hookBesideWorkers = (
  hook: (host: WorkerHost) => unknown,
  type: Type<WorkerHost> = MailWorker,
): Provider => ({
  provide: 'hook',
  inject: [type],
  useFactory: (host: WorkerHost) => ({ onApplicationBootstrap: () => hook(host) }),
});

async function outcomeOf(
  job: Job,
): Promise<{ value?: unknown; failed?: string; attempts: number | undefined }> {
  const outcome = await job.waitUntilFinished(finished, 10_000).then(
    (value: unknown) => ({ value }),
    (error: unknown) => ({ failed: (error as Error).message }),
  );
  return { ...outcome, attempts: (await queue.getJob(job.id!))?.attemptsMade };
}

describe.each(Object.keys(KINDS))('a worker %s', (kind) => {
  const start = KINDS[kind]!;

  test('RBAC-01 V8.2.1 does a job as the system principal that it declares, with what that holds, each in a context of its own', async () => {
    await start(withWorkers([MailWorker]));
    const [first, second] = await Promise.all(
      [await queue.add('send', {}), await queue.add('send', {})].map(outcomeOf),
    );
    expect(first).toEqual({
      attempts: 1,
      value: {
        id: expect.any(String) as unknown,
        transport: 'task',
        principal: { kind: 'system', subject: 'system:mail-queue' },
        holds: [true, false],
      },
    });
    expect((first?.value as Seen).id).not.toBe((second?.value as Seen).id);
  });

  test('RBAC-01 what a job is refused is recorded, and that it failed, and it fails for the queue', async () => {
    const { events } = await start(withWorkers([MailWorker]));
    const { failed } = await outcomeOf(await queue.add('overreach', {}));
    expect(failed).toContain('permission-denied');
    expect(events).toMatchObject([
      {
        ...{ action: 'access.refused', transport: 'task', actor: 'system:mail-queue' },
        detail: { permission: 'invoices:approve' },
      },
      {
        ...{ action: 'task.failed', transport: 'task', handler: 'MailWorker.process' },
        target: { type: 'task', id: 'mail-queue' },
      },
    ]);
    expect(events[0]?.requestId).toBe(events[1]?.requestId);
  });

  test('RBAC-01 a job that throws is recorded each time, and the queue does with it what it was told', async () => {
    const { events } = await start(withWorkers([MailWorker]));
    const again = { attempts: 3, backoff: { type: 'fixed', delay: 10 } };
    expect(await outcomeOf(await queue.add('fail', { failures: 2 }, again))).toEqual({
      ...{ value: 'sent at last', attempts: 3 },
    });
    expect(events.map(({ action }) => action)).toEqual(['task.failed', 'task.failed']);
    expect(new Set(events.map(({ requestId }) => requestId)).size).toBe(2);
    expect(await outcomeOf(await queue.add('fail', { failures: 9 }, again))).toEqual({
      ...{ failed: 'the post is closed', attempts: 3 },
    });
    expect(await outcomeOf(await queue.add('give up', {}, again))).toEqual({
      ...{ failed: 'there is no such address', attempts: 1 },
    });
    expect(events.map(({ action }) => action)).toEqual(Array.from({ length: 6 }, () => 'task.failed'));
    expect(JSON.stringify(events)).not.toContain('no such address');
  });

  test('RBAC-01 jobs that run at once keep their contexts apart', async () => {
    await start(withWorkers([MailWorker]));
    const jobs = await queue.addBulk(
      Array.from({ length: 4 * AT_ONCE }, () => ({ name: 'together', data: {} })),
    );
    const pairs = await Promise.all(
      jobs.map(async (job) => (await outcomeOf(job)).value as readonly [Seen, Seen]),
    );
    for (const [before, after] of pairs) expect(after).toEqual(before);
    expect(new Set(pairs.map(([{ id }]) => id)).size).toBe(jobs.length);
  });

  test('RBAC-01 that nobody declared does not start, and does none of the jobs that wait', async () => {
    const done: unknown[] = [];
    @Processor(QUEUE)
    class ForgottenWorker extends WorkerHost {
      process(job: Job): Promise<void> {
        done.push(job.id);
        return Promise.resolve();
      }
    }
    const waiting = await queue.add('send', {});
    await expect(start(withWorkers([ForgottenWorker]))).rejects.toThrow(
      'ForgottenWorker.process (task QUEUE mails) is called by nobody who asks',
    );
    // Whoever is declared does it, and has had the time that the other one had.
    await start(withWorkers([MailWorker]));
    expect(await outcomeOf(waiting)).toMatchObject({ attempts: 1, value: { transport: 'task' } });
    expect(done).toEqual([]);
  });

  test('RBAC-01 begins when the hooks of the host have run, and not before', async () => {
    const running: boolean[] = [];
    const hook = hookBesideWorkers(({ worker }) => running.push(worker.isRunning()));
    const { app } = await start(withWorkers([MailWorker, hook]));
    expect(running).toEqual([false]);
    expect(app.get<WorkerHost>(MailWorker as Type<WorkerHost>).worker.isRunning()).toBe(true);
  });
});

class RefusingHost {
  async onApplicationBootstrap(): Promise<void> {
    await Promise.reject(new Error('the host refuses'));
  }
}

@Module({ providers: [RefusingHost] })
class RefusingModule {}

/** Who refuses a start in which the access module has found nothing wrong. */
const REFUSALS: Readonly<Record<string, () => DynamicModule | Type>> = {
  'the pipeline': () => hostileModule({ ...withWorkers([MailWorker]), withIdentity: false }),
  'a module of the host': () => {
    const options = withWorkers([MailWorker]);
    return hostileModule({ ...options, imports: [...(options.imports ?? []), RefusingModule] });
  },
  'a provider of the root module': () => hostileModule(withWorkers([MailWorker, RefusingHost])),
  'the root module itself': () => {
    @Module({ imports: [hostileModule(withWorkers([MailWorker]))] })
    class RefusingRoot extends RefusingHost {}
    return RefusingRoot;
  },
};

describe('a start that is refused', () => {
  test.each(Object.keys(REFUSALS))('RBAC-01 by %s takes no job', async (by) => {
    const waiting = await queue.add('send', {});
    const app = await NestFactory.create(REFUSALS[by]!(), { abortOnError: false, logger: false });
    open.push(app);
    await expect(app.init()).rejects.toThrow(/refuse/);
    expect(app.get<WorkerHost>(MailWorker as Type<WorkerHost>).worker.isRunning()).toBe(false);
    expect(await waiting.getState()).toBe('waiting');
  });

  test('leaves the class to the other applications of the process, also where nobody closes it', async () => {
    @Processor(QUEUE)
    class ForgottenWorker extends WorkerHost {
      process(): Promise<void> {
        return Promise.resolve();
      }
    }
    const refused = await compiled(hostileModule(withWorkers([MailWorker, ForgottenWorker])));
    await expect(refused.init()).rejects.toThrow(
      'ForgottenWorker.process (task QUEUE mails) is called by nobody',
    );
    @Module({ imports: [BullModule.forRoot({ connection }), BullModule.registerQueue({ name: QUEUE })] })
    class PlainModule {}
    const worker = { provide: MailWorker, useFactory: () => new MailWorker({} as AccessService) };
    const plain = await compiled({ module: PlainModule, providers: [worker] });
    await plain.init();
    expect(plain.get<WorkerHost>(MailWorker as Type<WorkerHost>).worker.isRunning()).toBe(true);
  });
});

describe('the start of workers', () => {
  const start = KINDS['without HTTP']!;

  test('RBAC-01 waits for the checks where a factory makes one as well', async () => {
    const running: boolean[] = [];
    const made = {
      provide: MailWorker,
      inject: [AccessService],
      useFactory: (access: AccessService) => new MailWorker(access),
    };
    const hook = hookBesideWorkers(({ worker }) => running.push(worker.isRunning()));
    await start(withWorkers([made, hook]));
    expect(running).toEqual([false]);
    expect(await outcomeOf(await queue.add('send', {}))).toMatchObject({ value: { transport: 'task' } });
  });

  test('RBAC-01 is refused where one was registered before there was a hook, so that nothing was checked', async () => {
    const early = {
      provide: 'early',
      inject: [BullRegistrar, MailWorker],
      useFactory: (registrar: BullRegistrar) => {
        registrar.register();
      },
    };
    await expect(start(withWorkers([MailWorker, early], { manualRegistration: true }))).rejects.toThrow(
      'MailWorker took jobs before anything was checked: register its worker in onModuleInit() at the earliest',
    );
  });

  test.each(['registerQueue', 'registerQueueAsync'] as const)(
    'RBAC-01 is refused where %s brings workers of no class, and ends those',
    async (register) => {
      const options = { processors: [() => Promise.resolve('unseen')] };
      const unseen = {
        registerQueue: () => BullModule.registerQueue({ name: QUEUE, ...options }),
        registerQueueAsync: () => BullModule.registerQueueAsync({ name: QUEUE, useFactory: () => options }),
      }[register]();
      const app = await compiled(
        hostileModule({ ...withWorkers([]), imports: [BullModule.forRoot({ connection }), unseen] }),
      );
      // Nothing that the kit could do would come before.
      expect(await outcomeOf(await queue.add('send', {}))).toMatchObject({ value: 'unseen' });
      await expect(app.init()).rejects.toThrow(
        'the queue "mails" has "processors", which take jobs before anything is checked',
      );
      await start(withWorkers([MailWorker]));
      const jobs = await queue.addBulk(
        Array.from({ length: 4 * AT_ONCE }, () => ({ name: 'send', data: {} })),
      );
      const outcomes = await Promise.all(jobs.map(outcomeOf));
      for (const outcome of outcomes) expect(outcome).toMatchObject({ value: { transport: 'task' } });
    },
  );

  test('comes once for each, under however many tokens it is provided', async () => {
    const begun: unknown[] = [];
    const hook = hookBesideWorkers(({ worker }) => begun.push(vi.spyOn(worker, 'run')));
    const alias = { provide: 'alias', useExisting: MailWorker };
    await start(withWorkers([MailWorker, alias, hook]));
    expect(begun).toHaveLength(1);
    expect(begun[0]).toHaveBeenCalledTimes(1);
    expect(await outcomeOf(await queue.add('send', {}))).toMatchObject({ value: { transport: 'task' } });
  });

  test('comes for one that inherits from another, in whatever order', async () => {
    @Processor('letters')
    class LetterWorker extends MailWorker {
      @SystemTask({ name: 'letter-queue' })
      override process(): Promise<unknown> {
        return Promise.resolve('sent');
      }
    }
    for (const providers of [
      [MailWorker, LetterWorker],
      [LetterWorker, MailWorker],
    ]) {
      const { app } = await start(withWorkers(providers));
      for (const type of providers as Type<WorkerHost>[]) {
        expect([type.name, app.get(type).worker.isRunning()]).toEqual([type.name, true]);
      }
    }
  });

  test.each(['express', 'fastify'] as const)(
    'does not come where the application is closed while it starts, beside %s',
    async (adapter) => {
      let begun: unknown;
      const hook = hookBesideWorkers(async ({ worker }) => {
        begun = vi.spyOn(worker, 'run');
        await app.close();
      });
      const app = await createHostile({ ...withWorkers([MailWorker, hook]), adapter });
      await app.init();
      expect(begun).not.toHaveBeenCalled();
    },
  );

  test('is left to whoever starts them by hand', async () => {
    @Processor(QUEUE, { autorun: false })
    class ManualWorker extends MailWorker {
      @SystemTask({ name: 'manual-queue' })
      override process(): Promise<unknown> {
        return Promise.resolve('by hand');
      }
    }
    const { app } = await start(withWorkers([ManualWorker]));
    const job = await queue.add('send', {});
    const { worker } = app.get<WorkerHost>(ManualWorker);
    expect(worker.isRunning()).toBe(false);
    void worker.run();
    expect(await outcomeOf(job)).toMatchObject({ value: 'by hand' });
  });

  test('comes with their registration where that comes later', async () => {
    const { app } = await start(withWorkers([MailWorker], { manualRegistration: true }));
    app.get(BullRegistrar, { strict: false }).register();
    expect(await outcomeOf(await queue.add('send', {}))).toMatchObject({ value: { transport: 'task' } });
  });

  test('is that of each application where several share a class', async () => {
    const [first, second] = await Promise.all([
      start(withWorkers([MailWorker])),
      start(withWorkers([MailWorker])),
    ]);
    for (const { app } of [first, second]) {
      await vi.waitUntil(() => app.get<WorkerHost>(MailWorker as Type<WorkerHost>).worker.isRunning());
    }
  });
});
