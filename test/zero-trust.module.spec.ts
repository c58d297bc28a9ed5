import { Controller, Get, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { definePermissions } from '../src/core/permission.js';
import { RequirePermission } from '../src/core/route-policy.js';
import { RolesService } from '../src/access/grants/roles.service.js';
import { ZeroTrustModule, type ZeroTrustOptions } from '../src/zero-trust.module.js';
import { startApplication } from './support/application.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';

@Controller('reports')
class ReportsController {
  @Get()
  @RequirePermission('reports:read' as never)
  list(): string[] {
    return [];
  }
}

describe('everything from one module', () => {
  let database: TestDatabase;
  let good: ZeroTrustOptions;
  beforeAll(async () => {
    database = await createTestDatabase();
    good = {
      database: { url: database.appUrl },
      encryption: { masterKey: randomBytes(32).toString('base64') },
      access: { permissions: definePermissions({ reports: ['read'] }) },
      audit: { readerUrl: database.auditUrl },
      sessions: { issuer: 'https://reports.example.com', audience: 'https://reports.example.com' },
    };
  });
  afterAll(() => database.drop());

  function application(options: ZeroTrustOptions): Type {
    @Module({ imports: [ZeroTrustModule.forRoot(options)], controllers: [ReportsController] })
    class AppModule {}
    return AppModule;
  }

  test('forRootAsync takes its options from what it injects', async () => {
    const SETTINGS = Symbol('settings');
    @Module({ providers: [{ provide: SETTINGS, useFactory: () => good }], exports: [SETTINGS] })
    class SettingsModule {}
    @Module({
      imports: [
        ZeroTrustModule.forRootAsync({
          imports: [SettingsModule],
          inject: [SETTINGS],
          useFactory: (settings: ZeroTrustOptions) => settings,
        }),
      ],
      controllers: [ReportsController],
    })
    class AppModule {}
    const started = await startApplication(AppModule);
    try {
      expect((await fetch(`${started.url}/reports`)).status).toBe(401);
    } finally {
      await started.close();
    }
  });

  test('an application context without HTTP (a worker, a command) starts and works too', async () => {
    const context = await NestFactory.createApplicationContext(application(good), {
      logger: false,
      abortOnError: false,
    });
    try {
      expect(await context.get(RolesService).list()).toEqual([]);
    } finally {
      await context.close();
    }
  });

  test.each<[string, (options: ZeroTrustOptions) => object, RegExp]>([
    ['database', (all) => ({ ...all, database: { url: 'mysql://x' } }), /DatabaseModule.*\n.*url/],
    ['encryption', (all) => ({ ...all, encryption: { masterKey: 'secret' } }), /masterKey/],
    ['access', (all) => ({ ...all, access: { roles: { reader: { permissions: ['a:b'] } } } }), /"a:b"/],
    ['audit', (all) => ({ ...all, audit: { readerUrl: 'nothing' } }), /readerUrl/],
    ['sessions', (all) => ({ ...all, sessions: { ...all.sessions, issuer: 'portal' } }), /issuer/],
    ['identity', (all) => ({ ...all, identity: { argonIterations: 0 } }), /argonIterations/],
    ['http', (all) => ({ ...all, http: { corsOrigins: ['*'] } }), /corsOrigins/],
    ['throttler', (all) => ({ ...all, throttler: { routeRequests: -1 } }), /routeRequests/],
  ])('a wrong option of %s stops the start and is named', async (_room, wrong, named) => {
    const options = wrong(good) as ZeroTrustOptions;
    await expect(startApplication(application(options))).rejects.toThrow(named);
  });
});
