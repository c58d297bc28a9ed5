import { Inject, Injectable, Module, Scope, type INestApplication, type Type } from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { SubscribeMessage, WebSocketGateway, WebSocketServer } from '@nestjs/websockets';
import { EventEmitter, once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { concat, map, of, Subject, type Observable } from 'rxjs';
import type { Namespace, Server, ServerOptions, Socket } from 'socket.io';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../src/access/grants/actor.js';
import { OpenConnections } from '../../src/core/connections/open-connections.js';
import { Pipeline } from '../../src/core/pipeline.js';
import { RequestContext } from '../../src/core/request-context.js';
import { Authenticated, Public, RequirePermission } from '../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { ADAPTERS, type HostileOptions } from '../support/hostile.application.js';
import { startAccess, type AccessApplication } from './access.application.js';
import { newSubject, storeGrant, storeRoles } from './access.fixtures.js';
import {
  besides,
  ioPeerOf,
  sendUnchecked,
  TRANSPORTS,
  uncheckedParser,
  type IoPeer,
  type IoPeerOptions,
  type IoTransport,
} from './io-peers.js';
import { SlowAuthenticator } from './slow.authenticator.js';

/** By when a replica must have felt what was revoked. */
const FELT_WITHIN_MS = 1_000;
const NOBODY = { code: 'authentication-required', status: 401 };
const NOT_ALLOWED = { code: 'permission-denied', status: 403 };
const closedFor = (why: object): object => ({ reason: 'io server disconnect', why });

const reader = newSubject();
const nobody = newSubject();
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await storeRoles(database, { reader: { permissions: ['documents:read'] } });
  await storeGrant(database, reader, 'reader');
});
afterAll(() => database.drop());

/** Which methods ran, for whom. */
const ran: string[] = [];
const happened = new EventEmitter();
function run(name: string): void {
  const who = RequestContext.current()?.principal?.subject;
  const line = `${name} of ${who === reader ? 'reader' : who === nobody ? 'nobody' : String(who)}`;
  ran.push(line);
  happened.emit(line);
}

let open: { end(): unknown }[] = [];
beforeEach(() => {
  ran.length = 0;
});
afterEach(async () => {
  for (const each of open.reverse()) await each.end();
  open = [];
});

async function start(
  gateways: Type[],
  more: Partial<HostileOptions> = {},
  adapterOf: (app: INestApplication) => IoAdapter = (app) => new IoAdapter(app),
): Promise<AccessApplication> {
  const started = await startAccess(database, {
    providers: gateways,
    ...more,
    configure: (app: INestApplication) => app.useWebSocketAdapter(adapterOf(app)),
  });
  open.push({ end: () => started.close() });
  return started;
}

async function connect(
  app: AccessApplication,
  over: IoTransport,
  options: IoPeerOptions = {},
): Promise<IoPeer> {
  const peer = await ioPeerOf(app, over, options);
  open.push(peer);
  return peer;
}

@WebSocketGateway()
class ReadersGateway {
  @WebSocketServer()
  server!: Server;

  afterInit(server: Server): void {
    server.use((socket: Socket, next: (refusal?: Error) => void) => {
      void socket.join('put here by a middleware');
      next(socket.handshake.auth['blocked'] === true ? new Error('blocked by the host') : undefined);
    });
  }

  @RequirePermission('documents:read')
  handleConnection(client: Socket): void {
    run('connected');
    void client.join('readers');
  }

  handleDisconnect(): void {
    run('disconnected');
  }

  @SubscribeMessage('open')
  @Public()
  open(): string {
    run('open');
    return 'open to all';
  }

  @SubscribeMessage('mine')
  @Authenticated()
  mine(_client: Socket, data: unknown): object {
    run('mine');
    return { heard: data };
  }

  @SubscribeMessage('write')
  @RequirePermission('documents:write')
  write(): string {
    run('write');
    return 'written';
  }
}

