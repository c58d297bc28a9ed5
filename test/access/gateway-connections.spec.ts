import { Inject, Injectable, Logger, Module, Scope, type INestApplication, type Type } from '@nestjs/common';
import { NestFactory, REQUEST } from '@nestjs/core';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway, WebSocketServer } from '@nestjs/websockets';
import { EventEmitter, once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { WebSocketServer as Server } from 'ws';
import { Pipeline } from '../../src/core/pipeline.js';
import { RequestContext } from '../../src/core/request-context.js';
import { Authenticated, Public, RequirePermission } from '../../src/core/route-policy.js';
import { SystemTask } from '../../src/core/system-task.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import {
  ADAPTERS,
  startHostile,
  type HostileApplication,
  type HostileOptions,
} from '../support/hostile.application.js';
import { permissions } from './access.application.js';
import { newSubject, storeGrant, storeRoles } from './access.fixtures.js';
import { SlowAuthenticator } from './slow.authenticator.js';
import { socketOf, type Socket } from './sockets.js';

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

let open: (HostileApplication | Socket)[] = [];
beforeEach(() => {
  ran.length = 0;
});
afterEach(async () => {
  for (const each of open.reverse()) {
    if ('close' in each) await each.close();
    else each.end();
  }
  open = [];
});

async function start(gateways: Type[], more: Partial<HostileOptions> = {}): Promise<HostileApplication> {
  const started = await startHostile({
    databaseUrl: database.appUrl,
    access: { permissions },
    providers: gateways,
    ...more,
    configure: (app: INestApplication) => app.useWebSocketAdapter(new WsAdapter(app)),
  });
  open.push(started);
  return started;
}

async function connect(app: { url: string }, as?: string, path?: string): Promise<Socket> {
  const socket = await socketOf(app, as, path);
  open.push(socket);
  return socket;
}

@WebSocketGateway()
class ReadersGateway {
  @WebSocketServer()
  server!: Server;

  @RequirePermission('documents:read')
  handleConnection(): void {
    run('connected');
  }

  handleDisconnect(): void {
    run('disconnected');
  }

  @SubscribeMessage('open')
  @Public()
  open(): object {
    run('open');
    return { event: 'done', data: 'open' };
  }

  @SubscribeMessage('mine')
  @Authenticated()
  mine(): object {
    run('mine');
    return { event: 'done', data: 'mine' };
  }
}

