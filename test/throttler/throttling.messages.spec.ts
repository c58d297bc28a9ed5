import {
  Controller,
  Logger,
  type ExecutionContext,
  type INestApplication,
  type WebSocketAdapter,
} from '@nestjs/common';
import {
  ClientProxyFactory,
  MessagePattern,
  Transport,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WsAdapter } from '@nestjs/platform-ws';
import { Test } from '@nestjs/testing';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { once } from 'node:events';
import { Agent } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { lastValueFrom } from 'rxjs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { Clock } from '../../src/core/clock.js';
import type { JudgedCall } from '../../src/core/pipeline.js';
import { RequestContext, type Transport as TransportName } from '../../src/core/request-context.js';
import { Public } from '../../src/core/route-policy.js';
import { GcraStorage } from '../../src/throttler/gcra.storage.js';
import { ThrottleStages } from '../../src/throttler/throttle.stages.js';
import { resolveThrottlingOptions, type ThrottlingOptions } from '../../src/throttler/throttling.options.js';
import { ioPeerOf, TRANSPORTS, type IoTransport } from '../access/io-peers.js';
import { FrozenClock } from './frozen-clock.js';
import { limitedModule } from './limited.application.js';

@WebSocketGateway()
class ChatGateway {
  @Public()
  handleConnection(): void {
    return;
  }

  @SubscribeMessage('say')
  @Public()
  say(): object {
    return { event: 'said', data: 1 };
  }
}

@Controller()
class JobsController {
  @MessagePattern('run')
  @Public()
  run(): string {
    return 'ran';
  }
}

/** Says something as often as told over one socket, and counts the answers that are no refusals. */
async function say(url: string, localAddress: string, times: number): Promise<number> {
  const socket = new WebSocket(url, { localAddress });
  await once(socket, 'open');
  let said = 0;
  for (let at = 0; at < times; at += 1) {
    const answer = once(socket, 'message') as Promise<[Buffer]>;
    socket.send(JSON.stringify({ event: 'say', data: {} }));
    const [message] = await answer;
    if ((JSON.parse(message.toString()) as { event: string }).event === 'said') said += 1;
  }
  socket.terminate();
  return said;
}

