import {
  Controller,
  Get,
  Inject,
  Module,
  Scope,
  type INestApplication,
  type INestMicroservice,
  type Type,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import {
  Field,
  GraphQLModule,
  Mutation,
  ObjectType,
  Parent,
  Query,
  ResolveField,
  Resolver,
} from '@nestjs/graphql';
import {
  ClientProxyFactory,
  EventPattern,
  MessagePattern,
  Transport,
  type ClientProxy,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { NestFactory } from '@nestjs/core';
import { EventEmitter, once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { lastValueFrom } from 'rxjs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { SYSTEM_PRINCIPAL } from '../../src/access/grants/actor.js';
import { GrantsService } from '../../src/access/grants/grants.service.js';
import { RouteInventory } from '../../src/access/inventory/route-inventory.js';
import { Authenticated, Public, RequirePermission } from '../../src/core/route-policy.js';
import { SecurityEvents } from '../../src/core/security-events.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { ADAPTERS, ask, hostileModule, refusalOf, startHostile } from '../support/hostile.application.js';
import { permissions } from './access.application.js';
import { newSubject, storeGrant, storeReaderAndOther } from './access.fixtures.js';

const reader = newSubject();
const nobody = newSubject();
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await storeReaderAndOther(database, reader, nobody);
});
afterAll(() => database.drop());

const done = new EventEmitter();
/** Which handlers ran, in order. */
const ran: string[] = [];
beforeEach(() => {
  ran.length = 0;
});
function run(name: string): string {
  ran.push(name);
  return `the content of ${name}`;
}

class MessageBase {
  @MessagePattern('inherited')
  @RequirePermission('documents:read')
  inherited(): string {
    return run('inherited');
  }

  @MessagePattern('overridden')
  @Public()
  overridden(): string {
    return run('overridden by nobody');
  }
}

@Controller('jobs')
class JobsController extends MessageBase {
  @MessagePattern('read')
  @RequirePermission('documents:read')
  read(): string {
    return run('read');
  }

  @MessagePattern('mine')
  @Authenticated()
  mine(): string {
    return run('mine');
  }

  @MessagePattern('open')
  @Public()
  open(): string {
    return run('open');
  }

  @EventPattern('made')
  @RequirePermission('documents:read')
  made(data: unknown): unknown {
    run('made');
    done.emit('made', 'done');
    return data;
  }

  @MessagePattern('overridden')
  @RequirePermission('documents:read')
  override overridden(): string {
    return run('overridden');
  }

  /** One handler on two transports. */
  @Get()
  @MessagePattern('both')
  @RequirePermission('documents:read')
  both(): string {
    return run('both');
  }
}

@Controller({ path: 'scoped', scope: Scope.REQUEST })
class ScopedController {
  constructor(@Inject(REQUEST) readonly request: unknown) {}

  @MessagePattern('scoped')
  @RequirePermission('documents:read')
  read(): string {
    return run('scoped');
  }
}

const DEMANDING = ['read', 'inherited', 'overridden', 'both', 'scoped'];
const options = { host: '127.0.0.1', port: 0 };
const tcp = { transport: Transport.TCP, options } as const;
const refusal = (status: number): unknown => ({
  status,
  code: status === 401 ? 'authentication-required' : 'permission-denied',
});

/** Every message, as everybody. */
async function judgeMessages(client: ClientProxy, events: SecurityEvents): Promise<void> {
  const send = (pattern: string, proof?: string): Promise<unknown> =>
    lastValueFrom(client.send(pattern, proof === undefined ? {} : { proof: `Bearer ${proof}` })).catch(
      (error: unknown) => error,
    );
  for (const pattern of DEMANDING) {
    expect([pattern, await send(pattern)]).toEqual([pattern, refusal(401)]);
    expect([pattern, await send(pattern, nobody)]).toEqual([pattern, refusal(403)]);
  }
  expect(await send('mine')).toEqual(refusal(401));
  expect(ran).toEqual([]);
  for (const pattern of DEMANDING) expect(await send(pattern, reader)).toBe(`the content of ${pattern}`);
  expect(await send('mine', nobody)).toBe('the content of mine');
  expect(await send('open')).toBe('the content of open');
  ran.length = 0;

  // An event has no answer: what became of it is published, or done.
  const fate = new EventEmitter();
  const unsubscribe = events.subscribe(
    ({ handler, reason }) => void fate.emit(`${handler ?? ''} refused`, reason),
  );
  const emit = async (outcome: string, proof?: string): Promise<void> => {
    const came = Promise.race([once(fate, 'JobsController.made refused'), once(done, 'made')]);
    await lastValueFrom(client.emit('made', proof === undefined ? {} : { proof: `Bearer ${proof}` }));
    const [fateOfIt] = (await came) as [unknown];
    expect(fateOfIt).toBe(outcome);
  };
  await emit('no credentials were presented');
  await emit('a demanded permission is not held', nobody);
  await emit('done', reader);
  unsubscribe();
}

async function withClient(
  app: INestMicroservice,
  work: (client: ClientProxy, events: SecurityEvents) => Promise<void>,
): Promise<void> {
  const { port } = app.unwrap<Server>().address() as AddressInfo;
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options: { ...options, port } });
  try {
    await client.connect();
    await work(client, app.get(SecurityEvents));
  } finally {
    client.close();
  }
}

