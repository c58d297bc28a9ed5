import {
  Body,
  Controller,
  Get,
  Header,
  Post,
  VERSION_NEUTRAL,
  Version,
  VersioningType,
  type INestApplication,
  type Type,
} from '@nestjs/common';
import { IsString, MaxLength } from 'class-validator';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { FreshnessFeed } from '../../src/freshness/freshness.feed.js';
import { BootCheck } from '../../src/access/inventory/boot.check.js';
import { Authenticated, Public, RequirePermission } from '../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import {
  ADAPTERS,
  ask,
  createHostile,
  startHostile,
  type AdapterName,
  type HostileApplication,
} from '../support/hostile.application.js';
import { startFaultProxy } from '../support/fault-proxy.js';
import { newSubject, storeGrant, storeRoles } from './access.fixtures.js';

class NoteDto {
  @IsString()
  @MaxLength(10)
  readonly title!: string;
}

class Base {
  @Get('inherited')
  @RequirePermission('documents:share')
  inherited(): string {
    return 'inherited';
  }
}

let ran = 0;

@Controller('guarded')
class GuardedController extends Base {
  @Get()
  @Header('ETag', '"secret"')
  @RequirePermission('documents:read')
  read(): string {
    ran += 1;
    return 'the content';
  }

  @Get('open')
  @Public()
  open(): string {
    return 'open';
  }

  @Get('mine')
  @Authenticated()
  mine(): string {
    return 'mine';
  }

  @Get('both')
  @RequirePermission('documents:read', 'documents:write')
  both(): string {
    return 'both';
  }

  @Post()
  @RequirePermission('documents:write')
  write(@Body() { title }: NoteDto): string {
    return title;
  }
}

@Controller(['a', 'b'])
class ManyPathsController {
  @Get(['x', 'y'])
  @RequirePermission('documents:read')
  read(): string {
    return 'read';
  }
}

@Controller({ path: 'versions', version: ['1', VERSION_NEUTRAL] })
class VersionedController {
  @Get()
  @RequirePermission('documents:read')
  first(): string {
    return 'first';
  }

  @Get()
  @Version('2')
  @RequirePermission('documents:read')
  second(): string {
    return 'second';
  }
}

@Controller({ path: 'hosted', host: 'admin.example.test' })
class HostedController {
  @Get()
  @RequirePermission('documents:read')
  read(): string {
    return 'hosted';
  }
}

const permissions = { documents: ['read', 'write', 'share'] } as const;
const reader = newSubject();
const writer = newSubject();
const both = newSubject();
const nobody = newSubject();

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await storeRoles(database, {
    reader: { permissions: ['documents:read'] },
    writer: { permissions: ['documents:write'] },
  });
  await storeGrant(database, reader, 'reader');
  await storeGrant(database, writer, 'writer');
  await storeGrant(database, both, 'reader');
  await storeGrant(database, both, 'writer');
});
afterAll(() => database.drop());

const start = (
  adapter: AdapterName,
  configure?: (app: INestApplication) => unknown,
  more?: Type[],
): Promise<HostileApplication> =>
  startHostile({
    databaseUrl: database.appUrl,
    adapter,
    controllers: [GuardedController, ManyPathsController, HostedController, ...(more ?? [])],
    access: { permissions },
    ...(configure && { configure }),
  });

