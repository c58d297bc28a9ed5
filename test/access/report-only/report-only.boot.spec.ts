import { Controller, Get, Injectable, Module, Scope, Logger, type Type } from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import { MessagePattern } from '@nestjs/microservices';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { WsAdapter } from '@nestjs/platform-ws';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { AccessController } from '../../../src/access/access.controller.js';
import { AccessModule } from '../../../src/access/access.module.js';
import { ReportOnlyRecorder } from '../../../src/access/report-only/report-only.recorder.js';
import { RouteInventory } from '../../../src/access/inventory/route-inventory.js';
import { AuditModule } from '../../../src/audit/audit.module.js';
import { isKitModule } from '../../../src/core/kit-module.js';
import { Pipeline } from '../../../src/core/pipeline.js';
import { ReportOnly } from '../../../src/core/report-only.js';
import { Authenticated, Public, RequirePermission } from '../../../src/core/route-policy.js';
import { IdentityModule } from '../../../src/identity/identity.module.js';
import { MonitoringModule } from '../../../src/monitoring/monitoring.module.js';
import { SessionsModule } from '../../../src/sessions/sessions.module.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import {
  ADAPTERS,
  ask,
  refusalOf,
  startHostile,
  type HostileApplication,
  type HostileOptions,
} from '../../support/hostile.application.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

@Controller('cats')
class CatsController {
  @Get(':id')
  read(): string {
    return 'a cat';
  }

  @Get()
  @Authenticated()
  list(): string {
    return 'cats';
  }
}

@Module({ controllers: [CatsController] })
class CatsModule {}

const refused = (options: Partial<HostileOptions>): Promise<string> =>
  refusalOf({ databaseUrl: database.appUrl, ...options });

/** Starts and says what was warned of. */
async function started(
  options: Partial<HostileOptions>,
  work: (app: HostileApplication, warnings: readonly string[]) => Promise<void>,
): Promise<void> {
  const warnings: string[] = [];
  vi.spyOn(Logger.prototype, 'warn').mockImplementation((text: unknown) => void warnings.push(String(text)));
  const app = await startHostile({ databaseUrl: database.appUrl, ...options });
  try {
    await work(app, warnings);
  } finally {
    await app.close();
  }
}

describe('the start says in one warning', () => {
  test.each([['production'], ['development'], [undefined]])(
    'how many ways in are not protected, which they are, and what enforcing them would refuse (NODE_ENV %s)',
    async (environment) => {
      vi.stubEnv('NODE_ENV', environment);
      await started(
        { imports: [CatsModule], access: { reportOnly: { modules: [CatsModule] } } },
        async (app, warnings) => {
          const banner = warnings.filter((text) => text.startsWith('REPORT-ONLY: '));
          expect(banner).toHaveLength(1);
          const { length } = app.app.get(RouteInventory).entries();
          expect(banner[0]?.split('\n')).toEqual([
            `REPORT-ONLY: 2 of ${length} ways in are NOT PROTECTED by the kit. What their policies would refuse is recorded and let through; \`zero-trust report\` sums it up:`,
            '  - GET /cats/:id (CatsController.read)',
            '  - GET /cats (CatsController.list)',
            'Enforced, these would refuse the start (1):',
            '  - CatsController.read (http GET /cats/:id) has no policy: write @RequirePermission(…), @Authenticated() or @Public() on the method',
          ]);
          expect((await ask(app, 'GET', '/cats/1')).status).toBe(200);
        },
      );
    },
  );

  test('nothing where everything is enforced, and no call is asked about it', async () => {
    const asked = vi.spyOn(Pipeline.prototype, 'useReportOnly');
    await started({ access: { reportOnly: {} } }, async (app, warnings) => {
      expect(warnings.filter((text) => text.includes('REPORT-ONLY'))).toEqual([]);
      expect(asked).not.toHaveBeenCalled();
      expect((await ask(app, 'GET', '/admin/access/report')).status).toBe(401);
    });
  });
});

