import { Controller, Get, Module, Sse, type INestApplication, type MessageEvent } from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import {
  ClientProxyFactory,
  MessagePattern,
  Transport,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { AddressInfo, Server } from 'node:net';
import { concat, lastValueFrom, NEVER, of, type Observable } from 'rxjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { GrantsService } from '../../../src/access/grants/grants.service.js';
import { RequirePermission } from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ADAPTERS, ask, startHostile } from '../../support/hostile.application.js';
import { permissions } from '../access.application.js';
import { newSubject, storeGrant, storeReaderAndOther } from '../access.fixtures.js';
import { socketOf, streamOf } from '../sockets.js';

const reader = newSubject();
const nobody = newSubject();
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await storeReaderAndOther(database, reader, nobody);
});
afterAll(() => database.drop());

const load = (app: INestApplication, module: new () => object): Promise<unknown> =>
  app.get(LazyModuleLoader).load(() => module);

describe.each(ADAPTERS)('a module that is loaded lazily on %s', (adapter) => {
  test('RBAC-32 before the routes are registered is judged like any other', async () => {
    @Controller('late')
    class LateController {
      @Get()
      @RequirePermission('documents:read')
      read(): string {
        return 'late';
      }
    }
    @Module({ controllers: [LateController] })
    class LateModule {}
    const started = await startHostile({
      databaseUrl: database.appUrl,
      access: { permissions },
      adapter,
      configure: (app) => load(app, LateModule),
    });
    try {
      expect((await ask(started, 'GET', '/late')).status).toBe(401);
      expect((await ask(started, 'GET', '/late', { as: nobody })).status).toBe(403);
      expect((await ask(started, 'GET', '/late', { as: reader })).status).toBe(200);
    } finally {
      await started.close();
    }
  });

  test.each([[undefined], [{ inheritAppConfig: true }]])(
    'RBAC-32 before a microservice is connected has its messages judged, with the options %j',
    async (hybrid) => {
      @Controller()
      class LateController {
        @MessagePattern('late')
        @RequirePermission('documents:read')
        read(): string {
          return 'late';
        }
      }
      @Module({ controllers: [LateController] })
      class LateModule {}
      let port = 0;
      const started = await startHostile({
        databaseUrl: database.appUrl,
        access: { permissions },
        adapter,
        configure: async (app) => {
          await load(app, LateModule);
          const service = app.connectMicroservice<MicroserviceOptions>(
            { transport: Transport.TCP, options: { host: '127.0.0.1', port: 0 } },
            hybrid,
          );
          await app.startAllMicroservices();
          port = (service.unwrap<Server>().address() as AddressInfo).port;
        },
      });
      const client = ClientProxyFactory.create({
        transport: Transport.TCP,
        options: { host: '127.0.0.1', port },
      });
      const send = (as?: string): Promise<unknown> =>
        lastValueFrom(client.send('late', as === undefined ? {} : { proof: `Bearer ${as}` })).catch(
          (error: unknown) => error,
        );
      try {
        await client.connect();
        expect(await send()).toMatchObject({ status: 401 });
        expect(await send(nobody)).toMatchObject({ status: 403 });
        expect(await send(reader)).toBe('late');
      } finally {
        client.close();
        await started.close();
      }
    },
  );

  test('RBAC-10 RBAC-32 before the gateways are started has its sockets and messages judged', async () => {
    const came: string[] = [];
    @WebSocketGateway()
    class LateGateway {
      @RequirePermission('documents:read')
      handleConnection(): void {
        came.push('connected');
      }

      @SubscribeMessage('late')
      @RequirePermission('documents:read')
      read(): object {
        came.push('said');
        return { event: 'late', data: 'late' };
      }
    }
    @Module({ providers: [LateGateway] })
    class LateModule {}
    const started = await startHostile({
      databaseUrl: database.appUrl,
      access: { permissions },
      adapter,
      configure: async (app) => {
        app.useWebSocketAdapter(new WsAdapter(app));
        await load(app, LateModule);
      },
    });
    try {
      for (const [who, code] of [
        [undefined, 4401],
        [nobody, 4403],
      ] as const) {
        const socket = await socketOf(started, who);
        const said = socket.say('late').then((answer) => ({ answered: answer }));
        expect(await Promise.race([socket.closed, said])).toMatchObject({ code });
        socket.end();
      }
      expect(came).toEqual([]);
      const socket = await socketOf(started, reader);
      expect(await socket.say('late')).toEqual({ event: 'late', data: 'late' });
      socket.end();
    } finally {
      await started.close();
    }
  });

  test('RBAC-13 RBAC-32 has its streams ended when what let them in is taken away', async () => {
    @Controller('late')
    class LateController {
      @Sse()
      @RequirePermission('documents:read')
      stream(): Observable<MessageEvent> {
        return concat(of({ data: 'late' }), NEVER);
      }
    }
    @Module({ controllers: [LateController] })
    class LateModule {}
    const started = await startHostile({
      databaseUrl: database.appUrl,
      auditUrl: database.auditUrl,
      access: { permissions },
      adapter,
      configure: (app) => load(app, LateModule),
    });
    const subject = newSubject();
    const grant = await storeGrant(database, subject, 'reader');
    const stream = await streamOf(started, '/late', { authorization: `Bearer ${subject}` });
    try {
      expect(stream.status).toBe(200);
      await started.app.get(GrantsService).revoke(grant, SYSTEM_PRINCIPAL);
      await stream.ended;
      expect(stream.isOpen()).toBe(false);
    } finally {
      stream.end();
      await started.close();
    }
  });
});