describe.each(ADAPTERS)('over HTTP on %s', (adapter) => {
  let app: HostileApplication;
  beforeAll(async () => {
    app = await start(adapter);
  });
  afterAll(() => app.close());

  const statusOf = async (path: string, as?: string, method = 'GET', headers = {}): Promise<number> =>
    (await ask(app, method, path, { as, headers })).status;

  test('RBAC-01 a handler that nobody declared is refused should one get past the start', async () => {
    @Controller('forgotten')
    class ForgottenController {
      @Get()
      read(): string {
        ran += 1;
        return 'forgotten';
      }
    }
    const created = await createHostile({
      databaseUrl: database.appUrl,
      adapter,
      controllers: [ForgottenController],
      access: { permissions },
    });
    // As if the check of the start had not been.
    Object.assign(created.get(BootCheck, { strict: false }), { onApplicationBootstrap: () => undefined });
    try {
      await created.listen(0, '127.0.0.1').catch(() => undefined);
      const before = ran;
      const url = await created.getUrl().catch(() => undefined);
      if (url !== undefined) {
        expect((await ask({ url }, 'GET', '/forgotten')).status).toBe(401);
        expect(await ask({ url }, 'GET', '/forgotten', { as: both })).toMatchObject({
          status: 403,
          body: { code: 'permission-denied' },
        });
      }
      expect(url).toBeDefined();
      expect(ran).toBe(before);
    } finally {
      await created.close();
    }
  });

  test('RBAC-03 a public method opens itself and nothing beside it', async () => {
    expect(await statusOf('/guarded/open')).toBe(200);
    expect(await statusOf('/guarded')).toBe(401);
    expect(await statusOf('/guarded/mine')).toBe(401);
    expect(await statusOf('/guarded/mine', nobody)).toBe(200);
  });

  test('RBAC-05 an inherited handler keeps its demand', async () => {
    expect(await statusOf('/guarded/inherited')).toBe(401);
    expect(await statusOf('/guarded/inherited', both)).toBe(403);
  });

  test('RBAC-06 every path of a handler is guarded alike', async () => {
    for (const path of ['/a/x', '/a/y', '/b/x', '/b/y']) {
      expect([
        path,
        await statusOf(path),
        await statusOf(path, nobody),
        await statusOf(path, reader),
      ]).toEqual([path, 401, 403, 200]);
    }
  });

  test('RBAC-06 a host-bound handler is guarded alike, and absent on other hosts', async () => {
    expect(await statusOf('/hosted', reader)).toBe(404);
    const hosted = await raw(
      app.port,
      `GET /hosted HTTP/1.1\r\nHost: admin.example.test\r\nConnection: close\r\n\r\n`,
    );
    expect(statusLine(hosted)).toBe(401);
  });

  test('RBAC-14 HEAD of a guarded GET is refused without length or ETag; OPTIONS gives nothing away', async () => {
    const before = ran;
    const head = await fetch(`${app.url}/guarded`, { method: 'HEAD' });
    expect(head.status).toBe(401);
    expect(head.headers.get('etag')).not.toBe('"secret"');
    expect(head.headers.get('content-length')).not.toBe(String('the content'.length));
    expect(
      (await fetch(`${app.url}/guarded`, { method: 'HEAD', headers: { authorization: `Bearer ${nobody}` } }))
        .status,
    ).toBe(403);
    const options = await fetch(`${app.url}/guarded`, { method: 'OPTIONS' });
    expect(options.status).not.toBe(500);
    expect(await options.text()).not.toContain('the content');
    expect(ran).toBe(before);
  });

  test.each([
    '/GUARDED',
    '/guarded/',
    '//guarded',
    '/./guarded',
    '/x/../guarded',
    '/%67uarded',
    '/guarded%2f',
    '/guarded;x',
    '/guarded%00',
    '/guarded%09',
    '\\guarded',
    '/\\guarded',
    'http://127.0.0.1/guarded',
    'http://127.0.0.1/GUARDED/',
    '/guarded?x=/open',
    '/guarded#/open',
    '/guarded/open/..',
    '/guarded/%2e%2e/guarded',
    '/%2567uarded',
    '*',
  ])('RBAC-15 the raw path %s never reaches the handler without the right', async (path) => {
    const before = ran;
    for (const who of ['', `Authorization: Bearer ${nobody}\r\n`]) {
      for (const method of ['GET', 'HEAD', 'OPTIONS']) {
        const answer = await raw(
          app.port,
          `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${who}Connection: close\r\n\r\n`,
        );
        expect(answer).not.toContain('the content');
        const status = statusLine(answer);
        if (method === 'GET') expect(status).toBeGreaterThanOrEqual(400);
        expect(status).toBeLessThan(500);
      }
    }
    expect(ran).toBe(before);
  });

  test('RBAC-18 naming two permissions demands both', async () => {
    expect(await statusOf('/guarded/both', reader)).toBe(403);
    expect(await statusOf('/guarded/both', writer)).toBe(403);
    expect(await statusOf('/guarded/both', both)).toBe(200);
  });

  test('RBAC-28 who is nobody learns 401 first, whatever the body or the path says', async () => {
    const post = (body: unknown, as?: string): Promise<{ status: number; body: unknown }> =>
      ask(app, 'POST', '/guarded', { body, as });
    for (const body of [{}, { title: 1 }, { title: 'x'.repeat(11) }, { admin: true }, []]) {
      expect((await post(body)).status).toBe(401);
      expect((await post(body, reader)).status).toBe(403);
    }
    expect((await post({ title: 'x'.repeat(11) }, writer)).status).toBe(400);
    expect((await post({ title: 'fine' }, writer)).status).toBe(201);
    expect((await ask(app, 'DELETE', '/admin/grants/not-a-uuid')).status).toBe(401);
    expect((await ask(app, 'GET', '/admin/roles/no-such-role')).status).toBe(401);
    expect((await ask(app, 'GET', '/admin/roles/no-such-role', { as: reader })).status).toBe(403);
  });

  test('RBAC-30 headers that claim an identity or a role change nothing', async () => {
    for (const name of [
      'x-user-id',
      'x-user',
      'x-roles',
      'x-internal',
      'x-forwarded-user',
      'x-authenticated',
      'x-service-name',
      'x-middleware-subrequest',
    ]) {
      expect(await statusOf('/guarded', undefined, 'GET', { [name]: both })).toBe(401);
      expect(await statusOf('/guarded', nobody, 'GET', { [name]: both })).toBe(403);
    }
  });

  test('every refusal is published with handler, actor and a fixed reason', async () => {
    app.events.length = 0;
    await statusOf('/guarded');
    await statusOf('/guarded', nobody);
    expect(app.events).toMatchObject([
      {
        action: 'authentication.refused',
        outcome: 'failure',
        delivery: 'detached',
        handler: 'GuardedController.read',
      },
      {
        action: 'access.refused',
        outcome: 'failure',
        delivery: 'detached',
        actor: nobody,
        handler: 'GuardedController.read',
        reason: 'a demanded permission is not held',
      },
    ]);
  });
});

