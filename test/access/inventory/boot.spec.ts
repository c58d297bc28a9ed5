import { Controller, Get, Module, Post, Scope, Injectable, SetMetadata, type Type } from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RouteInventory } from '../../../src/access/inventory/route-inventory.js';
import { Authenticated, Public, RequirePermission } from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ADAPTERS, ask, refusalOf, startHostile } from '../../support/hostile.application.js';

const MEND = 'write @RequirePermission(…), @Authenticated() or @Public() on the method';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const refused = (...controllers: Type[]): Promise<string> =>
  refusalOf({ databaseUrl: database.appUrl, controllers });

describe('the start is refused', () => {
  test.each(ADAPTERS)(
    'RBAC-01 on %s by a handler without a policy, with class, method, path and mend',
    async (adapter) => {
      @Controller(['cats', 'felines'])
      class ForgottenController {
        @Get(':id')
        read(): string {
          return 'a cat';
        }
      }
      const text = await refusalOf({
        databaseUrl: database.appUrl,
        adapter,
        controllers: [ForgottenController],
      });
      expect(text).toContain('AccessModule refuses to start');
      expect(text).toContain(`ForgottenController.read (http GET /cats/:id) has no policy: ${MEND}`);
      expect(text).toContain(`ForgottenController.read (http GET /felines/:id) has no policy: ${MEND}`);
    },
  );

  test('by two policies on one handler, however they are ordered', async () => {
    @Controller('twice')
    class TwiceController {
      @Get('a')
      @Public()
      @RequirePermission('roles:read')
      a(): string {
        return '';
      }
      @Get('b')
      @Authenticated()
      @Authenticated()
      b(): string {
        return '';
      }
    }
    const text = await refused(TwiceController);
    expect(text).toContain(
      'TwiceController.a (http GET /twice/a) has 2 policies (permission, public): keep exactly one',
    );
    expect(text).toContain(
      'TwiceController.b (http GET /twice/b) has 2 policies (authenticated, authenticated)',
    );
  });

  test('by a permission that nobody declared', async () => {
    @Controller()
    class MisspeltController {
      @Get('x')
      @RequirePermission('documents:reed' as 'documents:read')
      x(): string {
        return '';
      }
    }
    expect(await refused(MisspeltController)).toContain('demands "documents:reed", which nobody declared');
  });

  test('RBAC-05 by an overriding handler that does not say its policy again; the inherited one keeps it', async () => {
    class Parent {
      @Get('kept')
      @RequirePermission('roles:read')
      kept(): string {
        return '';
      }
      @Get('overridden')
      @Public()
      overridden(): string {
        return '';
      }
    }
    @Controller('child')
    class ChildController extends Parent {
      @Get('overridden')
      override overridden(): string {
        return 'mine';
      }
    }
    const text = await refused(ChildController);
    expect(text).toContain('ChildController.overridden (http GET /child/overridden) has no policy');
    expect(text).not.toContain('kept');
  });

  test('by a method that was replaced on its instance', async () => {
    @Controller()
    class TracedController {
      constructor() {
        const traced = this.secret.bind(this);
        this.secret = () => traced();
      }
      @Get('secret')
      @RequirePermission('roles:read')
      secret(): string {
        return 'secret';
      }
    }
    expect(await refused(TracedController)).toContain(
      'TracedController.secret (http GET /secret) is replaced on its instance by a function with another policy',
    );
  });

  test('by a request-scoped controller and one of a module far below', async () => {
    @Controller({ path: 'scoped', scope: Scope.REQUEST })
    class ScopedController {
      @Post()
      make(): string {
        return '';
      }
    }
    @Controller('deep')
    class DeepController {
      @Get()
      read(): string {
        return '';
      }
    }
    @Module({ controllers: [DeepController] })
    class DeepModule {}
    @Module({ imports: [DeepModule] })
    class MiddleModule {}
    const text = await refusalOf({
      databaseUrl: database.appUrl,
      controllers: [ScopedController],
      imports: [MiddleModule],
    });
    expect(text).toContain('ScopedController.make (http POST /scoped) has no policy');
    expect(text).toContain('DeepController.read (http GET /deep) has no policy');
  });

  test('by microservice handlers, websocket messages and a handleConnection', async () => {
    @Controller()
    class MessagesController {
      @MessagePattern({ cmd: 'sum' })
      sum(): number {
        return 0;
      }
      @EventPattern('made')
      made(data: unknown): unknown {
        return data;
      }
    }
    @WebSocketGateway()
    class ChatGateway {
      handleConnection(): void {
        return;
      }
      @SubscribeMessage('say')
      say(): string {
        return '';
      }
    }
    const text = await refusalOf({
      databaseUrl: database.appUrl,
      controllers: [MessagesController],
      providers: [ChatGateway],
      configure: (app) => app.useWebSocketAdapter(new WsAdapter(app)),
    });
    expect(text).toContain('MessagesController.sum (rpc MESSAGE {"cmd":"sum"}) has no policy');
    expect(text).toContain('MessagesController.made (rpc EVENT made) has no policy');
    expect(text).toContain('ChatGateway.say (ws MESSAGE say) has no policy');
    expect(text).toContain('ChatGateway.handleConnection (ws CONNECT /) has no policy');
  });

  test('by a policy that somebody wrote into the metadata by hand', async () => {
    @Controller()
    class ForgedController {
      @Get('forged')
      @SetMetadata('nestjs-zero-trust:route-policy', [{ kind: 'public' }])
      forged(): string {
        return '';
      }
    }
    expect(await refused(ForgedController)).toContain(
      'ForgedController.forged (http GET /forged) has no policy',
    );
  });

  test('also when it is created and never listens', async () => {
    @Controller()
    class ForgottenController {
      @Get('x')
      x(): string {
        return '';
      }
    }
    const text = await refusalOf({
      databaseUrl: database.appUrl,
      controllers: [ForgottenController],
      afterInit: () => {
        throw new Error('was initialised');
      },
    });
    expect(text).toContain('AccessModule refuses to start');
  });
});

