import {
  Injectable,
  type ExecutionContext,
  type INestApplication,
  type WebSocketAdapter,
} from '@nestjs/common';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WsAdapter } from '@nestjs/platform-ws';
import { InjectRepository } from '@nestjs/typeorm';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { once } from 'node:events';
import type { Repository } from 'typeorm';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { CurrentResource } from '../../../src/access/objects/call.findings.js';
import { headerOf } from '../../../src/access/objects/handler-arguments.js';
import { objectRule } from '../../../src/access/objects/object-rule.js';
import { ResourceResolver } from '../../../src/access/objects/resource.resolver.js';
import { Public, RequirePermission } from '../../../src/core/route-policy.js';
import type { TestDatabase } from '../../support/database.js';
import { ioPeerOf, TRANSPORTS, type IoTransport } from '../io-peers.js';
import {
  asSuperuser,
  createTenantDatabase,
  Project,
  startTenants,
  type TenantsApplication,
} from './tenants.application.js';

/** Asks for an id alone; its rule knows the tenant, and so does PostgreSQL. */
@Injectable()
class AnyProject extends ResourceResolver<Project> {
  readonly rule = objectRule<Project>({
    type: 'project',
    name: 'every',
    holds: () => true,
    scopes: { tenant: 'tenantId' },
  });

  constructor(@InjectRepository(Project) private readonly projects: Repository<Project>) {
    super();
  }

  load(id: string): Promise<Project | null> {
    return this.projects.findOne({ where: { id } });
  }
}

@WebSocketGateway()
class ProjectsGateway {
  @Public()
  handleConnection(): void {
    return;
  }

  @SubscribeMessage('read')
  @RequirePermission('projects:read' as never, { resource: AnyProject })
  read(@CurrentResource() project: Project): object {
    return { event: 'read', data: project.name };
  }
}

let database: TestDatabase;
let app: TenantsApplication;
let byIo: TenantsApplication;
beforeAll(async () => {
  database = await createTenantDatabase();
  const startWith = (adapterOf: (each: INestApplication) => WebSocketAdapter): Promise<TenantsApplication> =>
    startTenants(database, {
      providers: [ProjectsGateway, AnyProject],
      configure: (each: INestApplication) => each.useWebSocketAdapter(adapterOf(each)),
    });
  app = await startWith((each) => new WsAdapter(each));
  byIo = await startWith((each) => new IoAdapter(each));
});

async function idOf(name: string): Promise<string> {
  const sql = 'SELECT id FROM projects.project WHERE name = $1';
  return (await asSuperuser<{ id: string }>(database, sql, [name]))[0]!.id;
}
afterAll(async () => {
  await app.close();
  await byIo.close();
  await database.drop();
});

test('V8.4.1 RBAC-10 the object of a message is loaded in the tenant of its caller, and in no other', async () => {
  const [ofAcme, ofGlobex] = [await idOf('acme one'), await idOf('globex one')];
  const both = await app.member('tenant:acme', 'tenant:globex');
  const refused = { event: 'exception', data: { status: 404, code: 'not-found' } };
  for (const [who, tenant, mine, foreign, name] of [
    [await app.member('tenant:acme'), undefined, ofAcme, ofGlobex, 'acme one'],
    [both, 'globex', ofGlobex, ofAcme, 'globex one'],
  ] as const) {
    const headers = { authorization: `Bearer ${who}`, ...(tenant && { 'x-tenant': tenant }) };
    const socket = new WebSocket(app.url.replace('http', 'ws'), { headers });
    await once(socket, 'open');
    const read = async (id: string): Promise<unknown> => {
      const answer = once(socket, 'message') as Promise<[Buffer]>;
      socket.send(JSON.stringify({ event: 'read', data: { id } }));
      return JSON.parse((await answer)[0].toString()) as unknown;
    };
    expect(await read(mine)).toEqual({ event: 'read', data: name });
    expect(await read(foreign)).toEqual(refused);
    socket.terminate();
  }
});

describe.each(Object.keys(TRANSPORTS) as IoTransport[])('Socket.IO %s', (over) => {
  test('V8.4.1 RBAC-10 the object of a message is loaded in the tenant that the header of its connection names', async () => {
    const both = await byIo.member('tenant:acme', 'tenant:globex');
    for (const [tenant, mine, foreign] of [
      ['acme', 'acme one', 'globex one'],
      ['globex', 'globex one', 'acme one'],
    ] as const) {
      const extraHeaders = { authorization: `Bearer ${both}`, 'x-tenant': tenant };
      const peer = await ioPeerOf(byIo, over, { extraHeaders });
      peer.socket.emit('read', { id: await idOf(foreign) });
      await vi.waitUntil(() => peer.heard.length > 0);
      peer.socket.emit('read', { id: await idOf(mine) });
      await vi.waitUntil(() => peer.heard.length > 1);
      expect(peer.heard).toEqual([
        ['exception', { status: 404, code: 'not-found' }],
        ['read', mine],
      ]);
      peer.end();
    }
  });

  test('V8.4.1 a message without an object to keep it by is refused, and of several objects none is taken', async () => {
    const headers = { authorization: `Bearer ${await byIo.member('tenant:acme')}` };
    const peer = await ioPeerOf(byIo, over, { extraHeaders: headers });
    const id = await idOf('acme one');
    const given: readonly (readonly unknown[])[] = [
      [id],
      [],
      [[{ id }]],
      [{ id }, { id }],
      [Buffer.from(id)],
    ];
    for (const [at, data] of given.entries()) {
      peer.socket.emit('read', ...data);
      await vi.waitUntil(() => peer.heard.length > at);
    }
    expect(peer.heard).toMatchObject(
      given.map(() => ['exception', { status: 400, code: 'validation-failed', errors: [{ field: 'id' }] }]),
    );
    peer.end();
  });
});

test('V8.4.1 the header of a socket is found where its class reads the request by a getter, as Socket.IO does', () => {
  class Client {
    get request(): object {
      return { headers: { 'x-tenant': 'acme' } };
    }
  }
  const of = (client: unknown): string | undefined =>
    headerOf(
      { getType: () => 'ws', getArgByIndex: () => client } as Pick<
        ExecutionContext,
        'getType' | 'getArgByIndex'
      > as ExecutionContext,
      'x-tenant',
    );
  expect(of(new Client())).toBe('acme');
  expect([of({}), of(undefined), of(null)]).toEqual([undefined, undefined, undefined]);
});
