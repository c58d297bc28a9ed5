import {
  All,
  Controller,
  Get,
  Head,
  Injectable,
  Module,
  Post,
  Redirect,
  Sse,
  Version,
  VERSION_NEUTRAL,
  VersioningType,
  type INestApplication,
  type MessageEvent,
  type OnModuleInit,
} from '@nestjs/common';
import { LazyModuleLoader, RouterModule } from '@nestjs/core';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { of, type Observable } from 'rxjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RouteMatrix } from '../../../src/access/inventory/route-matrix.js';
import { namedRoutes } from '../../../src/access/inventory/route-name.js';
import { Public } from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { sendRaw } from '../../http/raw-client.js';
import {
  ADAPTERS,
  refusalOf,
  type AdapterName,
  startHostile,
  type HostileOptions,
} from '../../support/hostile.application.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

@Controller({ path: 'cats', version: ['1', VERSION_NEUTRAL] })
class CatsController {
  @Get()
  @Public()
  list(): string {
    return 'list';
  }

  @Get()
  @Version('2')
  @Public()
  listAgain(): string {
    return 'listAgain';
  }

  @Get(['old', 'older'])
  @Redirect('/cats', 301)
  @Public()
  moved(): string {
    return 'moved';
  }
}

@Controller({ path: 'account', host: ':account.example.test' })
class HostController {
  @Post()
  @Public()
  bound(): string {
    return 'bound';
  }
}

@Controller()
class LooseController {
  @Sse('events')
  @Public()
  events(): Observable<MessageEvent> {
    return of({ data: 'events' });
  }

  @Head('alive')
  @Public()
  alive(): void {
    // Says nothing.
  }

  @Get('health')
  @Public()
  health(): string {
    return 'health';
  }
}

/** Each adapter writes a wildcard in its own way. */
@Controller()
class ExpressFilesController {
  @All('files/*path')
  @Public()
  any(): string {
    return 'any';
  }
}
@Controller()
class FastifyFilesController {
  @All('files/*')
  @Public()
  any(): string {
    return 'any';
  }
}

@Controller('items')
class ItemsController {
  @Get(':id')
  @Public()
  read(): string {
    return 'read';
  }
}
@Module({ controllers: [ItemsController] })
class ItemsModule {}

/** Loaded by a provider while the application is put together: before Nest registers its routes. */
@Controller('early')
class EarlyController {
  @Get()
  @Public()
  read(): string {
    return 'read';
  }
}
@Module({ controllers: [EarlyController] })
class EarlyModule {}

/** Loaded when Nest has registered its routes. */
@Controller('late')
class LateController {
  @Get()
  read(): string {
    return 'late';
  }
}
@Module({ controllers: [LateController] })
class LateModule {}

@Injectable()
class LateLoader implements OnModuleInit {
  constructor(private readonly loader: LazyModuleLoader) {}

  async onModuleInit(): Promise<void> {
    await this.loader.load(() => LateModule);
  }
}

const options = (adapter: AdapterName): HostileOptions => ({
  databaseUrl: database.appUrl,
  adapter,
  controllers: [
    CatsController,
    HostController,
    LooseController,
    adapter === 'express' ? ExpressFilesController : FastifyFilesController,
  ],
  imports: [ItemsModule, RouterModule.register([{ path: 'shop', module: ItemsModule }])],
  providers: [
    {
      provide: 'early',
      inject: [LazyModuleLoader],
      useFactory: (loader: LazyModuleLoader) => loader.load(() => EarlyModule),
    },
  ],
});

const OWN = /\/admin(\/|$)/;
const namesOf = async (app: INestApplication): Promise<string[]> =>
  [...namedRoutes(await app.get(RouteMatrix, { strict: false }).rows())]
    .filter(([, { path }]) => !OWN.test(path))
    .map(([name]) => name);

/** Each way in that an application with every shape of route has. */
const UNVERSIONED = [
  'POST /account on :account.example.test',
  'HEAD /alive',
  'GET /early',
  'GET /events',
  'ALL /files/*',
  'GET /health',
  'GET /shop/items/:id',
];
const prefixed = (prefix: string, names: readonly string[]): string[] =>
  names.map((name) => name.replace(' /', ` ${prefix}/`));