describe('the inventory', () => {
  test('names every way in, on every transport, with the path as it is served', async () => {
    @Controller({ path: ['a', 'b'], version: ['1', '2'] })
    class VersionedController {
      @Get(['x', 'y'])
      @Public()
      read(): string {
        return '';
      }
    }
    @Controller({ host: 'admin.example.test' })
    class HostController {
      @Post('bound')
      @Authenticated()
      bound(): string {
        return '';
      }
    }
    const started = await startHostile({
      databaseUrl: database.appUrl,
      controllers: [VersionedController, HostController],
      configure: (app) => {
        app.setGlobalPrefix('api', { exclude: ['bound'] });
        app.enableVersioning();
      },
    });
    try {
      const entries = started.app.get(RouteInventory).entries();
      const paths = entries
        .filter(({ className }) => className === 'VersionedController')
        .map(({ path }) => path);
      expect(paths.sort()).toEqual(
        ['1', '2']
          .flatMap((v) => ['a', 'b'].flatMap((c) => ['x', 'y'].map((m) => `/api/v${v}/${c}/${m}`)))
          .sort(),
      );
      for (const path of paths) expect((await ask(started, 'GET', path)).status).toBe(200);
      expect(entries.find(({ className }) => className === 'HostController')).toMatchObject({
        method: 'POST',
        path: '/bound',
        host: 'admin.example.test',
        policy: { kind: 'authenticated' },
      });
      expect(
        entries.filter(({ className }) => className.startsWith('Access')).map(({ path }) => path),
      ).toEqual(['/api/admin/access/routes', '/api/admin/access/report', '/api/admin/access/explain']);
    } finally {
      await started.close();
    }
  });

  test('the set of public handlers that the module itself brings is empty', async () => {
    const started = await startHostile({ databaseUrl: database.appUrl });
    try {
      const entries = started.app.get(RouteInventory).entries();
      expect(entries.length).toBe(10);
      expect(entries.filter(({ policy }) => policy.kind !== 'permission')).toEqual([]);
    } finally {
      await started.close();
    }
  });

  test('RBAC-32 a module that is loaded lazily brings no way in', async () => {
    @Injectable()
    class Late {
      word = 'late';
    }
    @Controller('late')
    class LateController {
      @Get()
      read(): string {
        return 'late';
      }
    }
    @Module({ controllers: [LateController], providers: [Late], exports: [Late] })
    class LateModule {}
    const started = await startHostile({ databaseUrl: database.appUrl });
    try {
      await started.app.get(LazyModuleLoader).load(() => LateModule);
      expect((await ask(started, 'GET', '/late')).status).toBe(404);
    } finally {
      await started.close();
    }
  });

  test('the endpoints move with adminPrefix', async () => {
    const started = await startHostile({
      databaseUrl: database.appUrl,
      access: { adminPrefix: 'internal/zero-trust' },
    });
    try {
      expect((await ask(started, 'GET', '/internal/zero-trust/roles')).status).toBe(401);
      expect((await ask(started, 'GET', '/admin/roles')).status).toBe(404);
    } finally {
      await started.close();
    }
  });
});