describe('who may open a socket', () => {
  test.each(ADAPTERS)(
    'RBAC-10 beside %s: handleConnection is judged by its policy before it runs, and whoever may not is closed',
    async (adapter) => {
      const started = await start([ReadersGateway], { adapter });
      const [anonymous, unentitled, entitled] = [
        await connect(started),
        await connect(started, nobody),
        await connect(started, reader),
      ] as const;
      expect(await anonymous.closed).toEqual({ code: 4401, reason: 'authentication-required' });
      expect(await unentitled.closed).toEqual({ code: 4403, reason: 'permission-denied' });
      expect(await entitled.say('mine')).toEqual({ event: 'done', data: 'mine' });
      // Neither was connected, so neither is disconnected.
      expect(ran).toEqual(['connected of reader', 'mine of reader']);
      expect(started.events).toMatchObject([
        { action: 'authentication.refused', transport: 'ws', handler: 'ReadersGateway.handleConnection' },
        {
          action: 'access.refused',
          transport: 'ws',
          handler: 'ReadersGateway.handleConnection',
          actor: nobody,
        },
      ]);
      const gone = once(happened, 'disconnected of reader');
      entitled.end();
      await gone;
    },
  );

  test.each(ADAPTERS)(
    'RBAC-10 beside %s: a gateway without handleConnection is closed to everybody who is nobody, public messages included',
    async (adapter) => {
      @WebSocketGateway()
      class SilentGateway {
        @SubscribeMessage('open')
        @Public()
        open(): object {
          run('open');
          return { event: 'done', data: 'open' };
        }
      }
      const started = await start([SilentGateway], { adapter });
      const anonymous = await connect(started);
      anonymous.send('open');
      expect(await anonymous.closed).toEqual({ code: 4401, reason: 'authentication-required' });
      expect(ran).toEqual([]);
      expect(await (await connect(started, nobody)).say('open')).toEqual({ event: 'done', data: 'open' });
    },
  );

  test('RBAC-10 an inherited handleConnection judges, and one that overrides and calls it is judged once', async () => {
    class BaseGateway {
      @Authenticated()
      handleConnection(client: object): void {
        expect(client).toHaveProperty('request');
        run('base');
      }
    }
    @WebSocketGateway({ path: '/inheriting' })
    class InheritingGateway extends BaseGateway {}
    @WebSocketGateway({ path: '/overriding' })
    class OverridingGateway extends BaseGateway {
      @RequirePermission('documents:read')
      override handleConnection(client: object): void {
        super.handleConnection(client);
        run('overriding');
      }
    }
    const started = await start([InheritingGateway, OverridingGateway]);
    for (const path of ['/inheriting', '/overriding']) {
      expect(await (await connect(started, undefined, path)).closed).toMatchObject({ code: 4401 });
    }
    expect(await (await connect(started, nobody, '/overriding')).closed).toMatchObject({ code: 4403 });
    expect(ran).toEqual([]);
    const came = once(happened, 'overriding of reader');
    await connect(started, nobody, '/inheriting');
    await connect(started, reader, '/overriding');
    await came;
    expect(ran).toEqual(['base of nobody', 'base of reader', 'overriding of reader']);
    expect(started.events).toHaveLength(3);
  });

  test('RBAC-10 two gateways on one server each judge a socket, and one refusal closes it', async () => {
    @WebSocketGateway()
    class OpenGateway {
      @Public()
      handleConnection(): void {
        run('open connected');
      }
    }
    const started = await start([OpenGateway, ReadersGateway]);
    const unentitled = await connect(started, nobody);
    unentitled.send('open');
    expect(await unentitled.closed).toMatchObject({ code: 4403 });
    expect(ran).not.toContain('connected of nobody');
    expect(ran.filter((line) => line.startsWith('open of'))).toEqual([]);
  });

  test('RBAC-10 a handleConnection that stands on the instance, where nothing judges it, stops the start', async () => {
    @WebSocketGateway()
    class FieldGateway {
      @Authenticated()
      greet(): void {
        run('connected');
      }

      handleConnection = this.greet;
    }
    await expect(start([FieldGateway])).rejects.toThrow(
      'FieldGateway.handleConnection (ws CONNECT /) is replaced on its instance, where no socket is judged',
    );
  });

  test('RBAC-10 what a gateway does when a socket has gone is done for its peer, who becomes no task by leaving', async () => {
    @WebSocketGateway()
    class LeavingGateway {
      @Authenticated()
      handleConnection(): void {
        run('connected');
      }

      handleDisconnect(): void {
        run('gone');
        try {
          this.tidy();
        } catch (error) {
          happened.emit('tried', error);
        }
      }

      @SystemTask({ name: 'tidy-up', permissions: ['documents:read'] })
      tidy(): void {
        run('tidied');
      }
    }
    const started = await start([LeavingGateway]);
    const connected = once(happened, 'connected of reader');
    const socket = await connect(started, reader);
    await connected;
    const tried = once(happened, 'tried');
    socket.end();
    expect((await tried)[0]).toMatchObject({
      message: expect.stringContaining('was called inside of a request') as unknown,
    });
    expect(ran).toEqual(['connected of reader', 'gone of reader']);
  });

  test('RBAC-10 a class that two modules provide is judged once, and each instance hears of who was let in, and of their end', async () => {
    const heard: { of: object; what: string }[] = [];
    @WebSocketGateway()
    class ProvidedTwiceGateway {
      @RequirePermission('documents:read')
      handleConnection(): void {
        run('connected');
        heard.push({ of: this, what: 'connected' });
      }

      handleDisconnect(): void {
        run('disconnected');
        heard.push({ of: this, what: 'disconnected' });
      }

      @SubscribeMessage('mine')
      @Authenticated()
      mine(): void {
        run('mine');
      }
    }
    @Module({ providers: [ProvidedTwiceGateway] })
    class FirstModule {}
    @Module({ providers: [ProvidedTwiceGateway] })
    class SecondModule {}
    const started = await start([], { imports: [FirstModule, SecondModule] });
    const refused = await connect(started, nobody);
    expect(await refused.closed).toMatchObject({ code: 4403 });
    expect(heard).toEqual([]);
    expect(started.events).toHaveLength(1);
    const asked = once(happened, 'mine of reader');
    const socket = await connect(started, reader);
    socket.send('mine');
    await asked;
    const gone = once(happened, 'disconnected of reader');
    socket.end();
    await gone;
    expect(ran.filter((line) => !line.startsWith('mine'))).toEqual([
      ...['connected of reader', 'connected of reader'],
      ...['disconnected of reader', 'disconnected of reader'],
    ]);
    expect(ran.slice(0, 2)).toEqual(['connected of reader', 'connected of reader']);
    for (const what of ['connected', 'disconnected']) {
      expect(new Set(heard.filter((each) => each.what === what).map(({ of }) => of)).size).toBe(2);
    }
  });

  test('RBAC-10 a gateway that is made anew for each connection is judged alike', async () => {
    @WebSocketGateway()
    @Injectable({ scope: Scope.REQUEST })
    class ScopedGateway {
      constructor(@Inject(REQUEST) readonly request: unknown) {}

      @RequirePermission('documents:read')
      handleConnection(): void {
        run('connected');
      }

      handleDisconnect(): void {
        run('disconnected');
      }

      @SubscribeMessage('mine')
      @Authenticated()
      mine(): object {
        run('mine');
        return { event: 'done', data: 'mine' };
      }
    }
    const started = await start([ScopedGateway]);
    const refused = await connect(started, nobody);
    refused.send('mine');
    expect(await refused.closed).toMatchObject({ code: 4403 });
    const entitled = await connect(started, reader);
    expect(await entitled.say('mine')).toEqual({ event: 'done', data: 'mine' });
    const gone = once(happened, 'disconnected of reader');
    entitled.end();
    await gone;
    expect(ran).toEqual(['connected of reader', 'mine of reader', 'disconnected of reader']);
  });

  test('RBAC-10 a handleConnection that fails closes its socket and takes nothing else with it', async () => {
    @WebSocketGateway()
    class FailingGateway {
      @Authenticated()
      handleConnection(): Promise<void> {
        if (RequestContext.current()?.principal?.subject === nobody) throw new Error('at once');
        return Promise.reject(new Error('later'));
      }
    }
    const started = await start([FailingGateway]);
    for (const who of [nobody, reader]) {
      expect(await (await connect(started, who)).closed).toEqual({ code: 1008, reason: 'internal-error' });
    }
  });
});