const base = (): { databaseUrl: string; access: { permissions: typeof permissions } } => ({
  databaseUrl: database.appUrl,
  access: { permissions },
});

describe('microservices over TCP', () => {
  describe.each(ADAPTERS)('beside HTTP on %s', (adapter) => {
    test.each([[undefined], [{ inheritAppConfig: false }], [{ inheritAppConfig: true }]])(
      'RBAC-01 a hybrid application judges every message with the options %j',
      async (hybrid) => {
        let service: INestMicroservice | undefined;
        const started = await startHostile({
          ...base(),
          adapter,
          controllers: [JobsController, ScopedController],
          configure: async (app) => {
            service = app.connectMicroservice<MicroserviceOptions>(tcp, hybrid);
            await app.startAllMicroservices();
          },
        });
        try {
          await withClient(service!, judgeMessages);
          expect((await ask(started, 'GET', '/jobs')).status).toBe(401);
          expect((await ask(started, 'GET', '/jobs', { as: nobody })).status).toBe(403);
          expect((await ask(started, 'GET', '/jobs', { as: reader })).status).toBe(200);
          // Each refusal was published once: the message was judged once, whatever guards it.
          expect(started.events.filter(({ handler }) => handler === 'JobsController.inherited')).toHaveLength(
            2,
          );
          expect(started.events.filter(({ transport }) => transport === 'rpc')).not.toEqual([]);
        } finally {
          await started.close();
        }
      },
    );
  });

  test('RBAC-01 an application without HTTP judges every message', async () => {
    const app = await NestFactory.createMicroservice<MicroserviceOptions>(
      hostileModule({ ...base(), controllers: [JobsController, ScopedController] }),
      { ...tcp, logger: false, abortOnError: false },
    );
    await app.listen();
    try {
      await withClient(app, judgeMessages);
    } finally {
      await app.close();
    }
  });

  test('RBAC-01 an application without HTTP does not start with an undeclared handler', async () => {
    @Controller()
    class ForgottenController {
      @MessagePattern('forgotten')
      read(): string {
        return run('forgotten');
      }
    }
    const app = await NestFactory.createMicroservice<MicroserviceOptions>(
      hostileModule({ ...base(), controllers: [ForgottenController] }),
      { ...tcp, logger: false, abortOnError: false },
    );
    await expect(app.listen()).rejects.toThrow(
      /ForgottenController\.read \(rpc MESSAGE forgotten\) has no policy/,
    );
    await app.close();
  });

  test('RBAC-05 an overriding message handler must say its policy again, and two contradict each other', async () => {
    @Controller()
    class CarelessController extends MessageBase {
      @MessagePattern('overridden')
      override overridden(): string {
        return run('careless');
      }

      @EventPattern('twice')
      @RequirePermission('documents:read')
      @Public()
      twice(data: unknown): unknown {
        run('twice');
        return data;
      }
    }
    const text = await refusalOf({ ...base(), controllers: [CarelessController] });
    expect(text).toContain('CarelessController.overridden (rpc MESSAGE overridden) has no policy');
    expect(text).toContain('CarelessController.twice (rpc EVENT twice) has 2 policies (public, permission)');
    expect(text).not.toContain('inherited');
  });
});

