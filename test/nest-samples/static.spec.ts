import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RouteMatrix } from '../../src/access/inventory/route-matrix.js';
import { requestOf, sendRaw } from '../http/raw-client.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { ask, refusalOf, startHostile, type HostileOptions } from '../support/hostile.application.js';
import { RequirePermission } from '../../src/core/route-policy.js';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const FILE = 'static.spec.ts';

@Controller('api/hello')
class HelloController {
  @Get()
  @RequirePermission('roles:read')
  hello(): string {
    return 'hello';
  }
}
@Module({ controllers: [HelloController] })
class AppModule {}

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** As 24-serve-static does it, on Express: the package for Fastify is one of its own. */
const serve = (prefix: string) => (app: unknown) =>
  (app as NestExpressApplication).useStaticAssets(FOLDER, { prefix });
const options = (prefix: string, more: Partial<HostileOptions> = {}): HostileOptions => ({
  databaseUrl: database.appUrl,
  imports: [AppModule],
  configure: serve(prefix),
  ...more,
});

describe('the sample 24-serve-static', () => {
  test('RBAC-01 without the kit serves its files to everybody', async () => {
    const app = await NestFactory.create(AppModule, { logger: false });
    serve('/static')(app);
    await app.listen(0, '127.0.0.1');
    try {
      const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
      expect((await ask({ url }, 'GET', `/static/${FILE}`)).status).toBe(200);
    } finally {
      await app.close();
    }
  });

  test.each([
    ['/static', 'USE /static'],
    ['/', 'USE /'],
  ])('RBAC-01 with the kit added does not start, and the files at %s are named', async (prefix, route) => {
    expect((await refusalOf(options(prefix))).split('\n  - ').slice(1)).toEqual([
      expect.stringContaining(`${route} is served by the HTTP adapter itself, where no guard sees it`),
    ]);
  });

  test('RBAC-01 reviewed, its files are on the matrix as open to anybody, and nothing else is open', async () => {
    const adapterRoutes = [{ method: 'USE', path: '/static', reason: 'the pages themselves' }];
    const publicRoutes = [{ route: 'USE /static', reason: 'the pages themselves' }];
    const started = await startHostile(options('/static', { access: { adapterRoutes, publicRoutes } }));
    try {
      expect((await ask(started, 'GET', `/static/${FILE}`)).status).toBe(200);
      for (const path of ['/api/hello', '/static/../api/hello', '/static/%2e%2e/api/hello']) {
        const { answers } = await sendRaw(started.port, requestOf(`GET ${path}`));
        expect([path, answers[0]?.status]).toEqual([path, path === '/api/hello' ? 401 : 404]);
      }
      const rows = await started.app.get(RouteMatrix, { strict: false }).rows();
      expect(rows.filter(({ roles }) => roles.includes('*'))).toEqual([
        expect.objectContaining({ method: 'USE', path: '/static', policy: 'public', handler: 'adapter' }),
      ]);
    } finally {
      await started.close();
    }
  });
});
