import { Controller, Module, Post, Res, type INestApplication, type Type } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { AuditModule } from '../../src/audit/audit.module.js';
import { Pipeline, PASSED } from '../../src/core/pipeline.js';
import { PipelineModule } from '../../src/core/pipeline.module.js';
import { RequestContext } from '../../src/core/request-context.js';
import { Authenticated, Public } from '../../src/core/route-policy.js';
import { SecurityEvents, type PublishedSecurityEvent } from '../../src/core/security-events.js';
import { uuidV7 } from '../../src/core/uuid-v7.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import { EncryptionModule } from '../../src/encryption/encryption.module.js';
import { HttpModule } from '../../src/http/http.module.js';
import { SessionHandover, type SessionAnswer } from '../../src/sessions/session-handover.js';
import { SessionsModule } from '../../src/sessions/sessions.module.js';
import type { SessionsOptions } from '../../src/sessions/sessions.options.js';
import { SessionsService, type OpenedSession } from '../../src/sessions/sessions.service.js';
import {
  ADAPTERS,
  startApplication,
  type AdapterName,
  type RunningApplication,
} from '../support/application.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startSample, type Sample } from '../support/sample.js';
import { OWN_PAGE, Visitor } from '../support/visitor.js';
import type { RawAnswer } from '../http/raw-client.js';
import { ISSUER, MASTER_KEY, startSessions } from './sessions-application.js';

const JSON_BODY = 'Content-Type: application/json';
const codeOf = ({ body }: RawAnswer): unknown => (body as { code?: unknown } | undefined)?.code;
const outcome = (answer: RawAnswer): unknown[] => [answer.status, codeOf(answer)];

const ACCESS_LINE = /^__Host-access=[\w.-]{100,3000}; Path=\/; Max-Age=900; HttpOnly; Secure; SameSite=Lax$/;
const REFRESH_LINE =
  /^__Host-refresh=[\w-]{100,300}; Path=\/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict$/;
const CLEARING = [
  '__Host-access=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax',
  '__Host-refresh=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict',
];