describe.each(ADAPTERS)('the access matrix on %s', (adapter) => {
  /** What stands at a path of the matrix. */
  const answerAt = async (port: number, line: string, fields: readonly string[]): Promise<string> => {
    const host = fields.some((field) => field.startsWith('Host:')) ? [] : ['Host: localhost'];
    const request = [`${line} HTTP/1.1`, ...host, 'Connection: close', ...fields, '', ''].join('\r\n');
    const { answers } = await sendRaw(port, request, { head: line.startsWith('HEAD'), answers: 1 });
    return `${String(answers[0]?.status)} ${answers[0]?.text ?? ''}`;
  };

  test.each<[string, (app: INestApplication) => unknown, readonly string[], (version: string) => string[]]>([
    [
      'URI versions below a prefix with an exclusion',
      (app) => app.setGlobalPrefix('api', { exclude: ['health', 'cats/old'] }).enableVersioning(),
      [
        ...prefixed('/api', UNVERSIONED).filter((name) => !name.endsWith('/health')),
        'GET /health',
        'GET /api/cats version-neutral',
        'GET /api/v1/cats v1',
        'GET /api/v2/cats v2',
        'GET /cats/old version-neutral',
        'GET /v1/cats/old v1',
        'GET /api/cats/older version-neutral',
        'GET /api/v1/cats/older v1',
      ],
      () => [],
    ],
    [
      'versions in a header',
      (app) => app.enableVersioning({ type: VersioningType.HEADER, header: 'x-version' }),
      [
        ...UNVERSIONED,
        ...['', '/old', '/older'].flatMap((path) => [
          `GET /cats${path} v1`,
          `GET /cats${path} version-neutral`,
        ]),
        'GET /cats v2',
      ],
      (version) => (version === 'neutral' ? [] : [`x-version: ${version}`]),
    ],
    [
      'versions in the media type, with a default',
      (app) => app.enableVersioning({ type: VersioningType.MEDIA_TYPE, key: 'v=', defaultVersion: '7' }),
      [
        ...UNVERSIONED.map((name) => {
          const [route, host] = name.split(' on ');
          return `${route ?? ''} v7${host === undefined ? '' : ` on ${host}`}`;
        }),
        ...['', '/old', '/older'].flatMap((path) => [
          `GET /cats${path} v1`,
          `GET /cats${path} version-neutral`,
        ]),
        'GET /cats v2',
      ],
      (version) => (version === 'neutral' ? [] : [`accept: application/json;v=${version}`]),
    ],
  ])(
    'RBAC-06 names every way in once, as it is served: %s',
    async (_name, configure, expected, versionFields) => {
      const started = await startHostile({ ...options(adapter), configure });
      try {
        const written = expected.map((name) =>
          adapter === 'express' ? name.replace('/files/*', '/files/*path') : name,
        );
        const rows = (await started.app.get(RouteMatrix, { strict: false }).rows()).filter(
          ({ path }) => !OWN.test(path),
        );
        expect((await namesOf(started.app)).sort()).toEqual([...written].sort());
        // Nothing but the handler itself answers there.
        for (const { method, path, version, host, handler } of rows) {
          const served = path.replace(/\*(path)?$/, 'a/b').replace(':id', '7');
          const answer = await answerAt(started.port, `${method === 'ALL' ? 'DELETE' : method} ${served}`, [
            ...(version === undefined ? [] : versionFields(version)),
            ...(host === undefined ? [] : [`Host: ${host.replace(':account', 'acme')}`]),
          ]);
          const name = handler.split('.')[1] ?? '';
          const wanted =
            name === 'moved'
              ? /^301 /
              : name === 'alive'
                ? /^200 $/
                : new RegExp(`^20[01] [^]*\\b${name}\\s*$`);
          expect([handler, path, version, answer]).toEqual([
            handler,
            path,
            version,
            expect.stringMatching(wanted),
          ]);
        }
      } finally {
        await started.close();
      }
    },
  );

  test('RBAC-32 a module that is loaded lazily, before or after the routes are registered, is declared or stops the start', async () => {
    const bare = { databaseUrl: database.appUrl, adapter };
    const text = await refusalOf({ ...bare, providers: [LateLoader] });
    expect(text).toContain('LateController.read (http GET /late) has no policy');
    @Controller('undeclared')
    class UndeclaredController {
      @Get()
      read(): string {
        return '';
      }
    }
    @Module({ controllers: [UndeclaredController] })
    class UndeclaredModule {}
    const early = {
      provide: 'early',
      inject: [LazyModuleLoader],
      useFactory: (loader: LazyModuleLoader) => loader.load(() => UndeclaredModule),
    };
    expect(await refusalOf({ ...bare, providers: [early] })).toContain(
      'UndeclaredController.read (http GET /undeclared) has no policy',
    );
  });
});

describe('gateways that listen for the same event', () => {
  test('RBAC-10 in different places are told apart', async () => {
    @WebSocketGateway({ path: '/chat' })
    class ChatGateway {
      @SubscribeMessage('say')
      @Public()
      say(): string {
        return '';
      }
    }
    @WebSocketGateway({ path: '/admin-chat' })
    class AdminChatGateway {
      @SubscribeMessage('say')
      @Public()
      say(): string {
        return '';
      }
    }
    @WebSocketGateway()
    class PlainGateway {
      @SubscribeMessage('say')
      @Public()
      say(): string {
        return '';
      }
    }
    const started = await startHostile({
      databaseUrl: database.appUrl,
      providers: [ChatGateway, AdminChatGateway, PlainGateway],
      configure: (app) => app.useWebSocketAdapter(new WsAdapter(app)),
    });
    try {
      expect(await namesOf(started.app)).toEqual([
        'ws CONNECT /',
        'ws CONNECT /admin-chat',
        'ws MESSAGE /admin-chat say',
        'ws CONNECT /chat',
        'ws MESSAGE /chat say',
        'ws MESSAGE say',
      ]);
    } finally {
      await started.close();
    }
  });
});