describe('a handleDisconnect that fails', () => {
  /** What Node would end the process for. */
  const fatal = vi.fn();
  const FATAL = ['uncaughtException', 'unhandledRejection'] as const;
  const others = FATAL.map((name) => process.listeners(name as 'uncaughtException'));
  beforeEach(() => {
    fatal.mockClear();
    for (const name of FATAL) process.removeAllListeners(name).on(name, fatal);
  });
  afterEach(() => {
    for (const [at, name] of FATAL.entries()) {
      process.removeAllListeners(name);
      for (const each of others[at]!) process.on(name, each);
    }
  });

  class BaseGateway {
    @Authenticated()
    handleConnection(): void {
      run('connected');
    }

    handleDisconnect(client: object): unknown {
      run('disconnected');
      throw new Error('at once', { cause: client });
    }
  }
  @WebSocketGateway()
  class ThrowingGateway extends BaseGateway {}
  @WebSocketGateway()
  class RejectingGateway extends BaseGateway {
    override handleDisconnect(): Promise<void> {
      run('disconnected');
      return Promise.reject(new Error('later'));
    }
  }
  @WebSocketGateway()
  class OverridingGateway extends BaseGateway {
    override handleDisconnect(client: object): void {
      try {
        super.handleDisconnect(client);
      } catch {
        run('told');
      }
    }
  }

  test.each([
    ['throws', ThrowingGateway, ['disconnected of reader'], 'Error: at once'],
    ['rejects', RejectingGateway, ['disconnected of reader'], 'Error: later'],
    [
      'throws in the method that it overrides',
      OverridingGateway,
      ['disconnected of reader', 'told of reader'],
      undefined,
    ],
  ])(
    'RBAC-10 takes no process with it, and is logged unless its own gateway catches it: one that %s',
    async (_how, gateway, expected, logged) => {
      const error = vi.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
      try {
        const started = await start([gateway]);
        const connected = once(happened, 'connected of reader');
        const socket = await connect(started, reader);
        await connected;
        const gone = once(happened, expected.at(-1)!);
        socket.end();
        await gone;
        // RxJS throws what an observer threw from a timer, and Node tells of rejections between two rounds.
        await new Promise((resolve) => setTimeout(resolve, 10));
        expect(fatal).not.toHaveBeenCalled();
        expect(ran).toEqual(['connected of reader', ...expected]);
        expect(error.mock.calls.map(([line]) => String(line).split('\n')[0])).toEqual(
          logged === undefined ? [] : [logged],
        );
      } finally {
        error.mockRestore();
      }
    },
  );
});

