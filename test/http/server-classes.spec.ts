import type { INestApplication } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { createServer, IncomingMessage, ServerResponse, type Server } from 'node:http';
import { describe, expect, test, vi } from 'vitest';
import {
  makeOurRequests,
  makeWithPrototypes,
  type ExpressPrototypes,
} from '../../src/http/server-classes.js';
import { ServerRequest } from '../../src/http/server-request.js';
import { ADAPTERS } from '../support/application.js';
import { startEdge } from './edge.application.js';

type Express = ExpressPrototypes & {
  use(...handlers: unknown[]): void;
};

const express = (): Express => new ExpressAdapter().getInstance<Express>();

const madeBy = (server: Server, { name }: { readonly name: string }): unknown => {
  const symbol = Object.getOwnPropertySymbols(server).find(({ description }) => description === name);
  return symbol && (server as unknown as Record<symbol, unknown>)[symbol];
};

describe('requests', () => {
  test.each(ADAPTERS)('are ours over %s, in all that ours do', async (adapter) => {
    const seen: IncomingMessage[] = [];
    const running = await startEdge({
      adapter,
      before: (app: INestApplication) => {
        (app.getHttpServer() as Server).prependListener('request', (request: IncomingMessage) => {
          seen.push(request);
        });
      },
    });
    try {
      await (await fetch(`${running.url}/open`)).text();
      const request = seen[0] as unknown as Record<string, unknown>;
      const ours = Object.getOwnPropertyDescriptors(ServerRequest.prototype);
      for (const name of ['push', '_dump', 'destroy'] as const)
        expect(request[name], name).toBe(ours[name].value);
      // Ended, closed and let go of, and nobody had to be told.
      await vi.waitUntil(() => request['destroyed'] === true, { interval: 1 });
      expect(request).toMatchObject({ complete: true, readableEnded: true, closed: true, aborted: false });
    } finally {
      await running.close();
    }
  });

  test('stay those of somebody else', () => {
    class Theirs extends IncomingMessage {}
    const server = createServer({ IncomingMessage: Theirs });
    makeOurRequests(server);
    expect(madeBy(server, IncomingMessage)).toBe(Theirs);
  });
});

describe('requests and answers of Express', () => {
  test('are made with the prototypes that Express would give them, so that nothing is left to change', async () => {
    const seen: object[][] = [];
    let adapter: Express | undefined;
    const running = await startEdge({
      before: (app: INestApplication) => {
        adapter = app.getHttpAdapter().getInstance() as Express;
        const server = app.getHttpServer() as Server;
        // First of all who hear of a request: before Express does.
        server.prependListener('request', (request: object, response: object) => {
          seen.push([request, response].map((each) => Object.getPrototypeOf(each) as object));
        });
      },
    });
    try {
      const answer = await fetch(`${running.url}/open`);
      expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
      expect(seen).toHaveLength(1);
      expect(seen[0]?.[0]).toBe(adapter?.request);
      expect(seen[0]?.[1]).toBe(adapter?.response);
    } finally {
      await running.close();
    }
  });

  test('have all that Express and the host put there, also inside of a mounted application', async () => {
    const app = express() as Express & Parameters<typeof createServer>[1];
    const server = createServer(app);
    Object.assign(app.response, { shout: 'before' });
    makeWithPrototypes(app, server);
    Object.assign(app.response, { whisper: 'after' });
    const mounted = express();
    mounted.use((request: { ip: string }, response: { json(body: unknown): void }) => {
      const { shout, whisper } = response as unknown as Record<string, unknown>;
      const native = [request instanceof IncomingMessage, response instanceof ServerResponse];
      response.json({ shout, whisper, native, ip: typeof request.ip });
    });
    app.use('/mounted', mounted);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as { port: number };
      const answer = await fetch(`http://127.0.0.1:${port}/mounted`);
      expect(await answer.json()).toEqual({
        shout: 'before',
        whisper: 'after',
        native: [true, true],
        ip: 'string',
      });
    } finally {
      server.close();
    }
  });

  test('keep what is theirs when the application is mounted into another one, also later', async () => {
    const [parent, app, earlier] = [
      express(),
      express() as Express & { set(name: string, to: unknown): void },
      express(),
    ];
    (parent as typeof app).set('trust proxy', true);
    app.set('trust proxy', false);
    app.use('/earlier', earlier);
    Object.defineProperty(app.request, 'fresh', { value: false });
    makeWithPrototypes(app, createServer());
    Object.assign(app.response, { shout: 'theirs' });
    parent.use('/mounted', app);
    const said = (
      request: { ip: string; fresh: boolean; app: unknown },
      response: { json(body: unknown): void },
    ): void => {
      const { shout, constructor } = response as unknown as { shout: unknown; constructor: { name: string } };
      response.json({
        ...{ ip: request.ip, fresh: request.fresh, shout, constructor: constructor.name },
        app: [app, earlier].indexOf(request.app as Express),
      });
    };
    earlier.use(said);
    app.use(said);
    const server = createServer(parent as never);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as { port: number };
      const ask = async (path: string): Promise<unknown> =>
        (
          await fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'X-Forwarded-For': '6.6.6.6' } })
        ).json();
      const common = { ip: '127.0.0.1', fresh: false, shout: 'theirs', constructor: 'ServerResponse' };
      expect(await ask('/mounted')).toEqual({ ...common, app: 0 });
      expect(await ask('/mounted/earlier')).toMatchObject({ shout: 'theirs', app: 1 });
    } finally {
      server.close();
    }
  });

  test('stay what somebody else makes of them, and what a server makes that does not say so', () => {
    class Theirs extends ServerResponse {}
    const app = express();
    const { response } = app;
    const server = createServer({ ServerResponse: Theirs });
    makeWithPrototypes(app, server);
    expect(madeBy(server, ServerResponse)).toBe(Theirs);
    expect(app.response).toBe(response);
    const unknown = { request: {}, response: {} };
    const before = { ...unknown };
    makeWithPrototypes(unknown, {} as Server);
    expect(unknown).toEqual(before);
    expect([unknown.request, unknown.response].map((each) => Object.getPrototypeOf(each) as object)).toEqual([
      Object.prototype,
      Object.prototype,
    ]);
  });
});
