import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { armTimeoutsLate } from '../../src/http/late-timeouts.js';
import { openRaw } from './raw-client.js';

const LOOK_MS = 40;
/** Long enough to be armed late. */
const LONG_MS = 200;
/** How much later than asked a time-out may end, on a busy machine too. */
const PATIENCE_MS = 5_000;
const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

const running: { readonly server: Server; readonly sockets: Socket[] }[] = [];

async function serve(
  handle: RequestListener,
  set: Partial<Pick<Server, 'timeout' | 'keepAliveTimeout'>> = {},
): Promise<{ server: Server; port: number; sockets: Socket[] }> {
  const server = createServer(handle);
  Object.assign(server, { keepAliveTimeout: 60_000, keepAliveTimeoutBuffer: 0 }, set);
  const sockets: Socket[] = [];
  armTimeoutsLate(server, LOOK_MS);
  server.on('connection', (socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  running.push({ server, sockets });
  return { server, sockets, port: (server.address() as AddressInfo).port };
}

afterEach(() => {
  for (const { server, sockets } of running.splice(0)) {
    server.close();
    for (const socket of sockets) socket.destroy();
  }
});

/** Milliseconds until the server has ended a connection. */
async function untilClosed(socket: Socket, since = performance.now()): Promise<number> {
  socket.on('error', () => undefined).resume();
  if (!socket.destroyed) await once(socket, 'close', { signal: AbortSignal.timeout(LONG_MS + PATIENCE_MS) });
  return performance.now() - since;
}

const answered = (socket: Socket): Promise<unknown> => once(socket, 'data');

const wait = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

describe('time-outs of connections', () => {
  test('an idle one ends after its time, and not before', async () => {
    const { port } = await serve((_request, response) => response.end('ok'), { keepAliveTimeout: LONG_MS });
    const socket = await openRaw(port);
    socket.write(GET);
    await answered(socket);
    expect(await untilClosed(socket)).toBeGreaterThanOrEqual(LONG_MS - 2);
  });

  test('one that is used again and again stays, and ends after its last answer', async () => {
    const { port, sockets } = await serve((_request, response) => response.end('ok'), {
      keepAliveTimeout: LONG_MS,
    });
    const socket = await openRaw(port);
    // Each time it stood still for so long that its timer was armed.
    for (let sent = 0; sent < 6; sent += 1) {
      socket.write(GET);
      await answered(socket);
      await wait(LONG_MS - LOOK_MS);
      if (sockets[0]?.destroyed === true) break;
    }
    const since = performance.now() - (LONG_MS - LOOK_MS);
    expect(await untilClosed(socket, since)).toBeGreaterThanOrEqual(LONG_MS - 2);
  });

  test('a handler that never answers is not cut by the time of idle connections, and is by its own', async () => {
    const { port } = await serve(() => undefined, { timeout: 3 * LONG_MS, keepAliveTimeout: LONG_MS });
    const socket = await openRaw(port);
    socket.write(GET);
    expect(await untilClosed(socket)).toBeGreaterThanOrEqual(3 * LONG_MS - 2);
  });

  test('an idle connection that gets its request late has the time of a request again', async () => {
    let requests = 0;
    const { port } = await serve(
      (_request, response) => {
        requests += 1;
        if (requests === 1) response.end('ok');
      },
      { timeout: 4 * LONG_MS, keepAliveTimeout: LONG_MS },
    );
    const socket = await openRaw(port);
    socket.write(GET);
    await answered(socket);
    await wait(LONG_MS - LOOK_MS);
    const since = performance.now();
    socket.write(GET);
    expect(await untilClosed(socket, since)).toBeGreaterThanOrEqual(4 * LONG_MS - 2);
    expect(requests).toBe(2);
  });

  test('what sends or receives now and then stays', async () => {
    const { port } = await serve(
      (_request, response) => {
        response.write('begun');
        const timer = setInterval(() => response.write('.'), LONG_MS / 4);
        response.on('close', () => {
          clearInterval(timer);
        });
      },
      { timeout: LONG_MS },
    );
    const socket = await openRaw(port);
    socket.write(GET);
    socket.on('error', () => undefined).resume();
    await wait(4 * LONG_MS);
    expect(socket.destroyed).toBe(false);
    socket.destroy();
  });

  test('who reads nothing of an answer is cut', async () => {
    const { port, sockets } = await serve(
      (_request, response) => response.end(Buffer.alloc(64 * 1_048_576)),
      { timeout: LONG_MS },
    );
    const socket = await openRaw(port);
    socket.on('error', () => undefined).pause();
    socket.write(GET);
    await vi.waitUntil(() => sockets[0]?.destroyed === true, { timeout: PATIENCE_MS, interval: 10 });
  });

  test('who reads nothing is cut, also where more and more waits for them', async () => {
    const { port, sockets } = await serve(
      (_request, response) => {
        response.write(Buffer.alloc(16 * 1_048_576));
        const timer = setInterval(() => response.write('data: more\n\n'), LOOK_MS / 4);
        response.on('close', () => {
          clearInterval(timer);
        });
      },
      { timeout: LONG_MS },
    );
    const socket = await openRaw(port);
    socket.on('error', () => undefined).pause();
    socket.write(GET);
    await vi.waitUntil(() => sockets[0]?.destroyed === true, { timeout: PATIENCE_MS, interval: 10 });
  });

  test('what is refused changes nothing', async () => {
    const refused: unknown[] = [];
    const { port } = await serve(
      (request) => {
        for (const wrong of [Number.NaN, -1, Infinity]) {
          try {
            request.socket.setTimeout(wrong);
          } catch (error) {
            refused.push((error as { code: string }).code);
          }
        }
      },
      { timeout: LONG_MS },
    );
    const socket = await openRaw(port);
    socket.write(GET);
    expect(await untilClosed(socket)).toBeGreaterThanOrEqual(LONG_MS - 2);
    expect(refused).toEqual(['ERR_OUT_OF_RANGE', 'ERR_OUT_OF_RANGE', 'ERR_OUT_OF_RANGE']);
  });

  test('what a handler sets ends in the context of that handler', async () => {
    const ambient = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const { port } = await serve((request, response) => {
      ambient.run('of the handler', () => {
        request.setTimeout(LONG_MS, () => undefined);
        response.setTimeout(LONG_MS, () => {
          seen.push(ambient.getStore());
          response.end('ok');
        });
      });
    });
    const socket = await openRaw(port);
    socket.write(GET);
    await answered(socket);
    expect(seen).toEqual(['of the handler']);
  });

  test('who is told of the end decides, as Node.js says', async () => {
    const { server, port, sockets } = await serve(() => undefined, { timeout: LONG_MS });
    const told = once(server, 'timeout');
    const socket = await openRaw(port);
    socket.write(GET);
    expect((await told)[0]).toBe(sockets[0]);
    await wait(LOOK_MS);
    expect(sockets[0]?.destroyed).toBe(false);
  });

  test('what a handler sets itself counts: none, a short one, one with a listener, one that is wrong', async () => {
    const seen: unknown[] = [];
    const { port } = await serve(
      (request, response) => {
        const { socket } = request;
        seen.push(socket.timeout);
        if (seen.length === 1) {
          socket.setTimeout(0);
          seen.push(socket.timeout);
          response.write('kept');
          return;
        }
        // Else Node.js destroys the connection at the first of them.
        response.on('timeout', () => undefined);
        const began = performance.now();
        // Within a look: Node.js has it at once.
        socket.setTimeout(LOOK_MS / 2, () => {
          seen.push(performance.now() - began < LONG_MS);
          socket.setTimeout(LONG_MS, () => {
            seen.push('both');
            response.end();
          });
        });
        try {
          socket.setTimeout(-1);
        } catch (error) {
          seen.push((error as { code: string }).code);
        }
      },
      { timeout: LONG_MS },
    );
    const kept = await openRaw(port);
    kept.write(GET);
    await answered(kept);
    await wait(3 * LONG_MS);
    expect(kept.destroyed).toBe(false);
    expect(seen).toEqual([LONG_MS, 0]);
    const short = await openRaw(port);
    short.write(GET);
    await answered(short);
    expect(seen.slice(2)).toEqual([LONG_MS, 'ERR_OUT_OF_RANGE', true, 'both']);
  });

  test('none is none, also for a connection that stood still and has its timer', async () => {
    const { port } = await serve(
      ({ socket }, response) => {
        response.write('begun');
        setTimeout(() => socket.setTimeout(0), LONG_MS - LOOK_MS);
      },
      { timeout: LONG_MS },
    );
    const socket = await openRaw(port);
    socket.write(GET);
    await answered(socket);
    await wait(3 * LONG_MS);
    expect(socket.destroyed).toBe(false);
  });

  test('are those of Node.js where nobody sets one', async () => {
    const { port, sockets } = await serve((_request, response) => response.end('ok'), {
      keepAliveTimeout: 0,
    });
    const socket = await openRaw(port);
    socket.write(GET);
    await answered(socket);
    await wait(LONG_MS + 3 * LOOK_MS);
    expect(socket.destroyed).toBe(false);
    expect(sockets[0]?.timeout).toBeUndefined();
  });

  test('an encrypted one has them too', async () => {
    // A key that both have needs no certificate.
    const psk = Buffer.alloc(32, 7);
    const options = { ciphers: 'PSK', maxVersion: 'TLSv1.2' as const, minVersion: 'TLSv1.2' as const };
    const server = createTlsServer({ ...options, pskCallback: () => psk }, (_request, response) =>
      response.end('ok'),
    );
    Object.assign(server, { keepAliveTimeout: LONG_MS, keepAliveTimeoutBuffer: 0 });
    armTimeoutsLate(server, LOOK_MS);
    const sockets: Socket[] = [];
    running.push({ server, sockets });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const socket = connectTls({
      ...options,
      port: (server.address() as AddressInfo).port,
      pskCallback: () => ({ psk, identity: 'somebody' }),
      checkServerIdentity: () => undefined,
    });
    await once(socket, 'secureConnect');
    socket.write(GET);
    await answered(socket);
    expect(await untilClosed(socket)).toBeGreaterThanOrEqual(LONG_MS - 2);
  });

  test('a connection that counts no bytes is left to Node.js', async () => {
    const { server } = await serve((_request, response) => response.end('ok'), { timeout: LONG_MS });
    const set: unknown[] = [];
    const [near, far] = duplexPair();
    const ours = Object.assign(near, {
      setTimeout: (milliseconds: unknown) => {
        set.push(milliseconds);
      },
    });
    server.emit('connection', ours);
    expect(set).toEqual([LONG_MS]);
    far.destroy();
    near.destroy();
  });

  test('nothing is looked at when there is no connection, whoever took its listeners away', async () => {
    const [begun, cleared] = [vi.spyOn(globalThis, 'setInterval'), vi.spyOn(globalThis, 'clearInterval')];
    const { port, sockets } = await serve((_request, response) => response.end('ok'));
    const socket = await openRaw(port);
    await vi.waitUntil(() => sockets.length === 1, { interval: 1 });
    sockets[0]?.removeAllListeners().on('error', () => undefined);
    sockets[0]?.destroy();
    socket.destroy();
    const looks = begun.mock.results[begun.mock.calls.findIndex(([, every]) => every === LOOK_MS)]
      ?.value as unknown;
    expect(looks).toBeDefined();
    await vi.waitUntil(() => cleared.mock.calls.some(([timer]) => timer === looks), {
      timeout: PATIENCE_MS,
      interval: 10,
    });
    vi.restoreAllMocks();
    const again = await openRaw(port);
    again.write(GET);
    await answered(again);
  });
});

/** Two ends of one connection in memory. */
function duplexPair(): [Duplex, Duplex] {
  const ends: Duplex[] = [0, 1].map(
    (at) =>
      new Duplex({
        read: () => undefined,
        write: (chunk: Buffer, _encoding, done) => {
          ends[1 - at]?.push(chunk);
          done();
        },
      }),
  );
  return ends as [Duplex, Duplex];
}