@WebSocketGateway({ namespace: 'lobby' })
class LobbyGateway {
  @Public()
  handleConnection(): void {
    run('lobby');
  }

  @SubscribeMessage('mine')
  @Authenticated()
  mine(): string {
    run('mine in the lobby');
    return 'mine';
  }
}

@WebSocketGateway({ namespace: /^\/room-\d+$/ as never })
class RoomsGateway {
  @WebSocketServer()
  server!: Namespace;

  @RequirePermission('documents:read')
  handleConnection(client: Socket): void {
    run(client.nsp.name);
  }

  @SubscribeMessage('where')
  @RequirePermission('documents:read')
  where(client: Socket): string {
    return client.nsp.name;
  }
}

describe.each(Object.keys(TRANSPORTS) as IoTransport[])('Socket.IO %s', (over) => {
  test.each(ADAPTERS)(
    'RBAC-10 beside %s: a connection is judged by the policy of handleConnection, each message by its own',
    async (adapter) => {
      const started = await start([ReadersGateway], { adapter });
      const [anonymous, unentitled, entitled] = [
        await connect(started, over),
        await connect(started, over, { as: nobody }),
        await connect(started, over, { as: reader }),
      ];
      expect(await anonymous.ended).toEqual(closedFor(NOBODY));
      expect(await unentitled.ended).toEqual(closedFor(NOT_ALLOWED));
      expect(anonymous.heard).toEqual([['exception', NOBODY]]);
      expect(unentitled.heard).toEqual([['exception', NOT_ALLOWED]]);
      expect(await entitled.ask('mine', { some: 'thing' })).toEqual({ heard: { some: 'thing' } });
      expect(await entitled.ask('open')).toBe('open to all');
      // Neither of the others was connected, so neither is disconnected.
      expect(ran).toEqual(['connected of reader', 'mine of reader', 'open of undefined']);
      expect(started.events).toMatchObject([
        { action: 'authentication.refused', transport: 'ws', handler: 'ReadersGateway.handleConnection' },
        { action: 'access.refused', handler: 'ReadersGateway.handleConnection', actor: nobody },
      ]);
      const gone = once(happened, 'disconnected of reader');
      entitled.end();
      await gone;
    },
  );

  test('RBAC-10 a refused message is told of in the public voice: once, and it is not acknowledged', async () => {
    const started = await start([ReadersGateway]);
    const peer = await connect(started, over, { as: reader });
    const acknowledged = vi.fn();
    peer.socket.emit('write', { secret: 'plan' }, acknowledged);
    expect(await peer.ask('open')).toBe('open to all');
    await vi.waitUntil(() => peer.heard.length > 0);
    expect(peer.heard).toEqual([['exception', NOT_ALLOWED]]);
    expect(await peer.ask('open')).toBe('open to all');
    expect(acknowledged).not.toHaveBeenCalled();
    expect(ran).not.toContain('write of reader');
    expect(started.events).toMatchObject([{ action: 'access.refused', handler: 'ReadersGateway.write' }]);
  });

  test('RBAC-13 is closed within a second when the grant is revoked on another replica, and gets nothing any more', async () => {
    const [here, there] = [await start([ReadersGateway]), await start([ReadersGateway])];
    const subject = newSubject();
    const grant = await there.give(subject, 'reader');
    const [revoked, kept] = [
      await connect(here, over, { as: subject }),
      await connect(here, over, { as: reader }),
    ];
    for (const peer of [revoked, kept]) expect(await peer.ask('open')).toBe('open to all');
    const { server } = here.app.get(ReadersGateway);
    const tellAll = async (news: string): Promise<void> => {
      server.emit('news', news);
      server.to('readers').emit('news', `${news}, to the room`);
      await vi.waitUntil(() => kept.heard.some(([, said]) => said === `${news}, to the room`));
    };
    await tellAll('before');
    await vi.waitUntil(() => revoked.heard.length === 2);
    const revokedAtMs = performance.now();
    await there.grants.revoke(grant, SYSTEM_PRINCIPAL);
    expect(await revoked.ended).toEqual(closedFor(NOT_ALLOWED));
    expect(performance.now() - revokedAtMs).toBeLessThan(FELT_WITHIN_MS);
    await tellAll('after');
    expect(revoked.heard).toEqual([
      ['news', 'before'],
      ['news', 'before, to the room'],
      ['exception', NOT_ALLOWED],
    ]);
    expect(here.events.filter(({ action }) => action === 'connection.closed')).toMatchObject([
      { actor: subject, detail: { code: 'permission-denied' } },
    ]);
    // It does not come back by itself, and is refused when it is told to.
    expect(revoked.socket.active).toBe(false);
    const refused = once(revoked.socket as never, 'exception');
    revoked.socket.connect();
    expect(await refused).toEqual([NOT_ALLOWED]);
  });

  test('RBAC-13 is closed for a stream that it was let in for, whose source is left then', async () => {
    const news = new Subject<string>();
    @WebSocketGateway()
    class JoiningGateway {
      @SubscribeMessage('join')
      @RequirePermission('documents:read')
      join(): Observable<object> {
        return concat(of('joined'), news).pipe(map((data) => ({ event: 'news', data })));
      }
    }
    const started = await start([JoiningGateway]);
    const subject = newSubject();
    const grant = await started.give(subject, 'reader');
    const peer = await connect(started, over, { as: subject });
    peer.socket.emit('join', {});
    await vi.waitUntil(() => peer.heard.length === 1);
    peer.socket.emit('close');
    news.next('before');
    await vi.waitUntil(() => peer.heard.length === 2);
    await started.grants.revoke(grant, SYSTEM_PRINCIPAL);
    expect(await peer.ended).toEqual(closedFor(NOT_ALLOWED));
    expect(news.observed).toBe(false);
    expect(peer.heard).toEqual([
      ['news', 'joined'],
      ['news', 'before'],
      ['exception', NOT_ALLOWED],
    ]);
  });

  test('RBAC-13 stays in sight whatever it sends, events with the names of an end included', async () => {
    @WebSocketGateway({ parser: uncheckedParser })
    class CarelessGateway {
      @WebSocketServer()
      server!: Server;

      @RequirePermission('documents:read')
      handleConnection(): void {
        run('connected');
      }
    }
    for (const [gateway, options, names] of [
      [ReadersGateway, {}, ['close', 'end', 'error', 'finish']],
      // A parser that lets through the names that Socket.IO keeps for itself, as that for MessagePack does.
      [CarelessGateway, { parser: uncheckedParser }, ['close', 'disconnect', 'disconnecting']],
    ] as const) {
      const here = await start([gateway]);
      const subject = newSubject();
      const grant = await here.give(subject, 'reader');
      const connected = once(happened, `connected of ${subject}`);
      const peer = await connect(here, over, { as: subject, ...options });
      await connected;
      const [socket] = here.app.get<{ server: Server }>(gateway).server.sockets.sockets.values();
      for (const name of names) {
        const heard = once(socket as never, name).catch(() => undefined);
        sendUnchecked(peer, name);
        await heard;
      }
      expect(here.app.get(OpenConnections).size).toBe(1);
      await here.grants.revoke(grant, SYSTEM_PRINCIPAL);
      expect(await peer.ended).toEqual(closedFor(NOT_ALLOWED));
      expect(here.app.get(OpenConnections).size).toBe(0);
    }
  });

  test('RBAC-10 what is said to everybody or to a room reaches nobody who was not let in, and then whoever was', async () => {
    const slow = new SlowAuthenticator();
    @Module({})
    class SlowIdentityModule {
      constructor(pipeline: Pipeline) {
        pipeline.useAuthenticator(slow);
      }
    }
    const started = await start([ReadersGateway], { withIdentity: false, imports: [SlowIdentityModule] });
    const { server } = started.app.get(ReadersGateway);
    const tellAll = (news: string): void => {
      server.emit('news', news);
      server.to('put here by a middleware').emit('news', `${news}, to the room`);
      for (const socket of server.sockets.sockets.values()) socket.emit('news', `${news}, to each`);
    };
    const stranger = await connect(started, over);
    const decide = await slow.next();
    tellAll('before');
    decide(undefined);
    expect(await stranger.ended).toEqual(closedFor(NOBODY));
    expect(stranger.heard).toEqual([['exception', NOBODY]]);

    const early = await connect(started, over);
    const decideOther = await slow.next();
    const connected = once(happened, 'connected of reader');
    tellAll('meanwhile');
    decideOther({ kind: 'account', subject: reader });
    await connected;
    tellAll('after');
    server.to('readers').emit('news', 'the last');
    await vi.waitUntil(() => early.heard.some(([, news]) => news === 'the last'));
    // What was said to it alone waited.
    expect(early.heard.map(([, news]) => news)).toEqual([
      'meanwhile, to each',
      'after',
      'after, to the room',
      'after, to each',
      'the last',
    ]);
  });

  test('RBAC-10 one gateway of a namespace may work with a socket that another has not let in yet', async () => {
    const slow = new SlowAuthenticator();
    @Module({})
    class SlowIdentityModule {
      constructor(pipeline: Pipeline) {
        pipeline.useAuthenticator(slow);
      }
    }
    const acknowledged: unknown[] = [];
    @WebSocketGateway()
    class WelcomingGateway {
      @WebSocketServer()
      server!: Server;

      @Public()
      async handleConnection(client: Socket): Promise<void> {
        await once(happened, 'the other is asked');
        void client.join(['hall', 'porch']);
        void client.leave('porch');
        run([...client.rooms].map((room) => (room === client.id ? 'its own' : room)).join());
        client.timeout(10_000).emit('first', (...given: unknown[]) => acknowledged.push(given));
        client.emit('second', (...given: unknown[]) => acknowledged.push(given));
        this.server.to(client.id).emit('lost');
        this.server.to('hall').emit('lost');
        happened.emit('welcomed', client);
      }
    }
    const started = await start([WelcomingGateway, ReadersGateway], {
      withIdentity: false,
      imports: [SlowIdentityModule],
    });
    const welcomed = once(happened, 'welcomed') as Promise<[Socket]>;
    const connected = once(happened, 'connected of reader');
    const peer = await connect(started, over);
    for (const event of ['first', 'second']) {
      peer.socket.on(event, (answer: (said: string) => void) => {
        answer('heard');
      });
    }
    const decide = await slow.next();
    happened.emit('the other is asked');
    const [client] = await welcomed;
    expect(ran).toEqual(['put here by a middleware,its own,hall of undefined']);
    decide({ kind: 'account', subject: reader });
    await connected;
    await vi.waitUntil(() => acknowledged.length === 2);
    expect(acknowledged).toEqual([[null, 'heard'], ['heard']]);
    expect(peer.heard.map(([event]) => event)).toEqual(['first', 'second']);
    expect([...client.rooms]).toEqual(['put here by a middleware', client.id, 'hall', 'readers']);
  });

  test('RBAC-10 a socket that is taken out of all rooms while it is judged comes back to none of them', async () => {
    const slow = new SlowAuthenticator();
    @Module({})
    class SlowIdentityModule {
      constructor(pipeline: Pipeline) {
        pipeline.useAuthenticator(slow);
      }
    }
    const started = await start([ReadersGateway], { withIdentity: false, imports: [SlowIdentityModule] });
    const { server } = started.app.get(ReadersGateway);
    const connected = once(happened, 'connected of reader');
    await connect(started, over);
    const decide = await slow.next();
    const [client] = server.sockets.sockets.values();
    Reflect.apply(client!['leaveAll' as never], client, []);
    expect([...client!.rooms]).toEqual([]);
    decide({ kind: 'account', subject: reader });
    await connected;
    expect([...client!.rooms]).toEqual(['readers']);
  });

  test('RBAC-10 each namespace is a connection of its own, dynamic ones too, and one refusal ends what they share', async () => {
    const started = await start([ReadersGateway, LobbyGateway, RoomsGateway]);
    const guest = await connect(started, over, { namespace: '/lobby' });
    expect(await refusalIn(guest, 'mine')).toEqual(NOBODY);
    const sneaking = await besides(guest, '/room-1');
    expect([await sneaking.ended, await guest.ended]).toEqual([
      closedFor(NOBODY),
      { reason: 'io server disconnect', why: NOBODY },
    ]);
    const unentitled = await connect(started, over, { as: nobody, namespace: '/lobby' });
    expect(await unentitled.ask('mine')).toBe('mine');
    expect(await (await besides(unentitled, '/')).ended).toEqual(closedFor(NOT_ALLOWED));
    await unentitled.ended;

    const entitled = await connect(started, over, { as: reader });
    const [first, second] = [await besides(entitled, '/room-1'), await besides(entitled, '/room-2')];
    expect([await first.ask('where'), await second.ask('where')]).toEqual(['/room-1', '/room-2']);
    first.end();
    expect(await second.ask('where')).toBe('/room-2');
    expect(await entitled.ask('open')).toBe('open to all');
    await expect(besides(entitled, '/room-x')).rejects.toThrow('Invalid namespace');
    expect(ran.filter((line) => line.startsWith('/')).sort()).toEqual([
      '/room-1 of reader',
      '/room-2 of reader',
    ]);
  });

  test('RBAC-10 a middleware of the host runs first: whom it refuses nobody judges, whom it lets in is judged', async () => {
    const started = await start([ReadersGateway]);
    await expect(connect(started, over, { as: reader, auth: { blocked: true } })).rejects.toThrow(
      'blocked by the host',
    );
    expect([ran, started.events]).toEqual([[], []]);
    const unentitled = await connect(started, over, { as: nobody, auth: { blocked: false } });
    expect(await unentitled.ended).toEqual(closedFor(NOT_ALLOWED));
  });

  test('RBAC-10 RBAC-13 whoever reconnects is judged anew', async () => {
    const started = await start([ReadersGateway]);
    const subject = newSubject();
    const grant = await started.give(subject, 'reader');
    const peer = await connect(started, over, {
      as: subject,
      ...{ reconnection: true, reconnectionDelay: 10, reconnectionDelayMax: 10 },
    });
    expect(await peer.ask('open')).toBe('open to all');
    const again = once(happened, `connected of ${subject}`);
    peer.socket.io.engine.close();
    await again;
    expect(await peer.ask('mine', 1)).toEqual({ heard: 1 });
    const refused = once(peer.socket as never, 'exception');
    await started.grants.revoke(grant, SYSTEM_PRINCIPAL);
    expect(await refused).toEqual([NOT_ALLOWED]);
    expect(ran.filter((line) => line === `connected of ${subject}`)).toHaveLength(2);
    expect(ran).toContain(`disconnected of ${subject}`);
  });

  test('RBAC-13 nobody is let in where an adapter has Socket.IO say what was missed before anybody is judged', async () => {
    class RecoveringAdapter extends IoAdapter {
      override createIOServer(port: number, options?: ServerOptions): Server {
        return super.createIOServer(port, {
          ...options,
          connectionStateRecovery: {},
        } as ServerOptions);
      }
    }
    const started = await start([LobbyGateway], {}, (app) => new RecoveringAdapter(app));
    const peer = await connect(started, over, { as: reader, namespace: '/lobby' });
    expect(await peer.ended).toEqual(closedFor(NOT_ALLOWED));
    expect(ran).toEqual([]);
    await vi.waitUntil(() => started.events.length > 0);
    expect(started.events).toMatchObject([
      {
        action: 'access.refused',
        transport: 'ws',
        handler: 'LobbyGateway.handleConnection',
        reason: expect.stringContaining('connectionStateRecovery') as unknown,
        detail: { code: 'permission-denied' },
      },
    ]);
  });

  test('RBAC-10 gateways that share a namespace each judge a connection, and one that is made anew for each does', async () => {
    @WebSocketGateway()
    class OpenGateway {
      @Public()
      handleConnection(client: Socket): void {
        run('open connected');
        void client.join('put here by a gateway');
      }
    }
    @WebSocketGateway({ namespace: 'scoped' })
    @Injectable({ scope: Scope.REQUEST })
    class ScopedGateway {
      constructor(@Inject(REQUEST) readonly request: unknown) {}

      @RequirePermission('documents:read')
      handleConnection(): void {
        run('scoped connected');
      }

      @SubscribeMessage('open')
      @Public()
      open(): string {
        return 'open to all';
      }
    }
    const started = await start([OpenGateway, ReadersGateway, ScopedGateway]);
    const { server } = started.app.get(ReadersGateway);
    const telling = setInterval(() => {
      server.emit('news', 'to all');
      server.to('put here by a gateway').emit('news', 'to the room');
    }, 0);
    open.push({
      end: () => {
        clearInterval(telling);
      },
    });
    const unentitled = await connect(started, over, { as: nobody });
    unentitled.socket.emit('open');
    expect(await unentitled.ended).toEqual(closedFor(NOT_ALLOWED));
    expect(unentitled.heard).toEqual([['exception', NOT_ALLOWED]]);
    const scoped = await connect(started, over, { as: nobody, namespace: '/scoped' });
    scoped.socket.emit('open');
    expect(await scoped.ended).toEqual(closedFor(NOT_ALLOWED));
    expect(ran).toEqual(['open connected of undefined']);

    const entitled = await connect(started, over, { as: reader });
    await vi.waitUntil(() => entitled.heard.some(([, news]) => news === 'to the room'));
    const inScope = await besides(entitled, '/scoped');
    await vi.waitUntil(() => ran.includes('scoped connected of reader'));
    expect(await inScope.ask('open')).toBe('open to all');
  });
});

