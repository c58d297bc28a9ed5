import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Controller, Sse, type INestApplication, type MessageEvent } from '@nestjs/common';
import { GraphQLModule, Query, Resolver, Subscription } from '@nestjs/graphql';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { performance } from 'node:perf_hooks';
import { concat, NEVER, Observable, of } from 'rxjs';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { OpenConnections } from '../../src/core/connections/open-connections.js';
import { Pipeline } from '../../src/core/pipeline.js';
import { Authenticated, Public } from '../../src/core/route-policy.js';
import { SessionActivity } from '../../src/sessions/session-activity.js';
import { SessionsService, type OpenedSession } from '../../src/sessions/sessions.service.js';
import { socketOf, streamOf } from '../access/sockets.js';
import { overGraphql } from '../access/stream-peers.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import {
  answerOf,
  HeldClock,
  startSessions,
  takeApart,
  type Started,
  type StartOptions,
} from './sessions-application.js';

/** By when a replica must have felt a revocation, and by when it must have noticed what ends by itself. */
const FELT_WITHIN_MS = 1_000;
const NOTICED_WITHIN_MS = 6_000;

@Controller()
class NewsController {
  @Sse('news')
  @Authenticated()
  news(): Observable<MessageEvent> {
    return new Observable((subscriber) => {
      subscriber.next({ data: 'first' });
    });
  }
}

/** Without handleConnection: whoever is somebody. */
@WebSocketGateway()
class NewsGateway {
  @SubscribeMessage('mine')
  @Authenticated()
  mine(): object {
    return { event: 'mine', data: 'reached' };
  }
}

/** Anybody may come: nothing but what it streams to whoever is somebody holds a socket. */
@WebSocketGateway({ path: '/streaming' })
class StreamingGateway {
  @Public()
  handleConnection(): void {
    return;
  }

  @SubscribeMessage('mine')
  @Authenticated()
  mine(): Observable<object> {
    return concat(of({ event: 'mine', data: 'reached' }), NEVER);
  }
}

@Resolver()
class NewsResolver {
  @Query(() => String)
  @Public()
  nothing(): string {
    return '';
  }

  @Subscription(() => String)
  @Authenticated()
  async *mine(): AsyncGenerator<object> {
    yield { mine: 'reached' };
    await new Promise(() => undefined);
  }
}

let database: TestDatabase;
let open: { end(): unknown }[] = [];
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
afterEach(async () => {
  for (const each of open.reverse()) await each.end();
  open = [];
});

async function start(options: Partial<StartOptions> = {}): Promise<Started> {
  const started = await startSessions({
    database,
    imports: [
      {
        module: class NewsModule {},
        controllers: [NewsController],
        providers: [NewsGateway, StreamingGateway],
      },
    ],
    configure: (app: INestApplication) => app.useWebSocketAdapter(new WsAdapter(app)),
    ...options,
  });
  open.push({ end: () => started.app.close() });
  return started;
}

interface Listening {
  readonly ended: Promise<unknown>;
  isOpen(): boolean;
}

type Listen = (app: Started, session: OpenedSession) => Promise<Listening>;

const KINDS: Readonly<Record<string, Listen>> = {
  'an @Sse() stream': async (app, { accessToken }) => {
    const stream = await streamOf(app, '/news', { authorization: `Bearer ${accessToken}` });
    open.push(stream);
    expect(stream.status).toBe(200);
    return stream;
  },
  'a socket': async (app, { accessToken }) => {
    const socket = await socketOf(app, accessToken);
    open.push(socket);
    expect(await socket.say('mine')).toEqual({ event: 'mine', data: 'reached' });
    return { ended: socket.closed, isOpen: socket.isOpen };
  },
  'a socket that is open for what it streams': async (app, { accessToken }) => {
    const socket = await socketOf(app, accessToken, '/streaming');
    open.push(socket);
    expect(await socket.say('mine')).toEqual({ event: 'mine', data: 'reached' });
    return { ended: socket.closed, isOpen: socket.isOpen };
  },
  'a subscription of GraphQL': async (app, { accessToken }) => {
    const peer = await overGraphql(app, accessToken);
    open.push(peer);
    const heard = peer.subscribe('subscription { mine }', {});
    await vi.waitUntil(() => heard.said.length > 0);
    return heard;
  },
};

