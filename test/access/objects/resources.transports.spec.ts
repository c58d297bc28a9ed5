import { Controller, type INestApplication, type INestMicroservice } from '@nestjs/common';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Args, GraphQLModule, Query, Resolver } from '@nestjs/graphql';
import {
  ClientProxyFactory,
  MessagePattern,
  Payload,
  Transport,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { lastValueFrom } from 'rxjs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { CurrentFilter, CurrentResource } from '../../../src/access/objects/call.findings.js';
import { is, SUBJECT } from '../../../src/access/objects/condition.js';
import { ListFilter } from '../../../src/access/objects/list-filter.js';
import { objectRule } from '../../../src/access/objects/object-rule.js';
import { Public, RequirePermission } from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ask, startHostile } from '../../support/hostile.application.js';
import { permissions } from '../access.application.js';
import { newSubject, storeGrant, storeRoles } from '../access.fixtures.js';
import {
  every,
  loads,
  noteOf,
  ReadableNote,
  TROUBLE,
  WritableNote,
  type Note,
} from './resources.fixtures.js';

const [alice, bob, stranger] = [newSubject(), newSubject(), newSubject()];
const [ofAlice, ofBob, missing] = [noteOf(alice), noteOf(bob), newSubject()];

/** Another object under the same id. */
class Cover extends ReadableNote {
  override readonly rule = every;
  override load(id: string): Promise<Note> {
    return Promise.resolve({ id: `cover of ${id}`, owner: 'nobody' });
  }
}
const listed = objectRule<Note>({ type: 'note', name: 'mine', when: is('owner', SUBJECT) });

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await storeRoles(database, {
    reader: { permissions: ['documents:read'] },
    other: { permissions: ['invoices:read'] },
  });
  for (const subject of [alice, bob]) await storeGrant(database, subject, 'reader');
  await storeGrant(database, stranger, 'other');
});
afterAll(() => database.drop());
beforeEach(() => {
  loads.length = 0;
});
const base = (): { databaseUrl: string; access: { permissions: typeof permissions } } => ({
  databaseUrl: database.appUrl,
  access: { permissions },
});
const codeOf = (status: number): unknown => ({
  status,
  code: {
    400: 'validation-failed',
    401: 'authentication-required',
    403: 'permission-denied',
    404: 'not-found',
    503: 'temporarily-unavailable',
  }[status],
});

/** What each message is answered, as whom; the same on every transport that carries an object. */
const MESSAGES: readonly [
  name: string,
  who: string | undefined,
  data: Record<string, unknown>,
  status: number,
][] = [
  ['nobody', undefined, { id: ofAlice }, 401],
  ['nobody, malformed', undefined, { id: 7 }, 401],
  ['a stranger', stranger, { id: ofAlice }, 403],
  ['a stranger, malformed', stranger, {}, 403],
  ['no id', alice, {}, 400],
  ['an id that is a number', alice, { id: 7 }, 400],
  ['an id that is a list', alice, { id: [ofAlice] }, 400],
  ['an id that is an object', alice, { id: { toString: ofAlice } }, 400],
  ['somebody else', bob, { id: ofAlice }, 404],
  ['nothing there', bob, { id: missing }, 404],
  ['a store that is gone', alice, { id: TROUBLE.rejects }, 503],
];

@WebSocketGateway()
class NotesGateway {
  @Public()
  handleConnection(): void {
    return;
  }

  @SubscribeMessage('read')
  @RequirePermission('documents:read', { resource: ReadableNote })
  read(@CurrentResource() note: Note, @MessageBody() data: unknown): object {
    return { event: 'read', data: { note, data } };
  }

  @SubscribeMessage('list')
  @RequirePermission('documents:read', { list: listed })
  list(@CurrentFilter() filter: unknown): object {
    return { event: 'list', data: filter instanceof ListFilter };
  }
}

@WebSocketGateway()
class CoversGateway {
  @Public()
  handleConnection(): void {
    return;
  }

  @SubscribeMessage('cover')
  @RequirePermission('documents:read', { resource: Cover })
  cover(@CurrentResource() note: Note): object {
    return { event: 'cover', data: note };
  }
}