describe.each(ADAPTERS)('a session in cookies on %s', (adapter) => {
  let sample: Sample;
  const events: PublishedSecurityEvent[] = [];
  beforeAll(async () => {
    sample = await startSample({ adapter });
    sample.app.get(SecurityEvents).subscribe((event) => void events.push(event));
  });
  afterAll(() => sample.close());

  const visitor = (): Visitor => new Visitor(Number(new URL(sample.url).port));
  const credentialsOf = (name: string): { email: string; password: string } => {
    const { email, password } = sample.accounts.find((each) => each.email === `${name}@example.test`)!;
    return { email, password };
  };
  async function opened(name: string, delivery: 'cookie' | 'token'): Promise<OpenedSession> {
    const subject = await sample.accountId(name);
    return sample.app.get(SessionsService).open({ subject, acr: 'aal1', amr: ['pwd'], delivery });
  }
  async function signedIn(name: string): Promise<Visitor> {
    const { accessToken, refreshToken } = await opened(name, 'cookie');
    const known = visitor();
    known.cookies.set('__Host-access', accessToken).set('__Host-refresh', refreshToken);
    return known;
  }
  function expectHandover(answer: RawAnswer): void {
    expect(answer.status).toBe(200);
    const lines = answer.headers.getSetCookie();
    expect(lines).toEqual([expect.stringMatching(ACCESS_LINE), expect.stringMatching(REFRESH_LINE)]);
    for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThan(4096);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    // What scripts can read holds no token.
    expect(Object.keys(answer.body as object).sort()).toEqual(['expiresIn', 'status']);
    const said = [...answer.headers]
      .filter(([name]) => name !== 'set-cookie')
      .flat()
      .join('\n');
    for (const line of lines) {
      const [, value = '?'] = /=([^;]+)/.exec(line) ?? [];
      expect(answer.text).not.toContain(value);
      expect(said).not.toContain(value);
    }
  }

  test('WEB-01 signing in and refreshing set both cookies with every attribute, and no token is in the body', async () => {
    const browser = visitor();
    for (const delivery of [undefined, 'cookie'])
      expectHandover(await browser.own('POST /auth/login', { ...credentialsOf('editor'), delivery }));
    const first = new Map(browser.cookies);
    expectHandover(await browser.own('POST /auth/refresh'));
    for (const [name, value] of first) expect(browser.cookies.get(name)).not.toBe(value);
    expect((await browser.own('GET /auth/me')).status).toBe(200);
  });

  test('WEB-01 stepping up replaces both cookies, and the ones of before are dead', async () => {
    const browser = await signedIn('editor');
    const before = browser.copy();
    const { password } = credentialsOf('editor');
    expectHandover(await browser.own('POST /auth/step-up', { method: 'password', password }));
    for (const [name, value] of before.cookies) expect(browser.cookies.get(name)).not.toBe(value);
    expect((await browser.own('GET /auth/me')).status).toBe(200);
    expect(outcome(await before.own('GET /auth/me'))).toEqual([401, 'invalid-credentials']);
    expect(outcome(await before.own('POST /auth/refresh'))).toEqual([401, 'invalid-credentials']);
    expect((await browser.own('GET /auth/me')).status).toBe(200);
  });

  test('WEB-01 no other answer sets a cookie', async () => {
    const browser = await signedIn('editor');
    for (const [line, body] of [
      ['GET /auth/me'],
      ['GET /documents'],
      ['GET /auth/sessions'],
      ['GET /nowhere'],
      ['GET /health/live'],
      ['GET /.well-known/jwks.json'],
      ['POST /documents', { title: 'a', body: 'b' }],
      ['POST /auth/login', { email: 'editor@example.test', password: 'wrong password of mine' }],
      ['POST /auth/login', { ...credentialsOf('viewer'), delivery: 'token' }],
      ['POST /auth/login', {}],
    ] as const)
      expect([line, (await browser.own(line, body)).headers.getSetCookie()]).toEqual([line, []]);
  });

  test('WEB-01 WEB-23 logging out takes both away with the same attributes, and clears what the browser keeps', async () => {
    for (const line of ['POST /auth/logout', 'POST /auth/logout/all']) {
      const browser = await signedIn('viewer');
      const before = browser.copy();
      const answer = await browser.own(line);
      expect([answer.status, answer.text]).toEqual([204, '']);
      expect(answer.headers.getSetCookie()).toEqual(CLEARING);
      expect(answer.headers.get('clear-site-data')).toBe('"cache", "cookies", "storage"');
      expect(answer.headers.get('cache-control')).toBe('no-store');
      expect(browser.cookies.size).toBe(0);
      // Whoever kept a copy holds nothing.
      expect(outcome(await before.own('GET /auth/me'))).toEqual([401, 'invalid-credentials']);
      expect(outcome(await before.own('POST /auth/refresh'))).toEqual([401, 'invalid-credentials']);
    }
  });

  test('WEB-23 the header stands on no other answer, so that nobody else can make a browser forget', async () => {
    const browser = await signedIn('viewer');
    for (const line of ['GET /auth/me', 'POST /auth/refresh', 'GET /auth/logout', 'GET /nowhere'])
      expect((await browser.own(line)).headers.get('clear-site-data')).toBeNull();
    const refused = await visitor().own('POST /auth/logout');
    expect([refused.status, refused.headers.get('clear-site-data')]).toEqual([401, null]);
  });

  test('an access token that has run out keeps nobody from logging out, and one cookie is enough', async () => {
    for (const left of ['__Host-refresh', '__Host-access']) {
      const browser = await signedIn('viewer');
      const before = browser.copy();
      for (const name of [...browser.cookies.keys()]) if (name !== left) browser.cookies.delete(name);
      expect((await browser.own('POST /auth/logout')).status).toBe(204);
      expect((await before.own('GET /auth/me')).status).toBe(401);
    }
  });

  test('WEB-13 nothing that carries a token, or says who somebody is, may be stored', async () => {
    const browser = await signedIn('viewer');
    const answers = [
      await browser.own('POST /auth/login', credentialsOf('viewer')),
      await browser.own('POST /auth/login', { ...credentialsOf('viewer'), delivery: 'token' }),
      await browser.own('POST /auth/refresh'),
      await browser.own('GET /auth/me'),
      await browser.own('GET /auth/sessions'),
      await browser.own('GET /documents'),
      await browser.own('POST /auth/login', { email: 'x@example.test', password: 'wrong password' }),
      await visitor().own('GET /auth/me'),
      await browser.own('HEAD /auth/me'),
    ];
    for (const { headers } of answers) {
      expect(headers.get('cache-control')).toBe('no-store');
      for (const name of ['etag', 'last-modified', 'expires']) expect(headers.get(name)).toBeNull();
    }
    // Nothing is compared either: no answer of one user is confirmed to another.
    for (const field of [
      'If-None-Match: *',
      'If-None-Match: "x"',
      'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT',
    ])
      expect((await browser.send('GET /auth/me', [...OWN_PAGE, field])).status).toBe(200);
  });

  test('WEB-09 two cookies of one name are refused whoever they belong to, and neither session is harmed', async () => {
    const [good, evil] = [await signedIn('editor'), await signedIn('clerk')];
    for (const [name, line] of [
      ['__Host-access', 'GET /auth/me'],
      ['__Host-refresh', 'POST /auth/refresh'],
      ['__Host-refresh', 'POST /auth/logout'],
      ['__Host-access', 'POST /auth/logout'],
      ['__Host-access', 'POST /auth/logout/all'],
    ] as const) {
      const [a, b] = [good.cookies.get(name)!, evil.cookies.get(name)!];
      for (const cookies of [
        `${name}=${a}; ${name}=${b}`,
        `${name}=${b}; ${name}=${a}`,
        `${name}=${a}; ${name}=x`,
      ]) {
        events.length = 0;
        for (const fields of [[`Cookie: ${cookies}`], cookies.split('; ').map((each) => `Cookie: ${each}`)]) {
          const answer = await visitor().send(line, [...OWN_PAGE, ...fields]);
          expect(outcome(answer)).toEqual([401, 'invalid-credentials']);
          expect(answer.headers.getSetCookie()).toEqual([]);
        }
        expect(events.map(({ action, reason }) => [action, reason])).toEqual(
          Array(2).fill(['authentication.refused', 'several cookies of one name were sent']),
        );
      }
    }
    for (const session of [good, evil]) {
      expect((await session.own('GET /auth/me')).status).toBe(200);
      expect((await session.own('POST /auth/refresh')).status).toBe(200);
    }
  });

  test('WEB-09 a cookie without the prefix, or with it in another spelling, is nobody’s', async () => {
    const { cookies } = await signedIn('editor');
    const token = cookies.get('__Host-access')!;
    for (const name of ['access', '__host-access', '__Secure-access', '__HOST-ACCESS', '\u00a0__Host-access'])
      expect([name, ...outcome(await visitor().send('GET /auth/me', [`Cookie: ${name}=${token}`]))]).toEqual([
        name,
        401,
        'authentication-required',
      ]);
  });

  test('a cookie and a bearer token at once are refused with 400, whichever is good, and leave one event each', async () => {
    const browser = await signedIn('editor');
    const { accessToken, refreshToken } = await opened('clerk', 'token');
    const [access, refresh] = [...browser.cookies].map(([name, value]) => `Cookie: ${name}=${value}`) as [
      string,
      string,
    ];
    const bearer = `Authorization: Bearer ${accessToken}`;
    const inBody = JSON.stringify({ refreshToken });
    const cases: readonly (readonly [string, readonly string[], string?])[] = [
      ['GET /auth/me', [access, bearer]],
      ['GET /auth/me', ['Cookie: __Host-access=x', bearer]],
      ['GET /auth/me', [access, 'Authorization: Bearer x']],
      ['POST /auth/logout/all', [access, bearer]],
      ['POST /auth/logout', [access, bearer]],
      ['POST /auth/logout', [refresh, bearer]],
      ['POST /auth/logout', [access, JSON_BODY], inBody],
      ['POST /auth/logout', [refresh, JSON_BODY], inBody],
      ['POST /auth/refresh', [refresh, JSON_BODY], inBody],
      ['POST /auth/refresh', [access, JSON_BODY], inBody],
      ['POST /auth/refresh', [refresh, bearer]],
      ['POST /auth/refresh', [refresh, JSON_BODY], '{"refreshToken":""}'],
    ];
    for (const [line, fields, body] of cases) {
      events.length = 0;
      const answer = await visitor().send(line, [...OWN_PAGE, ...fields], body);
      expect([line, fields, ...outcome(answer)]).toEqual([line, fields, 400, 'ambiguous-credentials']);
      expect(answer.headers.getSetCookie()).toEqual([]);
      expect(events).toHaveLength(1);
      expect(events[0]).toMatchObject({ outcome: 'failure', detail: { code: 'ambiguous-credentials' } });
    }
    // Nothing was rotated or ended: both sessions go on as they were.
    expect((await browser.own('POST /auth/refresh')).status).toBe(200);
    const other = await visitor().send('POST /auth/refresh', [...OWN_PAGE, JSON_BODY], inBody);
    expect(other.status).toBe(200);
  });

  test('a token is good only the way it was handed over, and a try the other way harms nobody', async () => {
    const [cookie, token] = [await opened('editor', 'cookie'), await opened('editor', 'token')];
    const [asBearer, asCookie] = [
      ['GET /auth/me', [`Authorization: Bearer ${cookie.accessToken}`]],
      ['GET /auth/me', [`Cookie: __Host-access=${token.accessToken}`]],
    ] as const;
    // Twice: unknown, and remembered.
    for (const round of [1, 2]) {
      for (const [line, fields] of [asBearer, asCookie])
        expect([round, ...outcome(await visitor().send(line, fields))]).toEqual([
          round,
          401,
          'invalid-credentials',
        ]);
      expect(
        (await visitor().send(asBearer[0], [`Cookie: __Host-access=${cookie.accessToken}`])).status,
      ).toBe(200);
      expect((await visitor().send(asBearer[0], [`Authorization: Bearer ${token.accessToken}`])).status).toBe(
        200,
      );
    }
    for (const path of ['/auth/refresh', '/auth/logout']) {
      const inBody = await visitor().send(
        `POST ${path}`,
        [...OWN_PAGE, JSON_BODY],
        JSON.stringify({ refreshToken: cookie.refreshToken }),
      );
      const asRefreshCookie = await visitor().send(`POST ${path}`, [
        ...OWN_PAGE,
        `Cookie: __Host-refresh=${token.refreshToken}`,
      ]);
      for (const answer of [inBody, asRefreshCookie]) {
        expect(outcome(answer)).toEqual([401, 'invalid-credentials']);
        expect(answer.headers.getSetCookie()).toEqual([]);
      }
    }
    const refreshed = await visitor().send('POST /auth/refresh', [
      ...OWN_PAGE,
      `Cookie: __Host-refresh=${cookie.refreshToken}`,
    ]);
    expectHandover(refreshed);
    const answer = await visitor().send(
      'POST /auth/refresh',
      [...OWN_PAGE, JSON_BODY],
      JSON.stringify({ refreshToken: token.refreshToken }),
    );
    expect(answer.status).toBe(200);
    expect(answer.headers.getSetCookie()).toEqual([]);
    expect(Object.keys(answer.body as object).sort()).toEqual(
      ['accessToken', 'expiresIn', 'refreshToken', 'status', 'tokenType'].sort(),
    );
  });

  test.each([
    ['none', []],
    ['an empty one', ['Cookie: __Host-refresh=']],
    ['garbage', ['Cookie: __Host-refresh=garbage']],
    ['one with a foreign signature', [`Cookie: __Host-refresh=zt_refresh_${'A'.repeat(91)}`]],
    ['an oversized one', [`Cookie: __Host-refresh=${'A'.repeat(8_000)}`]],
    ['characters that we never write', ['Cookie: __Host-refresh="a b"']],
    ['bytes that are no text', ['Cookie: __Host-refresh=\u00ff\u00fe']],
  ])('a refresh that fails clears no cookie: %s', async (_, fields) => {
    const answer = await visitor().send('POST /auth/refresh', [...OWN_PAGE, ...fields]);
    expect(outcome(answer)).toEqual([401, 'invalid-credentials']);
    expect(answer.headers.getSetCookie()).toEqual([]);
    expect(answer.headers.get('clear-site-data')).toBeNull();
    for (const field of fields) expect(answer.text).not.toContain(field.slice(-8));
  });

  test('a refresh token that was used before ends the session, and still clears no cookie', async () => {
    const browser = await signedIn('viewer');
    const stolen = browser.copy();
    // Two on: the first is no retry of the one before any more.
    await browser.own('POST /auth/refresh');
    await browser.own('POST /auth/refresh');
    const answer = await stolen.own('POST /auth/refresh');
    expect(outcome(answer)).toEqual([401, 'invalid-credentials']);
    expect(answer.headers.getSetCookie()).toEqual([]);
    expect(outcome(await browser.own('GET /auth/me'))).toEqual([401, 'invalid-credentials']);
  });

  test('a header that is too large is refused before anybody reads it', async () => {
    const answer = await visitor().send('GET /auth/me', [`Cookie: __Host-access=${'A'.repeat(20_000)}`]);
    expect(outcome(answer)).toEqual([431, 'headers-too-large']);
    const large = await visitor().send('GET /auth/me', [`Cookie: __Host-access=${'A'.repeat(8_000)}`]);
    expect(outcome(large)).toEqual([401, 'invalid-credentials']);
  });
});

