import {
  Controller,
  Get,
  Module,
  type INestApplication,
  type MiddlewareConsumer,
  type NestModule,
} from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { Test } from '@nestjs/testing';
import express from 'express';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AdapterRouteDeclaration } from '../../../src/access/access.options.js';
import { Public } from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import {
  ADAPTERS,
  ask,
  createHostile,
  hostileModule,
  refusalOf,
  startHostile,
  type AdapterName,
} from '../../support/hostile.application.js';

type Answer = (request: unknown, response: { send(text: string): void }) => void;
const answer: Answer = (_request, response) => {
  response.send('open');
};

/** Adds a route the way a main.ts of that platform does. */
function addRoute(app: INestApplication, path: string): void {
  (app.getHttpAdapter().getInstance() as { get(path: string, handler: Answer): void }).get(path, answer);
}

function mount(app: INestApplication, path: string): void {
  app.use(path, (_request: unknown, response: { end(text: string): void }) => {
    response.end('mounted');
  });
}

@Controller('cats')
class CatsController {
  @Get(':id')
  @Public()
  read(): string {
    return 'a cat';
  }
}

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const base = (
  adapter: AdapterName,
): { databaseUrl: string; adapter: AdapterName; controllers: [typeof CatsController] } => ({
  databaseUrl: database.appUrl,
  adapter,
  controllers: [CatsController],
});

describe.each(ADAPTERS)('routes that %s itself holds', (adapter) => {
  const setUpSwagger = (app: INestApplication): void => {
    const document = SwaggerModule.createDocument(app, new DocumentBuilder().build());
    SwaggerModule.setup('docs', app, document, { ui: adapter === 'express' });
  };

  test('SwaggerModule.setup, which no guard sees, stops the start and says what to write', async () => {
    const text = await refusalOf({ ...base(adapter), configure: setUpSwagger });
    expect(text).toContain('GET /docs-json is served by the HTTP adapter itself, where no guard sees it');
    expect(text).toContain(`"adapterRoutes": { method: 'GET', path: '/docs-json', reason: '…' }`);
    if (adapter === 'express') expect(text).toContain('USE /docs is served by the HTTP adapter itself');
  });

  test('SwaggerModule.setup passes once every route of it was reviewed', async () => {
    const text = await refusalOf({ ...base(adapter), configure: setUpSwagger });
    const adapterRoutes = [...text.matchAll(/\{ method: '([A-Z]+)', path: '([^']+)', reason/g)].map(
      ([, method = '', path = '']): AdapterRouteDeclaration => ({
        method,
        path,
        reason: 'reviewed in this test',
      }),
    );
    expect(adapterRoutes.length).toBeGreaterThan(1);
    const started = await startHostile({
      ...base(adapter),
      configure: setUpSwagger,
      access: { adapterRoutes },
    });
    try {
      expect((await ask(started, 'GET', '/docs-json')).status).toBe(200);
      expect((await ask(started, 'GET', '/cats/1')).status).toBe(200);
    } finally {
      await started.close();
    }
  });

  test('a declared route that is not there stops the start too', async () => {
    const adapterRoutes = [{ method: 'GET', path: '/gone', reason: 'was once there' }];
    expect(await refusalOf({ ...base(adapter), access: { adapterRoutes } })).toContain(
      'adapterRoutes names GET /gone, which is not there: remove the entry',
    );
  });

  test('a declared method does not cover another one', async () => {
    const adapterRoutes = [{ method: 'POST', path: '/open', reason: 'a webhook' }];
    const text = await refusalOf({
      ...base(adapter),
      access: { adapterRoutes },
      configure: (app) => {
        addRoute(app, '/open');
      },
    });
    expect(text).toContain('GET /open is served by the HTTP adapter itself');
    expect(text).toContain('adapterRoutes names POST /open, which is not there');
  });

  test('a route that is added after the application has booted is refused before anything can reach it', async () => {
    const app = await createHostile(base(adapter));
    await app.init();
    addRoute(app, '/late');
    await expect(app.listen(0, '127.0.0.1')).rejects.toThrow(
      /GET \/late is served by the HTTP adapter itself/,
    );
    expect((app.getHttpServer() as { listening: boolean }).listening).toBe(false);
    await app.close();
  });

  test('something mounted on a path is a way in; middleware for everything is not', async () => {
    const text = await refusalOf({
      ...base(adapter),
      configure: (app) => {
        mount(app, '/board');
      },
    });
    expect(text).toContain('USE /board is served by the HTTP adapter itself');
    const started = await startHostile({
      ...base(adapter),
      configure: (app) => {
        app.use((_request: unknown, _response: unknown, next: () => void) => {
          next();
        });
        app.enableCors({ origin: 'https://example.test' });
      },
    });
    await started.close();
  });

  test("Nest's own middleware, prefix, exclusions, versions and error handlers are no foreign routes", async () => {
    class Counting {
      static seen = 0;
      use(_request: unknown, _response: unknown, next: () => void): void {
        Counting.seen += 1;
        next();
      }
    }
    @Module({ providers: [Counting] })
    class MiddlewareModule implements NestModule {
      configure(consumer: MiddlewareConsumer): void {
        consumer.apply(Counting).exclude('other').forRoutes(CatsController);
        consumer.apply(Counting).forRoutes('{*path}');
      }
    }
    const started = await startHostile({
      ...base(adapter),
      imports: [MiddlewareModule],
      configure: (app) => {
        app.setGlobalPrefix('api', { exclude: ['cats/:id'] });
        app.enableVersioning();
      },
    });
    try {
      expect((await ask(started, 'GET', '/cats/1')).status).toBe(200);
      expect(Counting.seen).toBeGreaterThan(0);
    } finally {
      await started.close();
    }
  });

  test('the method of a controller, handed to the adapter by hand, runs without guards: refused', async () => {
    const text = await refusalOf({
      ...base(adapter),
      configure: (app) => {
        const { read } = CatsController.prototype;
        (app.getHttpAdapter() as unknown as { get(path: string, handler: unknown): void }).get('/raw', read);
      },
    });
    expect(text).toContain('GET /raw is served by the HTTP adapter itself');
  });

  test('a testing module, whose adapter comes after its providers, is checked like any application', async () => {
    const { module: type, ...metadata } = hostileModule(base(adapter));
    Module(metadata)(type);
    const compiled = await Test.createTestingModule({ imports: [type] }).compile();
    const created = await createHostile({ ...base(adapter) });
    const app = compiled.createNestApplication(
      created.getHttpAdapter().constructor === ExpressAdapter
        ? new ExpressAdapter()
        : new (created.getHttpAdapter().constructor as new () => ExpressAdapter)(),
    );
    await created.close();
    addRoute(app, '/open');
    await expect(app.init()).rejects.toThrow(/GET \/open is served by the HTTP adapter itself/);
    await app.close();
  });
});

