import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ADAPTERS, type RunningApplication } from '../support/application.js';
import { startEdge } from './edge.application.js';
import { openRaw, requestOf, sendRaw } from './raw-client.js';

const CONNECTIONS = 40;
const JSON_BODY = 'Content-Type: application/json';

/** Header fields, a request line, bodies and chunks that stop or never come; the last was refused before its body. */
const UNENDING = [
  'GET /open HTTP/1.1\r\nHost: localhost\r\nX-Note: ',
  'GET /op',
  requestOf('POST /bound', [JSON_BODY, 'Content-Length: 13']),
  requestOf('POST /bound', [JSON_BODY, 'Content-Length: 13'], '{"ti'),
  requestOf('POST /bound', [JSON_BODY, 'Transfer-Encoding: chunked'], 'd\r\n{"ti'),
  requestOf('POST /bound', ['Expect: 100-continue', JSON_BODY, 'Content-Length: 13']),
  requestOf('POST /bound', ['Content-Length: 13']),
];

describe.each(ADAPTERS)('clients that are slow or leave over %s', (adapter) => {
  let edge: RunningApplication;
  let patient: RunningApplication;
  const failures: unknown[] = [];
  const fail = (reason: unknown): void => void failures.push(reason);
  beforeAll(async () => {
    patient = await startEdge({ adapter });
    edge = await startEdge({ adapter, http: { headersTimeoutMs: 1_000, requestTimeoutMs: 1_500 } });
    process.on('unhandledRejection', fail);
    process.on('uncaughtException', fail);
  });
  afterAll(async () => {
    process.off('unhandledRejection', fail);
    process.off('uncaughtException', fail);
    await Promise.all([edge.close(), patient.close()]);
    expect(failures).toEqual([]);
  });

  const available = async (app = edge): Promise<void> => {
    const response = await fetch(`${app.url}/open`, { signal: AbortSignal.timeout(5_000) });
    expect(response.status).toBe(200);
  };

  test('NET-01 what never ends is cut with 408 or before, and the others are served meanwhile', async () => {
    const exchanges = UNENDING.flatMap((bytes) =>
      Array.from({ length: CONNECTIONS }, () => sendRaw(edge.port, bytes, { patienceMs: 15_000 })),
    );
    await available();
    const ended = await Promise.all(exchanges);
    expect(ended.filter(({ closed }) => !closed)).toEqual([]);
    for (const { answers } of ended) {
      for (const { status, body } of answers) {
        expect([408, 415]).toContain(status);
        expect(body).toMatchObject({ status });
      }
    }
    await available();
  });

  test('NET-01 whoever reads nothing of an answer is cut', async () => {
    const sockets = await Promise.all(Array.from({ length: 20 }, () => openRaw(edge.port)));
    const ends = sockets.map((socket) => {
      socket.on('error', () => undefined);
      socket.write(requestOf('GET /long'));
      socket.pause();
      return once(socket, 'close');
    });
    await available();
    // Twice the time-out of 3 s, as Node.js gives what has begun to move one more, and the looks.
    await vi.waitUntil(async () => (await connectionsOf(edge)) <= 2, { timeout: 15_000, interval: 20 });
    for (const socket of sockets) socket.resume();
    await Promise.all(ends);
  });

  test('NET-10 1,000 clients that leave in the middle of a body, of an answer or at once: nothing stays', async () => {
    const leavings: readonly [bytes: string, leave: (socket: Socket) => Promise<unknown>][] = [
      ['GET /op', leaveAtOnce],
      [
        requestOf('POST /bound', ['Content-Type: application/json', 'Content-Length: 1000'], '{"title":"'),
        leaveAtOnce,
      ],
      [
        requestOf(
          'POST /bound',
          ['Content-Type: application/json', 'Transfer-Encoding: chunked'],
          '4\r\n{"ti\r\n',
        ),
        leaveAtOnce,
      ],
      [requestOf('GET /long'), leaveAtFirstByte],
      [requestOf('GET /open'), leaveAtOnce],
    ];
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(
        Array.from({ length: 100 }, async (_, at) => {
          const [bytes, leave] = leavings[at % leavings.length] as (typeof leavings)[number];
          const socket = await openRaw(patient.port);
          socket.on('error', () => undefined);
          socket.write(bytes);
          await leave(socket);
        }),
      );
      await available(patient);
    }
    await vi.waitUntil(async () => (await connectionsOf(patient)) <= 2, { timeout: 10_000, interval: 20 });
    expect(failures).toEqual([]);
  }, 60_000);
});

async function leaveAtOnce(socket: Socket): Promise<unknown> {
  return Promise.resolve(socket.resetAndDestroy());
}

async function leaveAtFirstByte(socket: Socket): Promise<unknown> {
  // The server may have cut it by now.
  if (!socket.destroyed) {
    await new Promise((resolve) => {
      socket.once('data', resolve).once('close', resolve);
    });
  }
  return leaveAtOnce(socket);
}

function connectionsOf({ app }: RunningApplication): Promise<number> {
  return new Promise((resolve, reject) => {
    app.getHttpServer().getConnections((error, count) => {
      if (error) reject(error);
      else resolve(count);
    });
  });
}