test('RBAC-10 RBAC-21 a websocket message asks for the object that a member of its data names', async () => {
  const app = await startHostile({
    ...base(),
    providers: [NotesGateway, CoversGateway, ReadableNote, WritableNote, Cover],
    configure: (each: INestApplication) => each.useWebSocketAdapter(new WsAdapter(each)),
  });
  const sockets = new Map<string | undefined, WebSocket>();
  /** A text is sent as it is: JSON. */
  const say = async (who: string | undefined, event: string, data: unknown): Promise<unknown> => {
    let socket = sockets.get(who);
    if (!socket) {
      const headers = who === undefined ? {} : { authorization: `Bearer ${who}` };
      socket = new WebSocket(app.url.replace('http', 'ws'), { headers });
      sockets.set(who, socket);
      await once(socket, 'open');
    }
    const answer = once(socket, 'message') as Promise<[Buffer]>;
    socket.send(
      typeof data === 'string' ? `{"event":"${event}","data":${data}}` : JSON.stringify({ event, data }),
    );
    return JSON.parse((await answer)[0].toString()) as unknown;
  };
  try {
    for (const [name, who, data, status] of MESSAGES) {
      expect([name, await say(who, 'read', data)]).toMatchObject([
        name,
        { event: 'exception', data: codeOf(status) },
      ]);
    }
    expect(loads).toEqual([ofAlice, missing, TROUBLE.rejects]);
    for (const data of [`"${ofAlice}"`, 7, [ofAlice]]) {
      expect(await say(alice, 'read', data)).toMatchObject({ event: 'exception', data: codeOf(400) });
    }
    const polluted = `{"__proto__":{"id":"${ofAlice}"}}`;
    expect(await say(alice, 'read', polluted)).toMatchObject({ event: 'exception', data: codeOf(400) });
    expect(await say(alice, 'read', { id: ofAlice })).toEqual({
      event: 'read',
      data: { note: { id: ofAlice, owner: alice }, data: { id: ofAlice } },
    });
    expect(await say(bob, 'cover', { id: ofAlice })).toMatchObject({ data: { id: `cover of ${ofAlice}` } });
    // There is nothing to keep a filter by but an object.
    expect(await say(alice, 'list', {})).toEqual({ event: 'list', data: true });
    for (const data of ['"x"', '7']) {
      expect(await say(alice, 'list', data)).toMatchObject({
        event: 'exception',
        data: codeOf(400),
      });
    }
    expect(app.events.find(({ target }) => target?.id === ofAlice)).toMatchObject({
      transport: 'ws',
      actor: bob,
      target: { type: 'note', id: ofAlice },
      detail: { permission: 'documents:read', code: 'not-found' },
    });
  } finally {
    for (const socket of sockets.values()) socket.terminate();
    await app.close();
  }
});

@Controller()
class NotesController {
  @MessagePattern('read')
  @RequirePermission('documents:read', { resource: ReadableNote })
  read(@Payload() data: { id: string }, @CurrentResource() note: Note): unknown {
    return { note, asked: data.id };
  }

  @MessagePattern('list')
  @RequirePermission('documents:read', { list: listed })
  list(@CurrentFilter() filter: unknown): boolean {
    return filter instanceof ListFilter;
  }
}

test('RBAC-21 a microservice message asks for the object that a member of its data names', async () => {
  let service: INestMicroservice | undefined;
  const app = await startHostile({
    ...base(),
    controllers: [NotesController],
    providers: [ReadableNote],
    configure: async (each) => {
      service = each.connectMicroservice<MicroserviceOptions>({
        transport: Transport.TCP,
        options: { host: '127.0.0.1', port: 0 },
      });
      await each.startAllMicroservices();
    },
  });
  const { port } = service!.unwrap<Server>().address() as AddressInfo;
  const client = ClientProxyFactory.create({
    transport: Transport.TCP,
    options: { host: '127.0.0.1', port },
  });
  const send = (pattern: string, data: unknown, who?: string): Promise<unknown> => {
    const carried = typeof data === 'object' && data !== null && !Array.isArray(data);
    const proof = carried && who !== undefined ? { ...data, proof: `Bearer ${who}` } : data;
    return lastValueFrom(client.send(pattern, proof as object)).catch((error: unknown) => error);
  };
  try {
    await client.connect();
    for (const [name, who, data, status] of MESSAGES) {
      expect([name, await send('read', data, who)]).toMatchObject([name, codeOf(status)]);
    }
    // What is no object carries no proof here either: refused all the same.
    for (const data of [ofAlice, 7, [ofAlice]])
      expect(await send('read', data)).toMatchObject(codeOf(401) as object);
    expect(await send('read', { id: ofAlice }, alice)).toEqual({
      note: { id: ofAlice, owner: alice },
      asked: ofAlice,
    });
    expect(await send('list', {}, alice)).toBe(true);
    expect(await send('list', {}, stranger)).toMatchObject(codeOf(403) as object);
  } finally {
    client.close();
    await app.close();
  }
});