/** A host with an identity of its own, that hands sessions over itself and sets a cookie of its own besides. */
@Controller('own')
class OwnSignInController {
  constructor(
    private readonly sessions: SessionsService,
    private readonly handover: SessionHandover,
    private readonly host: HttpAdapterHost,
  ) {}

  @Post('login')
  @Public()
  async login(@Res({ passthrough: true }) response: unknown): Promise<SessionAnswer> {
    const { httpAdapter } = this.host;
    httpAdapter.appendHeader(response, 'Set-Cookie', 'theme=dark; Path=/');
    httpAdapter.setHeader(response, 'Cache-Control', 'public, max-age=60');
    const subject = uuidV7(Date.now());
    const session = await this.sessions.open({ subject, acr: 'aal1', amr: ['pwd'], delivery: 'cookie' });
    const answer = this.handover.hand(response, session, 'cookie');
    httpAdapter.appendHeader(response, 'Set-Cookie', 'seen=1; Path=/');
    return answer;
  }

  @Post('whoami')
  @Authenticated()
  whoami(): unknown {
    return { subject: RequestContext.current()?.principal?.subject };
  }
}

@WebSocketGateway()
class EchoGateway {
  @Public()
  handleConnection(): void {
    return;
  }

  @SubscribeMessage('mine')
  @Authenticated()
  mine(): { event: string; data: string } {
    return { event: 'mine', data: 'reached' };
  }
}