describe.each(ADAPTERS)('prefixed and versioned on %s', (adapter) => {
  test('RBAC-07 a route that is excluded from the prefix is guarded with and without it', async () => {
    const app = await start(adapter, (created) =>
      created.setGlobalPrefix('api', { exclude: ['guarded', 'a/{*rest}'] }),
    );
    try {
      for (const path of ['/guarded', '/api/guarded', '/api/a/x', '/a/x', '/api/b/x', '/b/x']) {
        const [anonymous, unentitled, entitled] = [
          (await ask(app, 'GET', path)).status,
          (await ask(app, 'GET', path, { as: nobody })).status,
          (await ask(app, 'GET', path, { as: reader })).status,
        ];
        // Served and guarded, or not there at all.
        expect([
          [401, 403, 200],
          [404, 404, 404],
        ]).toContainEqual([anonymous, unentitled, entitled]);
      }
      expect((await ask(app, 'GET', '/guarded', { as: reader })).status).toBe(200);
      expect((await ask(app, 'GET', '/api/b/x', { as: reader })).status).toBe(200);
    } finally {
      await app.close();
    }
  });

  test.each([
    [
      'URI',
      { type: VersioningType.URI },
      (version: string) => [`/${version === '' ? '' : `v${version}/`}versions`, {}],
    ],
    [
      'header',
      { type: VersioningType.HEADER, header: 'x-version' },
      (version: string) => ['/versions', version === '' ? {} : { 'x-version': version }],
    ],
    [
      'media type',
      { type: VersioningType.MEDIA_TYPE, key: 'v=' },
      (version: string) => ['/versions', version === '' ? {} : { accept: `application/json;v=${version}` }],
    ],
  ] as const)('RBAC-06 every version by %s is guarded alike', async (_name, versioning, request) => {
    const app = await start(adapter, (created) => created.enableVersioning(versioning), [
      VersionedController,
    ]);
    try {
      const served: string[] = [];
      for (const version of ['', '1', '2', '3']) {
        const [path, headers] = request(version) as [string, Record<string, string>];
        const statuses = [
          (await ask(app, 'GET', path, { headers })).status,
          (await ask(app, 'GET', path, { headers, as: nobody })).status,
          (await ask(app, 'GET', path, { headers, as: reader })).status,
        ];
        expect([
          [401, 403, 200],
          [404, 404, 404],
        ]).toContainEqual(statuses);
        if (statuses[2] === 200) served.push(version);
      }
      expect(served).toEqual(expect.arrayContaining(['1', '2']));
    } finally {
      await app.close();
    }
  });
});