test('RBAC-13 a gateway that has Socket.IO say what was missed before anybody is judged stops the start', async () => {
  @WebSocketGateway({ connectionStateRecovery: {} } satisfies Partial<ServerOptions>)
  class RecoveringGateway {
    @Authenticated()
    handleConnection(): void {
      run('connected');
    }
  }
  await expect(start([RecoveringGateway])).rejects.toThrow(
    'RecoveringGateway.handleConnection (ws CONNECT /) has connectionStateRecovery',
  );
});

/** What is said of a message that nobody acknowledges. */
async function refusalIn({ socket }: IoPeer, event: string): Promise<unknown> {
  const refused = once(socket as never, 'exception');
  socket.emit(event, {});
  return ((await refused) as unknown[])[0];
}

test('RBAC-13 a peer that fetches nothing any more keeps no connection', async () => {
  const started = await start([ReadersGateway]);
  const { engine } = started.app.get(ReadersGateway).server;
  const url = `${started.url}/socket.io/?EIO=4&transport=polling`;
  const opened = await (await fetch(url)).text();
  const { sid } = JSON.parse(opened.slice(1)) as { sid: string };
  const headers = { 'content-type': 'text/plain;charset=UTF-8' };
  await fetch(`${url}&sid=${sid}`, { method: 'POST', headers, body: '40' });
  expect(engine.clientsCount).toBe(1);
  const askedAtMs = performance.now();
  await vi.waitUntil(() => engine.clientsCount === 0, { timeout: 20_000 });
  expect(performance.now() - askedAtMs).toBeLessThan(5_000);
});