/** The same over Socket.IO, by a client that names another address in front of it each time. */
async function sayByIo(url: string, over: IoTransport, localAddress: string, times: number): Promise<number> {
  const agent = new Agent({ localAddress }) as unknown as string;
  const extraHeaders = { 'x-forwarded-for': `192.0.2.${times}` };
  const peer = await ioPeerOf({ url }, over, { agent, extraHeaders });
  let said = 0;
  for (let at = 0; at < times; at += 1) {
    const before = peer.heard.length;
    peer.socket.emit('say', {});
    await vi.waitUntil(() => peer.heard.length > before);
    if (peer.heard.at(-1)?.[0] === 'said') said += 1;
  }
  peer.end();
  return said;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('limits of messages', () => {
  async function startChat(
    adapterOf: (app: INestApplication) => WebSocketAdapter,
  ): Promise<INestApplication> {
    const testing = await Test.createTestingModule({
      imports: [
        limitedModule({ controllers: [], gateways: [ChatGateway], throttling: { routeRequests: 3 } }),
      ],
    })
      .overrideProvider(Clock)
      .useValue(new FrozenClock())
      .compile();
    const app = testing.createNestApplication();
    vi.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
    app.useWebSocketAdapter(adapterOf(app));
    await app.listen(0, '127.0.0.1');
    return app;
  }

  test('websocket messages are counted by the peer: a second socket brings nothing, another peer is free', async () => {
    const app = await startChat((started) => new WsAdapter(started));
    try {
      const url = (await app.getUrl()).replace('http', 'ws');
      expect(await say(url, '127.0.0.1', 2)).toBe(2);
      expect(await say(url, '127.0.0.1', 4)).toBe(1);
      expect(await say(url, '127.0.0.2', 4)).toBe(3);
    } finally {
      await app.close();
    }
  });

  test.each(Object.keys(TRANSPORTS) as IoTransport[])(
    'messages of Socket.IO %s are counted alike, whatever address the client names',
    async (over) => {
      const app = await startChat((started) => new IoAdapter(started));
      try {
        const url = await app.getUrl();
        expect(await sayByIo(url, over, '127.0.0.1', 2)).toBe(2);
        expect(await sayByIo(url, over, '127.0.0.1', 4)).toBe(1);
        expect(await sayByIo(url, over, '127.0.0.2', 4)).toBe(3);
      } finally {
        await app.close();
      }
    },
  );

  test('messages over TCP are counted by the peer, in an application without HTTP', async () => {
    const testing = await Test.createTestingModule({
      imports: [limitedModule({ controllers: [JobsController], throttling: { routeRequests: 2 } })],
    })
      .overrideProvider(Clock)
      .useValue(new FrozenClock())
      .compile();
    const options = { host: '127.0.0.1', port: 0 };
    const server: MicroserviceOptions = { transport: Transport.TCP, options };

    const app = testing.createNestMicroservice<MicroserviceOptions>(server);
    await app.listen();
    const { port } = app.unwrap<Server>().address() as AddressInfo;
    const client = ClientProxyFactory.create({ transport: Transport.TCP, options: { ...options, port } });
    try {
      const run = (): Promise<unknown> => lastValueFrom(client.send('run', {}));
      expect([await run(), await run()]).toEqual(['ran', 'ran']);
      await expect(run()).rejects.toBeDefined();
    } finally {
      client.close();
      await app.close();
    }
  });
});

describe('callers that a transport does not name', () => {
  const judge = (
    options: ThrottlingOptions,
  ): ((type: TransportName, args: readonly unknown[], method?: string) => boolean) => {
    const stages = new ThrottleStages(
      resolveThrottlingOptions(options),
      new GcraStorage(new FrozenClock(), 1_000),
    );
    const handlers = new Map<string, () => void>();
    return (type, args, method = 'handle') => {
      const handler =
        handlers.get(method) ?? Object.defineProperty(() => undefined, 'name', { value: method });
      handlers.set(method, handler);
      const call: JudgedCall = {
        execution: {
          getType: () => type,
          getArgByIndex: (at: number) => args[at],
        } as unknown as ExecutionContext,
        context: new RequestContext({ transport: type, receivedAtMs: 0 }),
        policy: { kind: 'public' },
        handler,
        controller: JobsController,
      };
      const verdict = stages.route.judge(call);
      return !(verdict instanceof Promise) && verdict.passed;
    };
  };

  test('messages of a broker have one wider limit a handler', () => {
    const pass = judge({ routeRequests: 1, messageRequests: 3 });
    expect([1, 2, 3, 4].map(() => pass('rpc', [{}, {}]))).toEqual([true, true, true, false]);
    expect(pass('rpc', [{}, {}], 'another')).toBe(true);
  });

  test('the same method over two transports has a bucket for each', () => {
    const pass = judge({ routeRequests: 1 });
    expect(pass('http', [{ ip: '192.0.2.1' }])).toBe(true);
    expect(pass('ws', [{ _socket: { remoteAddress: '192.0.2.1' } }])).toBe(true);
    expect(pass('http', [{ ip: '192.0.2.1' }])).toBe(false);
  });

  test('sockets without an address have a bucket each', () => {
    const pass = judge({ routeRequests: 1 });
    const [first, second] = [{}, {}];
    expect([pass('ws', [first]), pass('ws', [first]), pass('ws', [second])]).toEqual([true, false, true]);
  });

  test('each alias of a GraphQL query counts, the fields below it do not', () => {
    const pass = judge({ routeRequests: 3 });
    const field = (prev?: object): boolean =>
      pass('graphql', [{}, {}, { req: { ip: '192.0.2.1' } }, { path: { key: 'a', prev } }]);
    expect([1, 2, 3, 4].map(() => field({ key: 'parent' }))).toEqual([true, true, true, true]);
    expect([1, 2, 3, 4].map(() => field())).toEqual([true, true, true, false]);
  });
});