async function startOwn(
  database: TestDatabase,
  adapter: AdapterName,
  sessions: Partial<SessionsOptions> = {},
  gateways: Type[] = [],
): Promise<RunningApplication> {
  @Module({
    imports: [
      PipelineModule,
      DatabaseModule.forRoot({ url: database.appUrl }),
      EncryptionModule.forRoot({ masterKey: MASTER_KEY }),
      AuditModule.forRoot({ readerUrl: database.auditUrl }),
      HttpModule.forRoot({ requestLog: false, corsOrigins: ['https://app.test'] }),
      SessionsModule.forRoot({ issuer: ISSUER, audience: ISSUER, ...sessions }),
    ],
    controllers: [OwnSignInController],
    providers: gateways,
  })
  class OwnModule {
    constructor(pipeline: Pipeline) {
      pipeline.register({ name: 'authorize', judge: () => PASSED });
    }
  }
  return startApplication(OwnModule, {
    adapter,
    before: (app: INestApplication) => {
      if (gateways.length > 0) app.useWebSocketAdapter(new WsAdapter(app));
    },
  });
}

describe.each(ADAPTERS)('a host with its own identity on %s', (adapter) => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  test('the cookies of the session stand beside those that the host sets, and nothing makes the answer storable', async () => {
    const started = await startOwn(database, adapter);
    try {
      const browser = new Visitor(started.port);
      const answer = await browser.own('POST /own/login');
      expect(answer.headers.getSetCookie()).toEqual([
        'theme=dark; Path=/',
        expect.stringMatching(ACCESS_LINE),
        expect.stringMatching(REFRESH_LINE),
        'seen=1; Path=/',
      ]);
      expect(answer.headers.get('cache-control')).toBe('no-store');
      expect((await browser.own('POST /own/whoami')).status).toBe(201);
      expect((await browser.own('POST /auth/logout')).headers.getSetCookie()).toEqual(CLEARING);
      expect((await browser.own('POST /own/whoami')).status).toBe(401);
    } finally {
      await started.close();
    }
  });

  test('the options of the lifetimes are the Max-Age of the cookies', async () => {
    const started = await startOwn(database, adapter, {
      accessTokenTtlSeconds: 60,
      absoluteLifetimeSeconds: 7_200,
    });
    try {
      const lines = (await new Visitor(started.port).own('POST /own/login')).headers.getSetCookie();
      expect(lines.join('\n').match(/__Host-\w+|Max-Age=\d+/g)).toEqual([
        ...['__Host-access', 'Max-Age=60'],
        ...['__Host-refresh', 'Max-Age=7200'],
      ]);
    } finally {
      await started.close();
    }
  });

  test('with cookies off none is read, set or cleared, and no origin may send any', async () => {
    const [on, off] = [
      await startOwn(database, adapter),
      await startOwn(database, adapter, { cookies: false }),
    ];
    try {
      const browser = new Visitor(on.port);
      await browser.own('POST /own/login');
      const [access, refresh] = ['__Host-access', '__Host-refresh'].map((name) => browser.cookies.get(name)!);
      const cookies = `Cookie: __Host-access=${access!}; __Host-refresh=${refresh!}`;
      expect((await new Visitor(on.port).send('POST /own/whoami', [...OWN_PAGE, cookies])).status).toBe(201);
      for (const [path, code] of [
        ['/own/whoami', 'authentication-required'],
        ['/auth/logout/all', 'authentication-required'],
        ['/auth/refresh', 'invalid-credentials'],
        ['/auth/logout', 'invalid-credentials'],
      ] as const)
        expect(outcome(await new Visitor(off.port).send(`POST ${path}`, [...OWN_PAGE, cookies]))).toEqual([
          401,
          code,
        ]);
      const session = await off.app
        .get(SessionsService)
        .open({ subject: uuidV7(Date.now()), acr: 'aal1', amr: ['pwd'], delivery: 'token' });
      const bearer = `Authorization: Bearer ${session.accessToken}`;
      // A cookie that is not read contradicts nothing.
      expect(
        (await new Visitor(off.port).send('POST /own/whoami', [...OWN_PAGE, cookies, bearer])).status,
      ).toBe(201);
      const logout = await new Visitor(off.port).send('POST /auth/logout', [...OWN_PAGE, cookies, bearer]);
      expect([logout.status, logout.headers.getSetCookie()]).toEqual([204, []]);
      const hand = await new Visitor(off.port).own('POST /own/login');
      expect([hand.status, hand.headers.getSetCookie().filter((line) => line.startsWith('__Host-'))]).toEqual(
        [500, []],
      );
      const preflight = ['Origin: https://app.test', 'Access-Control-Request-Method: POST'];
      for (const [app, allowed] of [
        [on, 'true'],
        [off, null],
      ] as const) {
        const { headers } = await new Visitor(app.port).send('OPTIONS /own/whoami', preflight);
        expect(headers.get('access-control-allow-origin')).toBe('https://app.test');
        expect(headers.get('access-control-allow-credentials')).toBe(allowed);
      }
    } finally {
      await on.close();
      await off.close();
    }
  });

  test('a websocket that a browser opens with cookies is nobody, and one with a bearer token is somebody', async () => {
    const started = await startOwn(database, adapter, {}, [EchoGateway]);
    try {
      const browser = new Visitor(started.port);
      await browser.own('POST /own/login');
      const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const { accessToken } = await started.app
        .get(SessionsService)
        .open({ subject: uuidV7(Date.now()), acr: 'aal1', amr: ['pwd'], delivery: 'token' });
      const say = async (headers: Record<string, string>): Promise<unknown> => {
        const socket = new WebSocket(started.url.replace('http', 'ws'), { headers });
        await once(socket, 'open');
        const answer = once(socket, 'message') as Promise<[Buffer]>;
        socket.send(JSON.stringify({ event: 'mine', data: {} }));
        const [message] = await answer;
        socket.terminate();
        return JSON.parse(message.toString()) as unknown;
      };
      const nobody = {
        event: 'exception',
        data: expect.objectContaining({ code: 'authentication-required' }) as unknown,
      };
      expect(await say({ cookie })).toMatchObject(nobody);
      expect(await say({ cookie, origin: 'https://evil.test' })).toMatchObject(nobody);
      expect(await say({ cookie, origin: 'http://localhost' })).toMatchObject(nobody);
      expect(await say({ authorization: `Bearer ${accessToken}` })).toEqual({
        event: 'mine',
        data: 'reached',
      });
      // The control: the same cookies are good where a browser asks first.
      expect((await browser.own('POST /own/whoami')).status).toBe(201);
    } finally {
      await started.close();
    }
  });

  test('cookies on and nothing that refuses other sites does not start, and says the mend; off, it starts', async () => {
    await expect(startSessions({ database, adapter, cookies: true })).rejects.toThrow(
      /SessionsModule refuses to start:[^]*cookies: [^]*import HttpModule and call `await secureApplication\(app\)`, or set cookies to false/,
    );
    const started = await startSessions({ database, adapter, cookies: false });
    await started.app.close();
  });
});
