import { Controller, Get, type INestApplication } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PublicRouteDeclaration } from '../../../src/access/access.options.js';
import { ReportOnly } from '../../../src/core/report-only.js';
import { Authenticated, Public, RequirePermission } from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import {
  ADAPTERS,
  ask,
  refusalOf,
  startHostile,
  type AdapterName,
  type HostileOptions,
} from '../../support/hostile.application.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

@Controller()
class PagesController {
  @Get('about')
  @Public()
  about(): string {
    return 'about';
  }

  @Get('mine')
  @Authenticated()
  mine(): string {
    return 'mine';
  }
}

@WebSocketGateway()
class NewsGateway {
  @SubscribeMessage('news')
  @Public()
  news(): string {
    return 'news';
  }
}

const ABOUT = { route: 'GET /about', reason: 'says who we are' };
const NEWS = { route: 'ws MESSAGE news', reason: 'the same for everybody' };

describe.each(ADAPTERS)('the start on %s with a reviewed list of public routes', (adapter: AdapterName) => {
  const options = (
    publicRoutes: readonly PublicRouteDeclaration[],
    more: Partial<HostileOptions> = {},
  ): HostileOptions => ({
    databaseUrl: database.appUrl,
    adapter,
    controllers: [PagesController],
    providers: [NewsGateway],
    ...more,
    access: { ...more.access, publicRoutes },
    configure: (app: INestApplication) => {
      app.useWebSocketAdapter(new WsAdapter(app));
      return more.configure?.(app);
    },
  });
  const faultsOf = async (given: HostileOptions): Promise<readonly string[]> =>
    (await refusalOf(given)).split('\n  - ').slice(1);

  test('V8.1.1 succeeds when the list says exactly what anybody reaches, and why', async () => {
    const started = await startHostile(options([ABOUT, NEWS]));
    try {
      expect((await ask(started, 'GET', '/about')).status).toBe(200);
      expect((await ask(started, 'GET', '/mine')).status).toBe(401);
    } finally {
      await started.close();
    }
  });

  test('V8.1.1 is refused by each public way in that is not on it, also by all for an empty list', async () => {
    const news =
      "ws MESSAGE news is reached by anybody: demand something of its callers, or review it into AccessModule's " +
      `"publicRoutes": { route: 'ws MESSAGE news', reason: '…' }`;
    const about = news.replaceAll(NEWS.route, ABOUT.route);
    expect(await faultsOf(options([ABOUT]))).toEqual([news]);
    expect([...(await faultsOf(options([])))].sort()).toEqual([about, news]);
  });

  test('V8.1.1 is refused by an entry that is stale, and by one without a reason', async () => {
    const list = [
      { ...ABOUT, reason: ' ' },
      NEWS,
      { route: 'GET /mine', reason: 'was open once' },
      { route: 'GET /gone', reason: 'was there once' },
    ];
    expect(await faultsOf(options(list))).toEqual([
      'publicRoutes names GET /mine, which nobody reaches unproved: remove the entry',
      'publicRoutes names GET /gone, which nobody reaches unproved: remove the entry',
      'publicRoutes: "GET /about" needs a reason',
    ]);
  });

  test('V8.1.1 is refused by a reviewed route of the adapter too, until it is on the list', async () => {
    const pages = (app: INestApplication): void => {
      app.getHttpAdapter().get('/pages', (_request: unknown, response: { send(text: string): void }) => {
        response.send('pages');
      });
    };
    const more = {
      configure: pages,
      access: { adapterRoutes: [{ method: 'GET', path: '/pages', reason: 'static' }] },
    };
    expect(await faultsOf(options([ABOUT, NEWS], more))).toEqual([
      expect.stringContaining('GET /pages is reached by anybody'),
    ]);
    const started = await startHostile(
      options([ABOUT, NEWS, { route: 'GET /pages', reason: 'static' }], more),
    );
    try {
      expect(await ask(started, 'GET', '/pages')).toEqual({ status: 200, body: 'pages' });
    } finally {
      await started.close();
    }
  });

  test('V8.1.1 is refused by a handler that is report-only and that nobody reviewed', async () => {
    @Controller('soon')
    class SoonController {
      @Get()
      @ReportOnly()
      @RequirePermission('roles:read')
      read(): string {
        return 'soon';
      }
    }
    const more = { controllers: [PagesController, SoonController] };
    expect(await faultsOf(options([ABOUT, NEWS], more))).toEqual([
      expect.stringContaining('GET /soon is reached by anybody'),
    ]);
    const started = await startHostile(
      options([ABOUT, NEWS, { route: 'GET /soon', reason: 'report-only' }], more),
    );
    try {
      expect(await ask(started, 'GET', '/soon')).toEqual({ status: 200, body: 'soon' });
    } finally {
      await started.close();
    }
  });

  test('V8.1.1 V2.2.1 is refused by a list of another shape, and by one that an import left undefined', async () => {
    const faulty = async (list: unknown): Promise<readonly string[]> =>
      faultsOf(options(list as PublicRouteDeclaration[]));
    expect(await faulty(undefined)).toEqual(['publicRoutes: must be a list of { route, reason }']);
    expect(await faulty({ public: [ABOUT] })).toEqual(['publicRoutes: must be a list of { route, reason }']);
    expect(await faulty([{ ...ABOUT, path: '/' }, NEWS])).toEqual([
      'publicRoutes: entry 1 must be { route, reason }, both texts, and nothing else',
    ]);
    expect(await faulty([ABOUT, NEWS, ABOUT])).toEqual([
      'publicRoutes: "GET /about" is listed twice: remove one',
    ]);
  });

  test('without a list compares nothing: @Public() alone opens a handler', async () => {
    const started = await startHostile({
      databaseUrl: database.appUrl,
      adapter,
      controllers: [PagesController],
    });
    try {
      expect((await ask(started, 'GET', '/about')).status).toBe(200);
    } finally {
      await started.close();
    }
  });
});
