import { Injectable, Module, type INestApplication } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Authenticator } from '../../src/core/authenticator.js';
import { Clock } from '../../src/core/clock.js';
import { Pipeline, refused } from '../../src/core/pipeline.js';
import { PipelineModule } from '../../src/core/pipeline.module.js';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';
import { KitDataSource } from '../../src/database/data-source.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import { MonitoringModule } from '../../src/monitoring/monitoring.module.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

class StillClock extends Clock {
  atMs = 0;

  override nowMs(): number {
    return this.atMs;
  }
}

/** Lets nobody in who is not on a public route. */
@Injectable()
class NobodyAuthenticator extends Authenticator {
  constructor(pipeline: Pipeline) {
    super();
    const detail = 'nobody may do anything';
    pipeline.useAuthenticator(this);
    pipeline.register({
      name: 'authorize',
      judge: ({ policy }) =>
        policy.kind === 'public'
          ? { passed: true }
          : refused(detail, new ZeroTrustError('permission-denied', { detail })),
    });
  }

  authenticate(): undefined {
    return undefined;
  }
}

@Module({ providers: [NobodyAuthenticator] })
class NobodyModule {}

let database: TestDatabase;
let app: INestApplication;
let clock: StillClock;

async function start(adapter: 'express' | 'fastify'): Promise<string> {
  clock = new StillClock();
  const built = await Test.createTestingModule({
    imports: [
      PipelineModule,
      DatabaseModule.forRoot({ url: database.appUrl }),
      MonitoringModule,
      NobodyModule,
    ],
  })
    .overrideProvider(Clock)
    .useValue(clock)
    .compile();
  app =
    adapter === 'express' ? built.createNestApplication() : built.createNestApplication(new FastifyAdapter());
  await app.listen(0, '127.0.0.1');
  return app.getUrl();
}

beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  await app.close();
  await database.drop();
});

const ask = async (url: string): Promise<{ status: number; body: unknown; cache: string | null }> => {
  const response = await fetch(url);
  return {
    status: response.status,
    body: await response.json(),
    cache: response.headers.get('cache-control'),
  };
};

describe.each(['express', 'fastify'] as const)('health on %s', (adapter) => {
  test('WEB-15 says up or down to a stranger, and nothing more', async () => {
    const url = await start(adapter);
    const up = { status: 200, body: { status: 'up' }, cache: 'no-store' };
    expect(await ask(`${url}/health/live`)).toEqual(up);
    expect(await ask(`${url}/health/ready`)).toEqual(up);
  });

  test('is live but not ready while the database is gone, and ready again when it is back', async () => {
    const url = await start(adapter);
    const { dataSource } = app.get(KitDataSource);
    const gone = vi.spyOn(dataSource, 'query').mockRejectedValue(new Error('Connection terminated'));
    try {
      expect(await ask(`${url}/health/ready`)).toMatchObject({ status: 503, body: { status: 'down' } });
      expect(await ask(`${url}/health/live`)).toMatchObject({ status: 200, body: { status: 'up' } });
    } finally {
      gone.mockRestore();
    }
    clock.atMs += 250;
    expect(await ask(`${url}/health/ready`)).toMatchObject({ status: 200, body: { status: 'up' } });
  });
});

describe('readiness', () => {
  test('costs the database one question, however many ask at once or shortly after', async () => {
    const url = await start('express');
    const { dataSource } = app.get(KitDataSource);
    const question = vi.spyOn(dataSource, 'query');
    try {
      const answers = await Promise.all(Array.from({ length: 50 }, () => ask(`${url}/health/ready`)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      clock.atMs += 249;
      await ask(`${url}/health/ready`);
      expect(question).toHaveBeenCalledTimes(1);
      clock.atMs += 1;
      await ask(`${url}/health/ready`);
      expect(question).toHaveBeenCalledTimes(2);
      clock.atMs -= 60_000;
      await ask(`${url}/health/ready`);
      expect(question).toHaveBeenCalledTimes(3);
    } finally {
      question.mockRestore();
    }
  });

  test('is refused while a database that never answers is asked: 503 within the deadline', async () => {
    const url = await start('express');
    const { dataSource } = app.get(KitDataSource);
    const silent = vi.spyOn(dataSource, 'query').mockReturnValue(new Promise(() => undefined));
    try {
      const begun = performance.now();
      expect((await ask(`${url}/health/ready`)).status).toBe(503);
      expect(performance.now() - begun).toBeLessThan(2000);
    } finally {
      silent.mockRestore();
    }
  });
});