describe('RBAC-27 when the grants cannot be read', () => {
  test.each(ADAPTERS)(
    'on %s a permission is refused with 503, nothing runs, and it recovers',
    async (adapter) => {
      const proxy = await startFaultProxy(database.appUrl);
      const app = await startHostile({
        databaseUrl: proxy.through(database.appUrl),
        database: { statementTimeoutMs: 200, connectTimeoutMs: 300 },
        adapter,
        controllers: [GuardedController],
        access: { permissions },
      });
      try {
        expect((await ask(app, 'GET', '/guarded', { as: reader })).status).toBe(200);
        const before = ran;
        for (const fault of [proxy.cut, proxy.blackHole]) {
          fault();
          // What was confirmed less than a second ago is trusted.
          await vi.waitUntil(() => !app.app.get(FreshnessFeed).isFresh(), { timeout: 5_000, interval: 5 });
          for (let attempt = 0; attempt < 2; attempt += 1) {
            expect(await ask(app, 'GET', '/guarded', { as: reader })).toMatchObject({
              status: 503,
              body: { code: 'temporarily-unavailable' },
            });
          }
          expect(app.events.at(-1)).toMatchObject({
            action: 'access.refused',
            reason: 'the grants could not be read',
          });
          // What asks for no grant is not affected; what nobody proved is still 401.
          expect((await ask(app, 'GET', '/guarded/open')).status).toBe(200);
          expect((await ask(app, 'GET', '/guarded')).status).toBe(401);
        }
        expect(ran).toBe(before);
        proxy.pass();
        await vi.waitUntil(async () => (await ask(app, 'GET', '/guarded', { as: reader })).status === 200, {
          timeout: 5_000,
          interval: 20,
        });
      } finally {
        await app.close();
        await proxy.close();
      }
    },
  );
});

test('RBAC-32 two applications in one process are each guarded by their own grants', async () => {
  const other = await createTestDatabase();
  await storeRoles(other, { reader: { permissions: ['documents:read'] } });
  await storeGrant(other, nobody, 'reader');
  const here = await start('express');
  const there = await startHostile({
    databaseUrl: other.appUrl,
    controllers: [GuardedController],
    access: { permissions, adminPrefix: 'elsewhere' },
  });
  try {
    expect((await ask(here, 'GET', '/guarded', { as: reader })).status).toBe(200);
    expect((await ask(here, 'GET', '/guarded', { as: nobody })).status).toBe(403);
    expect((await ask(there, 'GET', '/guarded', { as: reader })).status).toBe(403);
    expect((await ask(there, 'GET', '/guarded', { as: nobody })).status).toBe(200);
    expect((await ask(here, 'GET', '/admin/roles')).status).toBe(401);
    expect((await ask(there, 'GET', '/admin/roles')).status).toBe(404);
    expect((await ask(there, 'GET', '/elsewhere/roles')).status).toBe(401);
  } finally {
    await here.close();
    await there.close();
    await other.drop();
  }
});

/** Sends bytes as they are, and reads what comes back. */
function raw(port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    let answer = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => (answer += chunk));
    socket.on('end', () => {
      resolve(answer);
    });
    socket.on('error', reject);
  });
}

function statusLine(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
}