@WebSocketGateway()
class NotesGateway {
  /** Anybody may come; each message says for itself. */
  @Public()
  handleConnection(): void {
    return;
  }

  @SubscribeMessage('read')
  @RequirePermission('documents:read')
  read(): object {
    return { event: 'done', data: run('read') };
  }

  @SubscribeMessage('mine')
  @Authenticated()
  mine(): object {
    return { event: 'done', data: run('mine') };
  }

  @SubscribeMessage('open')
  @Public()
  open(): object {
    return { event: 'done', data: run('open') };
  }
}

describe('websocket messages', () => {
  async function socketOf(
    app: { url: string },
    as?: string,
  ): Promise<{ say(event: string): Promise<unknown>; closed: Promise<unknown>; end(): void }> {
    const headers = as === undefined ? {} : { authorization: `Bearer ${as}` };
    const socket = new WebSocket(app.url.replace('http', 'ws'), { headers });
    const closed = once(socket, 'close').then(([code]: unknown[]) => code);
    await once(socket, 'open');
    return {
      closed,
      async say(event) {
        const answer = once(socket, 'message') as Promise<[Buffer]>;
        socket.send(JSON.stringify({ event, data: {} }));
        const [message] = await answer;
        return JSON.parse(message.toString()) as unknown;
      },
      end: () => {
        socket.terminate();
      },
    };
  }

  test.each(ADAPTERS)(
    'RBAC-10 beside %s: each message is judged, and no handler runs for who may not',
    async (adapter) => {
      const started = await startHostile({
        ...base(),
        adapter,
        providers: [NotesGateway],
        configure: (app: INestApplication) => app.useWebSocketAdapter(new WsAdapter(app)),
      });
      const sockets = [
        await socketOf(started),
        await socketOf(started, nobody),
        await socketOf(started, reader),
      ] as const;
      const [anonymous, unentitled, entitled] = sockets;
      try {
        const refused = (status: number): unknown => ({ event: 'exception', data: refusal(status) });
        expect(await anonymous.say('read')).toEqual(refused(401));
        expect(await anonymous.say('mine')).toEqual(refused(401));
        expect(await unentitled.say('read')).toEqual(refused(403));
        expect(ran).toEqual([]);
        expect(await anonymous.say('open')).toEqual({ event: 'done', data: 'the content of open' });
        expect(await unentitled.say('mine')).toEqual({ event: 'done', data: 'the content of mine' });
        expect(await entitled.say('read')).toEqual({ event: 'done', data: 'the content of read' });
        expect(started.events).toMatchObject([
          { action: 'authentication.refused', transport: 'ws', handler: 'NotesGateway.read' },
          { action: 'authentication.refused', transport: 'ws', handler: 'NotesGateway.mine' },
          { action: 'access.refused', transport: 'ws', handler: 'NotesGateway.read', actor: nobody },
        ]);
      } finally {
        for (const socket of sockets) socket.end();
        await started.close();
      }
    },
  );

  test('RBAC-10 a grant that ends is felt on the next message of an open socket', async () => {
    const started = await startHostile({
      ...base(),
      auditUrl: database.auditUrl,
      providers: [NotesGateway],
      configure: (app: INestApplication) => app.useWebSocketAdapter(new WsAdapter(app)),
    });
    const subject = newSubject();
    const grant = await storeGrant(database, subject, 'reader');
    const socket = await socketOf(started, subject);
    try {
      expect(await socket.say('read')).toMatchObject({ event: 'done' });
      await started.app.get(GrantsService).revoke(grant, SYSTEM_PRINCIPAL);
      // Refused, or over by then: it is closed as soon as the replica has heard of it.
      const answer = await Promise.race([socket.say('read'), socket.closed]);
      expect([4403, { event: 'exception', data: refusal(403) }]).toContainEqual(answer);
    } finally {
      socket.end();
      await started.close();
    }
  });

  test('RBAC-05 RBAC-10 a gateway that inherits keeps what it inherits and says again what it overrides', async () => {
    @WebSocketGateway()
    class ChildGateway extends NotesGateway {
      @SubscribeMessage('open')
      override open(): object {
        return { event: 'done', data: run('child') };
      }
    }
    const text = await refusalOf({
      ...base(),
      providers: [ChildGateway],
      configure: (app: INestApplication) => app.useWebSocketAdapter(new WsAdapter(app)),
    });
    expect(text).toContain('ChildGateway.open (ws MESSAGE open) has no policy');
    expect(text).not.toContain('ChildGateway.read');
  });
});