describe('on Express alone', () => {
  test('files that are served on "/" and a router that is mounted there are ways in', async () => {
    const text = await refusalOf({
      ...base('express'),
      configure: (app) => {
        app.use(express.static('/nonexistent'));
        const router = express.Router();
        router.post('/hook', answer as never);
        router.use('/nested', answer as never);
        app.use(router);
        app.use('/sub', express.Router().get('/x', answer as never));
      },
    });
    for (const route of ['USE /', 'POST /hook', 'USE /nested', 'GET /sub/x']) {
      expect(text).toContain(`${route} is served by the HTTP adapter itself`);
    }
  });

  test('another application that is mounted is a way in', async () => {
    const text = await refusalOf({
      ...base('express'),
      configure: (app) => {
        app.use('/other', express().get('/x', answer as never));
      },
    });
    expect(text).toContain('USE /other is served by the HTTP adapter itself');
  });
});

describe('on Fastify alone', () => {
  test('what a plugin brings while the server becomes ready is refused before the port opens', async () => {
    const app = await createHostile(base('fastify'));
    const fastify = app.getHttpAdapter().getInstance() as {
      register(
        plugin: (instance: { get(path: string, handler: () => Promise<string>): void }) => Promise<void>,
        options: object,
      ): void;
    };
    fastify.register(
      async (instance) => {
        await Promise.resolve();
        instance.get('/inside', () => Promise.resolve('open'));
      },
      { prefix: '/plugin' },
    );
    await expect(app.listen(0, '127.0.0.1')).rejects.toThrow(
      /GET \/plugin\/inside is served by the HTTP adapter itself/,
    );
    expect((app.getHttpServer() as { listening: boolean }).listening).toBe(false);
    await app.close();
  });
});

test('a port that the check refused is free again at once', async () => {
  const app = await createHostile(base('express'));
  await app.init();
  addRoute(app, '/late');
  const probe = createServer();
  const port = await new Promise<number>((resolve) => {
    probe.listen(0, '127.0.0.1', () => {
      resolve((probe.address() as { port: number }).port);
    });
  });
  await new Promise((resolve) => probe.close(resolve));
  await expect(app.listen(port, '127.0.0.1')).rejects.toThrow(/AccessModule refuses to start/);
  await app.close();
  const again = createServer();
  await new Promise<void>((resolve, reject) => {
    again.once('error', reject);
    again.listen(port, '127.0.0.1', resolve);
  });
  await new Promise((resolve) => again.close(resolve));
});