/** What it needs beside what all have; its sockets are of the server that takes all others for its own. */
const OPTIONS: Readonly<Record<string, Partial<StartOptions>>> = {
  'a subscription of GraphQL': {
    adapter: 'express',
    imports: [
      { module: class ResolverModule {}, providers: [NewsResolver] },
      GraphQLModule.forRoot<ApolloDriverConfig>({
        driver: ApolloDriver,
        autoSchemaFile: true,
        subscriptions: { 'graphql-ws': true },
        context: ({ req, extra }: { req?: object; extra?: { request: object } }) => ({
          req: req ?? extra?.request,
        }),
      }),
    ],
    configure: () => undefined,
  },
};

describe.each(Object.keys(KINDS))('%s', (kind) => {
  const listen = KINDS[kind]!;

  test.each<[string, (there: Started, session: OpenedSession) => Promise<unknown>]>([
    [
      'its session logs out on another replica',
      ({ url }, { accessToken }) =>
        answerOf(`${url}/auth/logout`, { authorization: `Bearer ${accessToken}` }, 'POST'),
    ],
    [
      'its session is ended there by somebody else',
      ({ app }, { sessionId }) => app.get(SessionsService).end(sessionId, 'ended-by-administrator'),
    ],
    [
      'everything of its account is ended there, as it is when the account is disabled',
      ({ app }, { accessToken }) =>
        app.get(SessionsService).endAllOf(String(takeApart(accessToken).claims['sub']), 'account-disabled'),
    ],
  ])("RBAC-13 V7.4.1 V7.4.2 is ended within a second when %s, and nobody else's is", async (_how, end) => {
    const here = await start({ adapter: 'fastify', ...OPTIONS[kind] });
    const there = await start();
    const [session, other] = [await there.open(), await there.open()];
    const [ending, lasting] = [await listen(here, session), await listen(here, other)];
    const endedAtMs = performance.now();
    await end(there, session);
    await ending.ended;
    expect(performance.now() - endedAtMs).toBeLessThan(FELT_WITHIN_MS);
    expect(lasting.isOpen()).toBe(true);
    await vi.waitUntil(() => here.events.some(({ action }) => action === 'connection.closed'));
    expect(here.events.filter(({ action }) => action === 'connection.closed')).toMatchObject([
      {
        reason: 'the token was revoked',
        sessionId: session.sessionId,
        detail: { code: 'invalid-credentials' },
      },
    ]);
  });

  test('RBAC-13 is ended a few seconds after its access token has expired', async () => {
    const clock = new HeldClock();
    const here = await start({ ...OPTIONS[kind], clock });
    const ending = await listen(here, await here.open());
    // Everything that was handed out has come to its end, by the clock that tokens go by.
    clock.now += 15 * 60_000 + 120_000;
    const passedAtMs = performance.now();
    await ending.ended;
    expect(performance.now() - passedAtMs).toBeLessThan(NOTICED_WITHIN_MS);
  });
});

test('RBAC-13 V7.3.1 to listen is no activity: what is judged again every few seconds keeps no session alive', async () => {
  const here = await start();
  const session = await here.open();
  await KINDS['a socket']!(here, session);
  const seen = vi.spyOn(here.app.get(SessionActivity), 'seen');
  const judged = vi.spyOn(here.app.get(Pipeline), 'judgeAgain');
  // As if the session had last been seen long ago: a request would count as use of it from here on.
  const later = performance.now() + 120_000;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => later);
  try {
    here.app.get(OpenConnections).reconsider(() => true);
    await vi.waitUntil(() => judged.mock.calls.length > 0);
    await Promise.all(judged.mock.results.map(({ value }) => value as unknown));
    expect(seen).not.toHaveBeenCalled();
    expect((await here.ask(session.accessToken)).status).toBe(200);
    expect(seen).toHaveBeenCalledWith(session.sessionId);
  } finally {
    clock.mockRestore();
    seen.mockRestore();
    judged.mockRestore();
  }
});