describe('the start is refused', () => {
  test("where the kit's own module is named, or a subclass of it", async () => {
    class Mine extends AuditModule {}
    for (const modules of [[AccessModule], [Mine]]) {
      expect(await refused({ access: { reportOnly: { modules } } })).toContain(
        `reportOnly names ${modules[0]!.name}, whose handlers are the kit's own: they are always enforced`,
      );
    }
  });

  test("where one of the kit's own handlers was marked by hand", async () => {
    const { prototype } = AccessController;
    const descriptor = Object.getOwnPropertyDescriptor(prototype, 'routes')!;
    const before = Reflect.getOwnMetadataKeys(prototype.routes) as unknown[];
    ReportOnly()(prototype, 'routes', descriptor);
    try {
      expect(await refused({})).toContain(
        "AccessController.routes is the kit's own, which is always enforced: remove @ReportOnly()",
      );
    } finally {
      for (const key of Reflect.getOwnMetadataKeys(prototype.routes) as unknown[]) {
        if (!before.includes(key)) Reflect.deleteMetadata(key, prototype.routes);
      }
    }
  });

  test('every module of a room that has controllers is known as its own', () => {
    const src = fileURLToPath(new URL('../../../src', import.meta.url));
    const rooms = readdirSync(src, { withFileTypes: true })
      .filter((each) => each.isDirectory())
      .map(({ name }) =>
        readdirSync(join(src, name), { recursive: true, encoding: 'utf8' })
          .filter((file) => file.endsWith('.ts'))
          .map((file) => join(src, name, file)),
      )
      .filter((files) => files.some((file) => readFileSync(file, 'utf8').includes('@Controller(')));
    expect(rooms.length).toBeGreaterThan(5);
    for (const file of rooms.flat().filter((each) => each.endsWith('.module.ts'))) {
      const text = readFileSync(file, 'utf8');
      const [modules, marks] = [/^@Module\(/gm, /^@KitModule\(\)$/gm].map(
        (expression) => [...text.matchAll(expression)].length,
      );
      expect([file, marks]).toEqual([file, modules]);
      expect(marks).toBeGreaterThan(0);
    }
    for (const module of [AccessModule, AuditModule, SessionsModule, IdentityModule, MonitoringModule]) {
      expect([module.name, isKitModule(module)]).toEqual([module.name, true]);
    }
    expect(isKitModule(CatsModule)).toBe(false);
  });

  test('where a class is registered in a module that is report-only and in one that is not', async () => {
    @Module({ controllers: [CatsController] })
    class OtherModule {}
    const text = await refused({
      imports: [CatsModule, OtherModule],
      access: { reportOnly: { modules: [CatsModule] } },
    });
    expect(text).toContain(
      'CatsController is registered in CatsModule, which is report-only, and in OtherModule, which is not: name both or neither',
    );
    // And nothing of it counts as report-only meanwhile.
    expect(text).toContain('CatsController.read (http GET /cats/:id) has no policy');
  });

  test('where a class that a factory provides is registered in both', async () => {
    @WebSocketGateway()
    class ChatGateway {
      @SubscribeMessage('say')
      @Public()
      say(): string {
        return '';
      }
    }
    const provider = { provide: 'chat', useFactory: (): ChatGateway => new ChatGateway() };
    @Module({ providers: [ChatGateway] })
    class ReportedModule {}
    @Module({ providers: [provider] })
    class EnforcedModule {}
    expect(
      await refused({
        imports: [ReportedModule, EnforcedModule],
        configure: (app) => app.useWebSocketAdapter(new WsAdapter(app)),
        access: { reportOnly: { modules: [ReportedModule] } },
      }),
    ).toContain('ChatGateway is registered in ReportedModule, which is report-only, and in EnforcedModule');
  });

  test('where a module is named that is not there, that is loaded later, or that has no handler of its own', async () => {
    @Module({ controllers: [CatsController] })
    class LateModule {}
    @Module({ imports: [CatsModule] })
    class UmbrellaModule {}
    const text = await refused({
      imports: [UmbrellaModule],
      access: { reportOnly: { modules: [LateModule, UmbrellaModule, CatsModule] } },
    });
    expect(text).toContain(
      'reportOnly names LateModule, which the application does not import: remove the entry',
    );
    expect(text).toContain(
      'reportOnly names UmbrellaModule, which has no handler of its own: remove the entry',
    );
    expect(text).not.toContain('reportOnly names CatsModule');
  });

  test('where what a listed module imports is undeclared: only its own handlers are report-only', async () => {
    @Controller('parent')
    class ParentController {
      @Get()
      read(): string {
        return '';
      }
    }
    @Module({ imports: [CatsModule], controllers: [ParentController] })
    class ParentModule {}
    const text = await refused({
      imports: [ParentModule],
      access: { reportOnly: { modules: [ParentModule] } },
    });
    expect(text).toContain('CatsController.read (http GET /cats/:id) has no policy');
    expect(text).not.toContain('ParentController.read');
  });

  test('RBAC-05 where a subclass inherits a marked handler, and where it overrides one it is enforced', async () => {
    class Base {
      @ReportOnly()
      @Get('kept')
      @Authenticated()
      kept(): string {
        return '';
      }
      @ReportOnly()
      @Get('overridden')
      @Authenticated()
      overridden(): string {
        return '';
      }
    }
    @Controller('child')
    class ChildController extends Base {
      @Get('overridden')
      override overridden(): string {
        return 'mine';
      }
    }
    const text = await refused({ controllers: [ChildController] });
    expect(text).toContain(
      'ChildController.kept inherits @ReportOnly(), which counts for the class that it is written in alone',
    );
    expect(text).toContain('ChildController.overridden (http GET /child/overridden) has no policy');
  });

  test('RBAC-01 where the undeclared handler stands beside a marked one', async () => {
    @Controller('beside')
    class BesideController {
      @ReportOnly()
      @Get('marked')
      marked(): string {
        return '';
      }
      @Get('forgotten')
      forgotten(): string {
        return '';
      }
    }
    const text = await refused({ controllers: [BesideController] });
    expect(text).toContain('BesideController.forgotten (http GET /beside/forgotten) has no policy');
    expect(text).not.toContain('BesideController.marked');
  });

  test.each<[string, unknown, string]>([
    ['no object', 'all', 'reportOnly must be an object'],
    ['a list', [CatsModule], 'reportOnly must be an object'],
    ['null', null, 'reportOnly must be an object'],
    ['an unknown option', { module: [CatsModule] }, 'reportOnly: unknown option "module"'],
    ['no list', { modules: CatsModule }, 'reportOnly.modules must be a list of module classes'],
    ['a name', { modules: ['CatsModule'] }, 'reportOnly.modules: each entry is a module class'],
    ['a circle of imports', { modules: [undefined] }, 'reportOnly.modules: each entry is a module class'],
    ['a module twice', { modules: [CatsModule, CatsModule] }, 'reportOnly.modules: a module is named twice'],
    ['a word for a flag', { adapterRoutes: 'false' }, 'reportOnly.adapterRoutes must be true or false'],
  ])('where the option is %s', async (_, reportOnly, message) => {
    expect(await refused({ imports: [CatsModule], access: { reportOnly: reportOnly as object } })).toContain(
      message,
    );
  });
});

describe('RBAC-05 an inherited handler', () => {
  class Base {
    @Get('inherited')
    @RequirePermission('roles:read')
    inherited(): string {
      return 'inherited';
    }
  }
  @Controller('reported')
  class ReportedController extends Base {}
  @Controller('enforced')
  class EnforcedController extends Base {}
  @Controller({ path: 'scoped', scope: Scope.REQUEST })
  class ScopedController extends Base {}
  @Module({ controllers: [ReportedController, ScopedController] })
  class ReportedModule {}
  @Module({ controllers: [EnforcedController] })
  class EnforcedModule {}

  test('is report-only for the class of the listed module, and enforced for the other one, though it is one function', async () => {
    await started(
      { imports: [ReportedModule, EnforcedModule], access: { reportOnly: { modules: [ReportedModule] } } },
      async (app) => {
        expect((await ask(app, 'GET', '/reported/inherited')).status).toBe(200);
        expect((await ask(app, 'GET', '/scoped/inherited')).status).toBe(200);
        expect((await ask(app, 'GET', '/enforced/inherited')).status).toBe(401);
      },
    );
  });
});

const mountPages: HostileOptions['configure'] = (app) => {
  app.use('/pages', (_request: unknown, response: { end(text: string): void }) => {
    response.end('pages');
  });
};

test('RBAC-32 a class that a module registers once more when it is loaded later is enforced from then on', async () => {
  @Module({ controllers: [CatsController] })
  class LateModule {}
  await started({ imports: [CatsModule], access: { reportOnly: { modules: [CatsModule] } } }, async (app) => {
    expect((await ask(app, 'GET', '/cats')).status).toBe(200);
    await app.app.get(LazyModuleLoader).load(() => LateModule);
    expect((await ask(app, 'GET', '/cats')).status).toBe(401);
  });
});

describe.each(ADAPTERS)('routes that %s itself serves', (adapter) => {
  const configure = mountPages;

  test('stop the start also beside report-only modules', async () => {
    expect(
      await refused({
        adapter,
        configure,
        imports: [CatsModule],
        access: { reportOnly: { modules: [CatsModule] } },
      }),
    ).toContain('/pages is served by the HTTP adapter itself, where no guard sees it');
  });

  test('are listed instead with adapterRoutes: true, and a stale review stops the start all the same', async () => {
    await started(
      { adapter, configure, access: { reportOnly: { adapterRoutes: true } } },
      async (app, warnings) => {
        const banner = warnings.find((text) => text.startsWith('REPORT-ONLY: ')) ?? '';
        expect(banner).toContain(
          'Served by the HTTP adapter itself, where nothing is judged and nothing recorded (1):\n  - USE /pages',
        );
        expect((await ask(app, 'GET', '/pages')).body).toBe('pages');
      },
    );
    const adapterRoutes = [{ method: 'GET', path: '/gone', reason: 'was once there' }];
    expect(
      await refused({ adapter, configure, access: { adapterRoutes, reportOnly: { adapterRoutes: true } } }),
    ).toContain('adapterRoutes names GET /gone, which is not there');
  });
});

test('a route that Express gets between init and listen is told too', async () => {
  await started(
    { afterInit: mountPages, access: { reportOnly: { adapterRoutes: true } } },
    (_app, warnings) => {
      expect(warnings.filter((text) => text.startsWith('REPORT-ONLY: '))).toHaveLength(1);
      return Promise.resolve();
    },
  );
});

test('a class that a factory provides is report-only with its module', async () => {
  @WebSocketGateway()
  class ChatGateway {
    @SubscribeMessage('say')
    say(): string {
      return '';
    }
  }
  @Injectable()
  class Unrelated {}
  @Controller()
  class JobsController {
    @MessagePattern('job')
    job(): string {
      return '';
    }
  }
  const providers = [Unrelated, { provide: 'chat', useFactory: (): ChatGateway => new ChatGateway() }];
  const controllers: Type[] = [JobsController];
  @Module({ providers, controllers })
  class ChatModule {}
  await started(
    {
      imports: [ChatModule],
      configure: (app) => app.useWebSocketAdapter(new WsAdapter(app)),
      access: { reportOnly: { modules: [ChatModule] } },
    },
    (app) => {
      const reported = app.app
        .get(RouteInventory)
        .entries()
        .filter(({ reportOnly }) => reportOnly);
      expect(reported.map(({ transport, path }) => `${transport} ${path}`).sort()).toEqual([
        'rpc job',
        'ws /',
        'ws say',
      ]);
      expect(app.app.get(ReportOnlyRecorder).counts()).toEqual({
        wouldRefuse: 0,
        wouldPass: 0,
        unrecorded: 0,
      });
      return Promise.resolve();
    },
  );
});