@ObjectType()
class Note {
  @Field()
  title!: string;
}

@Resolver(() => Note)
class NotesResolver {
  @Query(() => Note)
  @Public()
  open(): Note {
    return { title: run('open') };
  }

  @Query(() => Note)
  @RequirePermission('documents:read')
  read(): Note {
    return { title: run('read') };
  }

  @Mutation(() => String)
  @RequirePermission('documents:read')
  write(): string {
    return run('write');
  }
}

@Resolver(() => Note)
class SecretFieldResolver {
  @ResolveField(() => String)
  @RequirePermission('documents:read')
  secret(@Parent() { title }: Note): string {
    expect(title).toBe('the content of open');
    return run('secret');
  }
}

@Resolver(() => Note)
class OpenFieldResolver {
  @ResolveField(() => String)
  @Public()
  colour(): string {
    return run('colour');
  }
}

describe('GraphQL resolvers', () => {
  const graphql = (more: Partial<ApolloDriverConfig> = {}): ReturnType<typeof GraphQLModule.forRoot> =>
    GraphQLModule.forRoot<ApolloDriverConfig>({
      driver: ApolloDriver,
      autoSchemaFile: true,
      includeStacktraceInErrorResponses: false,
      ...more,
    });
  /** Apollo mounts its endpoint on the adapter; what it serves is judged by resolver. */
  const adapterRoutes = [{ method: 'USE', path: '/graphql', reason: 'each resolver has its own policy' }];
  const start = (providers: Type[], more?: Partial<ApolloDriverConfig>): ReturnType<typeof startHostile> =>
    startHostile({ ...base(), access: { permissions, adapterRoutes }, providers, imports: [graphql(more)] });
  interface GraphQLAnswer {
    readonly data?: unknown;
    readonly errors?: readonly unknown[];
  }
  const query = async (app: { url: string }, text: string, as?: string): Promise<GraphQLAnswer> =>
    (await ask(app, 'POST', '/graphql', { as, body: { query: text } })).body as GraphQLAnswer;

  test('RBAC-12 queries and mutations are judged one by one, aliases and combinations included', async () => {
    const started = await start([NotesResolver]);
    try {
      for (const text of [
        '{ read { title } }',
        '{ open { title } read { title } }',
        '{ open { title } innocent: read { title } }',
        'query Q { ...F } fragment F on Query { read { title } }',
        'mutation { write }',
      ]) {
        for (const who of [undefined, nobody]) {
          const answer = await query(started, text, who);
          expect([text, answer.errors?.length]).toEqual([text, 1]);
          expect(JSON.stringify(answer)).not.toMatch(/the content of (read|write)/);
        }
      }
      expect(ran.filter((name) => name !== 'open')).toEqual([]);
      expect((await query(started, '{ open { title } }')).data).toEqual({
        open: { title: 'the content of open' },
      });
      expect((await query(started, '{ read { title } }', reader)).data).toEqual({
        read: { title: 'the content of read' },
      });
      expect((await query(started, 'mutation { write }', reader)).data).toEqual({
        write: 'the content of write',
      });
    } finally {
      await started.close();
    }
  });

  test('RBAC-12 a guarded field below a public query is guarded where GraphQLModule guards fields', async () => {
    const started = await start([NotesResolver, SecretFieldResolver], { fieldResolverEnhancers: ['guards'] });
    try {
      for (const who of [undefined, nobody]) {
        const answer = await query(started, '{ open { title secret } }', who);
        expect(answer.errors).toHaveLength(1);
        expect(JSON.stringify(answer)).not.toContain('the content of secret');
      }
      expect(ran).not.toContain('secret');
      expect((await query(started, '{ open { secret } }', reader)).data).toEqual({
        open: { secret: 'the content of secret' },
      });
    } finally {
      await started.close();
    }
  });

  test('RBAC-12 a guarded field stops the start where Nest would not guard it; a public one does not', async () => {
    const refuse = (providers: Type[], more?: Partial<ApolloDriverConfig>): Promise<string> =>
      refusalOf({ ...base(), access: { permissions, adapterRoutes }, providers, imports: [graphql(more)] });
    for (const more of [{}, { fieldResolverEnhancers: ['interceptors' as const] }]) {
      expect(await refuse([NotesResolver, SecretFieldResolver], more)).toContain(
        "SecretFieldResolver.secret (graphql FIELD Note.secret) has a policy that Nest would not enforce: give GraphQLModule fieldResolverEnhancers: ['guards']",
      );
    }
    const started = await start([NotesResolver, OpenFieldResolver]);
    await started.close();
  });

  test('RBAC-01 a query, mutation or field that nobody declared stops the start', async () => {
    @Resolver(() => Note)
    class ForgottenResolver {
      @Query(() => String)
      asked(): string {
        return run('asked');
      }

      @Mutation(() => String, { name: 'renamed' })
      changed(): string {
        return run('changed');
      }

      @ResolveField(() => String)
      field(): string {
        return run('field');
      }
    }
    const text = await refusalOf({
      ...base(),
      access: { permissions, adapterRoutes },
      providers: [NotesResolver, ForgottenResolver],
      imports: [graphql()],
    });
    expect(text).toContain('ForgottenResolver.asked (graphql QUERY asked) has no policy');
    expect(text).toContain('ForgottenResolver.changed (graphql MUTATION renamed) has no policy');
    expect(text).toContain('ForgottenResolver.field (graphql FIELD Note.field) has no policy');
  });

  test('RBAC-12 a method that is called as Nest guards none stops the start, whatever it answers', async () => {
    @Resolver(() => Note)
    class HidingResolver {
      @Query(() => String, { name: 'hidden' })
      @RequirePermission('documents:read')
      __resolveType(): string {
        return run('hidden');
      }
    }
    const text = await refusalOf({
      ...base(),
      access: { permissions, adapterRoutes },
      providers: [NotesResolver, HidingResolver],
      imports: [graphql({ fieldResolverEnhancers: ['guards'] })],
    });
    expect(text).toContain(
      'HidingResolver.__resolveType (graphql QUERY hidden) is called __resolveType, and Nest guards no method of that name: give it another one',
    );
    expect(text.split('\n').filter((line) => line.startsWith('  - '))).toHaveLength(1);
  });

  test('RBAC-01 the endpoint itself is a route of the adapter, and has to be reviewed', async () => {
    const text = await refusalOf({ ...base(), providers: [NotesResolver], imports: [graphql()] });
    expect(text).toContain('/graphql is served by the HTTP adapter itself');
  });
});

test('the inventory names the ways in of every transport with their policies', async () => {
  @Module({ providers: [NotesGateway], controllers: [JobsController] })
  class FeatureModule {}
  const started = await startHostile({
    ...base(),
    imports: [FeatureModule],
    configure: (app: INestApplication) => app.useWebSocketAdapter(new WsAdapter(app)),
  });
  try {
    const said = started.app
      .get(RouteInventory)
      .entries()
      .filter(({ className }) => ['NotesGateway', 'JobsController'].includes(className))
      .map(({ transport, method, path, policy }) => `${transport} ${method} ${path} ${policy.kind}`);
    expect(said.sort()).toEqual([
      'http GET /jobs permission',
      'rpc EVENT made permission',
      'rpc MESSAGE both permission',
      'rpc MESSAGE inherited permission',
      'rpc MESSAGE mine authenticated',
      'rpc MESSAGE open public',
      'rpc MESSAGE overridden permission',
      'rpc MESSAGE read permission',
      'ws CONNECT / public',
      'ws MESSAGE mine authenticated',
      'ws MESSAGE open public',
      'ws MESSAGE read permission',
    ]);
  } finally {
    await started.close();
  }
});