@Resolver()
class NotesResolver {
  @Query(() => String)
  @RequirePermission('documents:read', { resource: ReadableNote })
  async note(@Args('id') id: string, @CurrentResource() note: Note): Promise<string> {
    // The others have been decided on meanwhile.
    await new Promise(setImmediate);
    return `${id} is ${note.id}`;
  }

  @Query(() => String)
  @RequirePermission('documents:read', { resource: Cover })
  cover(@Args('id') _id: string, @CurrentResource() note: Note): string {
    return note.id;
  }

  @Query(() => String)
  @RequirePermission('documents:read')
  loose(@CurrentResource() note: Note): string {
    return note.id;
  }
}

test('RBAC-12 RBAC-21 each field of a GraphQL query has its own object, under whatever alias', async () => {
  const app = await startHostile({
    ...base(),
    access: {
      permissions,
      adapterRoutes: [{ method: 'USE', path: '/graphql', reason: 'each resolver has its policy' }],
    },
    providers: [NotesResolver, ReadableNote, Cover],
    imports: [
      GraphQLModule.forRoot<ApolloDriverConfig>({
        driver: ApolloDriver,
        autoSchemaFile: true,
        includeStacktraceInErrorResponses: false,
      }),
    ],
  });
  const query = async (text: string, as?: string, variables?: object): Promise<Record<string, unknown>> =>
    (await ask(app, 'POST', '/graphql', { as, body: { query: text, variables } })).body as Record<
      string,
      unknown
    >;
  try {
    const second = noteOf(alice);
    expect(
      await query(
        `{ a: note(id: "${ofAlice}") b: note(id: "${second}") c: cover(id: "${second}") d: cover(id: "${ofBob}") a2: note(id: "${ofAlice}") }`,
        alice,
      ),
    ).toEqual({
      data: {
        a: `${ofAlice} is ${ofAlice}`,
        b: `${second} is ${second}`,
        c: `cover of ${second}`,
        d: `cover of ${ofBob}`,
        a2: `${ofAlice} is ${ofAlice}`,
      },
    });
    const byVariable = 'query ($id: String!) { note(id: $id) }';
    expect(await query(byVariable, alice, { id: ofAlice })).toEqual({
      data: { note: `${ofAlice} is ${ofAlice}` },
    });
    // One that is not theirs spoils the query, whatever stands beside it.
    for (const [who, text] of [
      [alice, `{ a: note(id: "${ofAlice}") b: note(id: "${ofBob}") }`],
      [alice, `{ c: cover(id: "${ofAlice}") b: note(id: "${missing}") }`],
      [alice, '{ note(id: "x") }'],
      [alice, '{ loose }'],
      [stranger, `{ note(id: "${ofAlice}") }`],
      [undefined, `{ note(id: "${ofAlice}") }`],
    ] as const) {
      const { data, errors } = await query(text, who);
      expect([text, data, errors]).toEqual([text, null, [expect.anything()]]);
      expect(JSON.stringify(errors)).not.toContain('owner');
    }
    const [foreign, nothing] = [
      await query(byVariable, bob, { id: ofAlice }),
      await query(byVariable, bob, { id: missing }),
    ];
    expect(foreign).toEqual(nothing);
    expect(app.events.filter(({ target }) => target).map(({ target }) => target?.id)).toEqual([
      ...[ofBob, missing, ofAlice, missing],
    ]);
  } finally {
    await app.close();
  }
});
