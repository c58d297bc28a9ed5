import type { INestApplication } from '@nestjs/common';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { performance } from 'node:perf_hooks';
import type { Socket } from 'socket.io';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { BrowserCredentials } from '../../src/core/browser-credentials.js';
import { RequestContext } from '../../src/core/request-context.js';
import { Authenticated } from '../../src/core/route-policy.js';
import { ACCESS_COOKIE } from '../../src/sessions/cookies.js';
import { SessionsService } from '../../src/sessions/sessions.service.js';
import {
  ioPeerOf,
  TRANSPORTS,
  type IoPeer,
  type IoPeerOptions,
  type IoTransport,
} from '../access/io-peers.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { answerOf, startSessions, takeApart, type Started } from './sessions-application.js';

/** By when a replica must have felt a revocation. */
const FELT_WITHIN_MS = 1_000;
const NOBODY = { code: 'authentication-required', status: 401 };
const INVALID = { code: 'invalid-credentials', status: 401 };

/** Without handleConnection: whoever is somebody. */
@WebSocketGateway()
class OwnGateway {
  @SubscribeMessage('who')
  @Authenticated()
  who({ handshake, conn }: Socket): object {
    return {
      subject: RequestContext.current()?.principal?.subject,
      transport: conn.transport.name,
      address: handshake.address.replace('::ffff:', ''),
      ...{ auth: handshake.auth, secure: handshake.secure },
    };
  }
}

let database: TestDatabase;
let here: Started;
let there: Started;
let open: IoPeer[] = [];
beforeAll(async () => {
  database = await createTestDatabase();
  [here, there] = await Promise.all([start(), start()]);
});
afterEach(() => {
  for (const each of open) each.end();
  open = [];
});
afterAll(async () => {
  await Promise.all([here.app.close(), there.app.close()]);
  await database.drop();
});

/** Cookies are in use: what is refused of them is not refused for want of the option. */
function start(): Promise<Started> {
  return startSessions({
    ...{ database, cookies: true },
    imports: [{ module: class OwnModule {}, providers: [OwnGateway] }],
    configure: (app: INestApplication) => {
      app.get(BrowserCredentials).crossSiteRefused = true;
      app.useWebSocketAdapter(new IoAdapter(app));
    },
  });
}

async function connect(over: IoTransport, options: IoPeerOptions): Promise<IoPeer> {
  const peer = await ioPeerOf(here, over, options);
  open.push(peer);
  return peer;
}

const subjectOf = (token: string): unknown => takeApart(token).claims['sub'];

describe.each(Object.keys(TRANSPORTS) as IoTransport[])('Socket.IO %s', (over) => {
  test('RBAC-10 V14.2.1 takes a token from the Authorization header of its first request, and from nowhere else', async () => {
    const { accessToken: token } = await here.open();
    const inCookie = await here.app
      .get(SessionsService)
      .open({ subject: String(subjectOf(token)), acr: 'aal1', amr: ['pwd'], delivery: 'cookie' });
    const cookie = `${ACCESS_COOKIE}=${inCookie.accessToken}`;
    for (const [options, why] of [
      [{}, NOBODY],
      [{ extraHeaders: { cookie } }, NOBODY],
      [{ auth: { token, authorization: `Bearer ${token}` } }, NOBODY],
      [{ query: { token, authorization: `Bearer ${token}` } }, NOBODY],
      [{ query: { access_token: token } }, INVALID],
      [{ as: token, query: { access_token: token } }, INVALID],
      [{ as: `${token.slice(0, -8)}AAAAAAAA` }, INVALID],
      [{ extraHeaders: { authorization: token } }, NOBODY],
    ] as const) {
      const refused = await connect(over, options);
      expect(await refused.ended).toEqual({ reason: 'io server disconnect', why });
    }
    const peer = await connect(over, { as: token, auth: { room: 7 } });
    await vi.waitUntil(() => peer.socket.io.engine.transport.name === 'websocket');
    expect(await peer.ask('who')).toEqual({
      ...{ subject: subjectOf(token), transport: 'websocket', address: '127.0.0.1' },
      ...{ auth: { room: 7 }, secure: false },
    });
    // Beside a token in the header a cookie is nothing to anybody.
    const both = await connect(over, { extraHeaders: { authorization: `Bearer ${token}`, cookie } });
    expect(await both.ask('who')).toMatchObject({ subject: subjectOf(token) });
  });

  test('RBAC-13 V7.4.1 is closed within a second when its session logs out on another replica, and comes back as nobody', async () => {
    const [session, other] = [await there.open(), await there.open()];
    const [ending, lasting] = [
      await connect(over, { as: session.accessToken }),
      await connect(over, { as: other.accessToken }),
    ];
    expect(await ending.ask('who')).toMatchObject({ subject: subjectOf(session.accessToken) });
    const endedAtMs = performance.now();
    await answerOf(`${there.url}/auth/logout`, { authorization: `Bearer ${session.accessToken}` }, 'POST');
    expect(await ending.ended).toEqual({ reason: 'io server disconnect', why: INVALID });
    expect(performance.now() - endedAtMs).toBeLessThan(FELT_WITHIN_MS);
    expect(await lasting.ask('who')).toMatchObject({ subject: subjectOf(other.accessToken) });
    const again = await connect(over, { as: session.accessToken });
    expect(await again.ended).toEqual({ reason: 'io server disconnect', why: INVALID });
  });
});

test('RBAC-10 a connection that upgrades stays whom its first request has proved, whatever the upgrade says', async () => {
  const [first, second] = [await here.open(), await here.open()];
  const headers = (token: string): object => ({ extraHeaders: { authorization: `Bearer ${token}` } });
  const over = 'over polling that upgrades';
  const peer = await connect(over, {
    transportOptions: { polling: headers(first.accessToken), websocket: headers(second.accessToken) },
  });
  await vi.waitUntil(() => peer.socket.io.engine.transport.name === 'websocket');
  expect(await peer.ask('who')).toMatchObject({
    ...{ transport: 'websocket', subject: subjectOf(first.accessToken) },
  });
  const late = await connect(over, { transportOptions: { websocket: headers(second.accessToken) } });
  expect(await late.ended).toEqual({ reason: 'io server disconnect', why: NOBODY });
});