describe('a message that comes before its connection was judged', () => {
  async function startSlow(): Promise<{ app: HostileApplication; slow: SlowAuthenticator }> {
    const slow = new SlowAuthenticator();
    @Module({})
    class SlowIdentityModule {
      constructor(pipeline: Pipeline) {
        pipeline.useAuthenticator(slow);
      }
    }
    const app = await start([ReadersGateway], { withIdentity: false, imports: [SlowIdentityModule] });
    return { app, slow };
  }

  test('RBAC-10 does not run when the connection is refused, although its own policy is public', async () => {
    const { app, slow } = await startSlow();
    const early = await connect(app);
    early.send('open');
    const decide = await slow.next();
    early.send('open');
    decide(undefined);
    expect(await early.closed).toMatchObject({ code: 4401 });
    expect(ran).toEqual([]);
  });

  test('RBAC-10 waits, and runs after handleConnection when the connection is let in', async () => {
    const { app, slow } = await startSlow();
    const early = await connect(app);
    early.send('open');
    const decide = await slow.next();
    const done = once(happened, 'open of undefined');
    decide({ kind: 'account', subject: reader });
    await done;
    expect(ran).toEqual(['connected of reader', 'open of undefined']);
  });

  test('RBAC-10 nor does anything reach it that is said to everybody, until it is let in', async () => {
    const { app, slow } = await startSlow();
    const { server } = app.app.get(ReadersGateway);
    const tellAll = (): void => {
      for (const client of server.clients) client.send('"news"');
    };
    const stranger = await connect(app);
    const decide = await slow.next();
    tellAll();
    decide(undefined);
    await stranger.closed;
    expect(stranger.messages).toEqual([]);

    const early = await connect(app);
    const decideOther = await slow.next();
    tellAll();
    decideOther({ kind: 'account', subject: reader });
    // It waited, and comes first.
    expect(await early.say('open')).toBe('news');
  });

  test('RBAC-10 is of nobody when its socket went meanwhile: the gateway never hears of it', async () => {
    const { app, slow } = await startSlow();
    const early = await connect(app);
    early.send('open');
    const decide = await slow.next();
    early.end();
    const gone = await connect(app);
    const decideOther = await slow.next();
    decideOther(undefined);
    await gone.closed;
    decide({ kind: 'account', subject: reader });
    // One more socket from end to end: whatever the first would do has been done by then.
    const last = await connect(app);
    (await slow.next())(undefined);
    await last.closed;
    expect(ran).toEqual([]);
  });
});

describe('a gateway class that several applications of a process share', () => {
  test('RBAC-10 is judged in each by its own pipeline', async () => {
    const other = newSubject();
    @Module({})
    class OtherIdentityModule {
      constructor(pipeline: Pipeline) {
        // Here everybody is the same one, who may nothing.
        pipeline.useAuthenticator({ authenticate: () => ({ kind: 'account', subject: other }) });
      }
    }
    const first = await start([ReadersGateway]);
    const second = await start([ReadersGateway], { withIdentity: false, imports: [OtherIdentityModule] });
    expect(await (await connect(second, reader)).closed).toMatchObject({ code: 4403 });
    expect(await (await connect(first, reader)).say('mine')).toEqual({ event: 'done', data: 'mine' });
    expect(second.events).toMatchObject([{ action: 'access.refused', actor: other }]);
    expect(first.events).toEqual([]);
  });

  test('RBAC-10 lets nobody in where the application has no pipeline', async () => {
    @WebSocketGateway()
    class SharedGateway {
      @Public()
      handleConnection(): void {
        run('connected');
      }
    }
    await start([SharedGateway]);
    const bare = await NestFactory.create(
      { module: class BareModule {}, providers: [SharedGateway] },
      { logger: false },
    );
    bare.useWebSocketAdapter(new WsAdapter(bare));
    await bare.listen(0, '127.0.0.1');
    try {
      const socket = await socketOf({ url: await bare.getUrl() }, reader);
      expect(await socket.closed).toEqual({ code: 4403, reason: 'permission-denied' });
      expect(ran).toEqual([]);
    } finally {
      await bare.close();
    }
  });
});
