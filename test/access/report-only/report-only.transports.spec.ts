import { Controller, Module, type INestMicroservice } from '@nestjs/common';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Field, GraphQLModule, ObjectType, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql';
import {
  ClientProxyFactory,
  MessagePattern,
  Transport,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { lastValueFrom } from 'rxjs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { AccessReports } from '../../../src/access/report-only/access-reports.js';
import { ReportOnlyRecorder } from '../../../src/access/report-only/report-only.recorder.js';
import { Public, RequirePermission } from '../../../src/core/route-policy.js';
import { ReportOnly } from '../../../src/core/report-only.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ask, startHostile, type HostileApplication } from '../../support/hostile.application.js';
import { permissions } from '../access.application.js';
import { asOwner, newSubject, storeGrant, storeRoles } from '../access.fixtures.js';

const nobody = newSubject();
let database: TestDatabase;
let app: HostileApplication | undefined;
beforeAll(async () => {
  database = await createTestDatabase();
  await storeRoles(database, { other: { permissions: ['invoices:read'] } });
  await storeGrant(database, nobody, 'other');
});
afterAll(() => database.drop());
afterEach(async () => {
  await app?.close();
  app = undefined;
  await asOwner(database, 'TRUNCATE access.report');
});

/** `transport way: reason permission…`, sorted. */
async function found(): Promise<string[]> {
  await app!.app.get(ReportOnlyRecorder).flush();
  const { ways } = await app!.app.get(AccessReports).read();
  return ways
    .flatMap(({ ways: [way], findings }) =>
      findings.map(({ reason, permissions: lacked }) => `${way!}: ${[reason, ...lacked].join(' ')}`),
    )
    .sort();
}

describe('messages over TCP', () => {
  @Controller()
  class JobsController {
    @MessagePattern('undeclared')
    undeclared(): string {
      return 'done';
    }
    @MessagePattern('read')
    @RequirePermission('documents:read')
    read(): string {
      return 'done';
    }
  }
  @Module({ controllers: [JobsController] })
  class JobsModule {}
  @Controller()
  class MailController {
    @MessagePattern('enforced')
    @RequirePermission('documents:read')
    enforced(): string {
      return 'done';
    }
    @MessagePattern('marked')
    @ReportOnly()
    @RequirePermission('documents:read')
    marked(): string {
      return 'done';
    }
  }

  test.each([[undefined], [{ inheritAppConfig: true }]])(
    'RBAC-03 are let through for what is report-only alone, and each is counted once (%j)',
    async (hybrid) => {
      let service: INestMicroservice | undefined;
      const options = { host: '127.0.0.1', port: 0 };
      app = await startHostile({
        databaseUrl: database.appUrl,
        imports: [JobsModule],
        controllers: [MailController],
        access: { permissions, reportOnly: { modules: [JobsModule] } },
        configure: async (created) => {
          service = created.connectMicroservice<MicroserviceOptions>(
            { transport: Transport.TCP, options },
            hybrid,
          );
          await created.startAllMicroservices();
        },
      });
      const { port } = service!.unwrap<Server>().address() as AddressInfo;
      const client = ClientProxyFactory.create({ transport: Transport.TCP, options: { ...options, port } });
      const send = (pattern: string, proof?: string): Promise<unknown> =>
        lastValueFrom(client.send(pattern, proof === undefined ? {} : { proof: `Bearer ${proof}` })).catch(
          (error: unknown) => error,
        );
      try {
        for (const proof of [undefined, nobody]) {
          for (const pattern of ['undeclared', 'read', 'marked'])
            expect(await send(pattern, proof)).toBe('done');
        }
        expect(await send('enforced')).toMatchObject({ status: 401 });
        expect(await send('enforced', nobody)).toMatchObject({ status: 403 });
        expect(app.app.get(ReportOnlyRecorder).counts().wouldRefuse).toBe(6);
        expect(await found()).toEqual([
          'rpc MESSAGE marked: a demanded permission is not held documents:read',
          'rpc MESSAGE marked: no credentials were presented',
          'rpc MESSAGE read: a demanded permission is not held documents:read',
          'rpc MESSAGE read: no credentials were presented',
          'rpc MESSAGE undeclared: the handler has no policy',
        ]);
      } finally {
        client.close();
      }
    },
  );
});

describe('websocket messages', () => {
  @WebSocketGateway()
  class NotesGateway {
    @SubscribeMessage('undeclared')
    undeclared(): object {
      return { event: 'done', data: 'undeclared' };
    }
    @SubscribeMessage('read')
    @RequirePermission('documents:read')
    read(): object {
      return { event: 'done', data: 'read' };
    }
  }
  @Module({ providers: [NotesGateway] })
  class NotesModule {}

  test('RBAC-10 of a report-only gateway are let through, and so is the socket that nobody proved', async () => {
    app = await startHostile({
      databaseUrl: database.appUrl,
      imports: [NotesModule],
      access: { permissions, reportOnly: { modules: [NotesModule] } },
      configure: (created) => created.useWebSocketAdapter(new WsAdapter(created)),
    });
    const socket = new WebSocket(app.url.replace('http', 'ws'));
    await once(socket, 'open');
    const say = async (event: string): Promise<unknown> => {
      const answer = once(socket, 'message') as Promise<[Buffer]>;
      socket.send(JSON.stringify({ event, data: {} }));
      return JSON.parse((await answer)[0].toString()) as unknown;
    };
    expect(await say('undeclared')).toEqual({ event: 'done', data: 'undeclared' });
    expect(await say('read')).toEqual({ event: 'done', data: 'read' });
    expect(await found()).toEqual([
      'ws CONNECT /: no credentials were presented',
      'ws MESSAGE read: no credentials were presented',
      'ws MESSAGE undeclared: the handler has no policy',
    ]);
    socket.terminate();
  });
});

describe('GraphQL', () => {
  @ObjectType()
  class Note {
    @Field(() => String)
    title!: string;
  }
  @Resolver(() => Note)
  class NotesResolver {
    @Query(() => Note)
    undeclared(): Note {
      return { title: 'a note' };
    }
    @ResolveField(() => String)
    @RequirePermission('documents:read')
    colour(@Parent() note: Note): string {
      return note.title;
    }
  }
  @Module({ providers: [NotesResolver] })
  class NotesModule {}
  @Resolver()
  class OtherResolver {
    @Query(() => String)
    @RequirePermission('documents:read')
    enforced(): string {
      // What this handler asks for itself is no business of a report-only field beside it.
      return String(app!.app.get(ReportOnlyRecorder).letsThrough('documents:read', 'not held'));
    }
    @Query(() => String)
    @Public()
    open(): string {
      return String(app!.app.get(ReportOnlyRecorder).letsThrough('documents:read', 'not held'));
    }
  }

  test('RBAC-12 fields and queries of a report-only resolver are let through; those of another in the same request are not', async () => {
    app = await startHostile({
      databaseUrl: database.appUrl,
      imports: [
        NotesModule,
        GraphQLModule.forRoot<ApolloDriverConfig>({
          driver: ApolloDriver,
          autoSchemaFile: true,
          fieldResolverEnhancers: ['guards'],
          context: ({ req }: { req: unknown }) => ({ req }),
        }),
      ],
      providers: [OtherResolver],
      access: {
        permissions,
        adapterRoutes: [{ method: 'USE', path: '/graphql', reason: 'each resolver is judged by itself' }],
        reportOnly: { modules: [NotesModule] },
      },
    });
    const query = async (text: string, as?: string): Promise<unknown> =>
      (await ask(app!, 'POST', '/graphql', { as, body: { query: text } })).body;
    expect(await query('{ undeclared { colour } }')).toEqual({ data: { undeclared: { colour: 'a note' } } });
    expect(await query('{ undeclared { title } enforced }', nobody)).toMatchObject({
      errors: [{ path: ['enforced'] }],
    });
    // Whatever the order in which they are judged: an object is let through by nobody else's mode.
    expect(await query('{ undeclared { title } open }')).toMatchObject({ data: { open: 'false' } });
    expect(await query('{ open undeclared { title } }')).toMatchObject({ data: { open: 'false' } });
    expect(await found()).toEqual([
      'graphql FIELD Note.colour: no credentials were presented',
      'graphql QUERY undeclared: the handler has no policy',
    ]);
  });
});
