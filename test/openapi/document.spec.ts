import { Validator } from '@seriousme/openapi-schema-validator';
import { Injectable, VersioningType } from '@nestjs/common';
import { RouterModule } from '@nestjs/core';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { GraphQLModule } from '@nestjs/graphql';
import { WsAdapter } from '@nestjs/platform-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Scopes } from '../../src/access/grants/scopes.js';
import { RouteInventory } from '../../src/access/inventory/route-inventory.js';
import { pathTemplate } from '../../src/openapi/path-template.js';
import { ADAPTERS } from '../support/application.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import {
  HostedController,
  InternalController,
  NotesController,
  NotesGateway,
  NotesResolver,
  NumberedController,
  NumberedNote,
  TwiceController,
  VersionedController,
} from './document.controllers.js';
import {
  operationOf,
  operationsOf,
  startDocumented,
  type DocumentedApplication,
} from './documented.application.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const CONTROLLERS = [NotesController, InternalController, TwiceController, HostedController];
const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true });
const GRAPHQL_ROUTE = { method: 'USE', path: '/graphql', reason: 'each resolver has its own policy' };
/** The operations that the kit itself brings, and its own document. */
const isOurs = (operation: string): boolean =>
  / \/(notes|internal|twice|again|hosted|versioned)\b/.test(operation);

describe.each(ADAPTERS)('the document of an application on %s', (adapter) => {
  let started: DocumentedApplication;
  beforeAll(async () => {
    started = await startDocumented(database, {
      adapter,
      controllers: CONTROLLERS,
      // On Fastify Apollo needs a package more.
      imports: adapter === 'express' ? [graphql] : [],
      providers: [NotesGateway, ...(adapter === 'express' ? [NotesResolver] : [])],
      access: { adapterRoutes: adapter === 'express' ? [GRAPHQL_ROUTE] : [] },
      before: (app) => {
        app.useWebSocketAdapter(new WsAdapter(app));
      },
    });
  });
  afterAll(() => started.close());

  test('names what is served over HTTP, also of several paths and of all methods, and nothing hidden', () => {
    const seven = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'];
    expect(operationsOf(started.document).filter(isOurs)).toEqual(
      [
        ...seven.map((method) => `${method} /notes/any`),
        ...['GET /hosted', 'GET /notes/blobs/{path}', 'GET /notes/files/{path}', 'GET /notes/open'],
        ...['GET /notes/page/{number}', 'GET /notes/shown', 'POST /again', 'POST /notes', 'POST /twice'],
      ].sort(),
    );
  });

  test('tells nothing of a hidden handler, a hidden class, an input of theirs, a gateway, a message or a resolver', () => {
    const served: unknown[] = started.app
      .get(RouteInventory)
      .entries()
      .map(({ path }) => path);
    for (const path of ['/notes/hidden', '/internal', 'notes.follow', 'notes.count', '/notes/find']) {
      expect(served).toContain(path);
    }
    const told = JSON.stringify(started.document).match(
      /hidden|\/internal|secretName|notes\.count|follow|graph|\/notes\/find/gi,
    );
    expect(told).toBeNull();
    expect(started.document.webhooks).toBeUndefined();
  });

  test('is valid, with everything in it that a host may say by decorators', async () => {
    expect(await new Validator().validate(structuredClone(started.document) as never)).toEqual({
      valid: true,
    });
    const operation = operationOf(started.document, 'post', '/notes');
    expect(operation.operationId).toBe('writeNote');
    expect(operation.summary).toBe('Write one');
    expect(operation.description).toBe('It is kept.\n\nFor whoever is authenticated.');
    expect(operation.responses['409']).toMatchObject({ description: 'There is one already.' });
    expect(operation.responses['201']).toMatchObject({ description: 'Created' });
  });

  test('takes no word of a decorator for what the policy says', () => {
    const operation = operationOf(started.document, 'get', '/notes/open');
    expect(operation.security).toEqual([]);
    expect(operation.description).toBe('Open to everybody.');
    expect(operation['x-required-permissions']).toBeUndefined();
    expect(operation.responses['200']).toEqual({ description: 'OK', content: { 'text/csv': {} } });
  });

  test('says of the input what validates it, whatever is annotated, and keeps classes of one name apart', () => {
    const { schemas = {} } = started.document.components!;
    const bodyOf = (path: string): string => {
      const text = JSON.stringify(operationOf(started.document, 'post', path).requestBody);
      return /#\/components\/schemas\/(\w+)/.exec(text)![1]!;
    };
    const note = bodyOf('/notes');
    expect(schemas[note]).toEqual({
      type: 'object',
      properties: {
        title: { type: 'string', maxLength: 50, description: 'What it is about.', example: 'Rain' },
        lines: { type: 'array', items: { $ref: '#/components/schemas/LineDto' }, maxItems: 5 },
        answers: { $ref: `#/components/schemas/${note}` },
      },
      required: ['title', 'lines'],
      additionalProperties: false,
    });
    const other = bodyOf('/twice');
    expect([note, other].sort()).toEqual(['NoteDto', 'NoteDto2']);
    expect(schemas['LineDto']).toMatchObject({ properties: { word: { type: 'string', maxLength: 20 } } });
    expect(schemas[other]).toMatchObject({ properties: { number: { type: 'integer' } } });
    for (const path of ['/twice', '/again']) {
      const operation = operationOf(started.document, 'post', path);
      expect(bodyOf(path)).toBe(other);
      expect(operation['x-required-permissions']).toEqual(['documents:write']);
      expect(Object.keys(operation.responses)).toContain('202');
    }
    expect(operationOf(started.document, 'get', '/notes/page/{number}').parameters).toEqual([
      { name: 'number', in: 'path', required: true, schema: { type: 'integer' } },
    ]);
    expect(operationOf(started.document, 'get', '/notes/files/{path}').parameters).toEqual([
      { name: 'path', in: 'path', required: true, schema: { type: 'string' } },
    ]);
  });

  test('says two permissions and an assurance without an age', () => {
    const operation = operationOf(started.document, 'get', '/notes/page/{number}');
    expect(operation['x-required-permissions']).toEqual(['documents:read', 'invoices:read']);
    expect(operation['x-required-assurance']).toEqual({ acr: 'aal3' });
    expect(operation.description).toBe(
      'Demands `documents:read` and `invoices:read`. ' +
        'The caller must have been authenticated at `aal3`; otherwise 401 says how (RFC 9470).',
    );
  });

  test('has one name for each operation, though a handler has several', () => {
    const ids = Object.values(started.document.paths).flatMap((methods) =>
      Object.values(methods as Record<string, { operationId: string }>).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe.each(ADAPTERS)('the paths of the document on %s', (adapter) => {
  test('have the prefix and the version under which they are served, and each version its own policy', async () => {
    const started = await startDocumented(database, {
      adapter,
      controllers: [VersionedController],
      before: (app) => {
        app.setGlobalPrefix('api');
        app.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
      },
    });
    try {
      expect(operationsOf(started.document).filter((each) => /versioned|openapi/.test(each))).toEqual([
        'GET /api/openapi.json',
        'GET /api/v1/versioned',
        'GET /api/v2/versioned',
      ]);
      expect(operationOf(started.document, 'get', '/api/v1/versioned').security).toEqual([]);
      expect(operationOf(started.document, 'get', '/api/v2/versioned')['x-required-permissions']).toEqual([
        'documents:read',
      ]);
      for (const path of ['/api/openapi.json', '/api/v1/versioned']) {
        expect([path, (await fetch(started.url + path)).status]).toEqual([path, 200]);
      }
    } finally {
      await started.close();
    }
  });

  test('where a header tells versions apart one operation says what each demands, and is not open for one of them alone', async () => {
    const started = await startDocumented(database, {
      adapter,
      controllers: [VersionedController],
      before: (app) => {
        app.enableVersioning({ type: VersioningType.HEADER, header: 'X-Version' });
      },
    });
    try {
      const operation = operationOf(started.document, 'get', '/versioned');
      expect(operation.security).toEqual([{}, { bearer: [] }, { cookie: [] }]);
      expect(operation['x-required-permissions']).toBeUndefined();
      expect(operation['x-variants']).toEqual([
        { version: '1', access: 'public' },
        { version: '2', access: 'permission', 'x-required-permissions': ['documents:read'] },
      ]);
      expect(operation.description).toBe(
        '- version 1: Open to everybody.\n- version 2: Demands `documents:read`.',
      );
      expect(Object.keys(operation.responses)).toContain('403');
    } finally {
      await started.close();
    }
  });

  test('have the path of their module', async () => {
    class Area {}
    const started = await startDocumented(database, {
      adapter,
      imports: [
        { module: Area, controllers: [TwiceController] },
        RouterModule.register([{ path: 'area', module: Area }]),
      ],
    });
    try {
      const ours = operationsOf(started.document).filter((each) => each.includes('/area'));
      expect(ours).toEqual(['POST /area/again', 'POST /area/twice']);
      for (const each of ours) {
        const path = each.replace('POST ', '');
        expect([path, (await fetch(started.url + path, { method: 'POST' })).status]).toEqual([path, 401]);
      }
    } finally {
      await started.close();
    }
  });
});

test('a resolver says what an id looks like, and the policy that a grant in the tenant is enough', async () => {
  @Injectable()
  class Tenants {
    constructor(scopes: Scopes) {
      scopes.knownBy('tenant', { exists: () => Promise.resolve(true) });
    }
  }
  const started = await startDocumented(database, {
    controllers: [NumberedController],
    providers: [NumberedNote, Tenants],
    access: { scopes: ['tenant'], tenants: {} },
  });
  try {
    const operation = operationOf(started.document, 'get', '/numbered/{number}');
    expect(operation.parameters).toEqual([
      {
        name: 'number',
        in: 'path',
        required: true,
        schema: { type: 'string', maxLength: 256, pattern: '^[1-9]\\d{0,8}$' },
      },
    ]);
    expect(operation['x-required-object']).toEqual({ type: 'note', rule: 'every', of: 'one' });
    expect(operation['x-required-tenant']).toBe(true);
    expect(operation.description).toBe(
      'Demands `documents:read`. Decided on the note itself, by the rule "every". ' +
        'A grant in the tenant of the request is enough.',
    );
  } finally {
    await started.close();
  }
});

test.each([
  ['/', '/'],
  ['/notes/:id', '/notes/{id}'],
  ['/notes/:id/lines/:line', '/notes/{id}/lines/{line}'],
  ['/files/*path', '/files/{path}'],
  ['/files{/*path}', '/files/{path}'],
  ['/files/*', '/files/{path}'],
  ['/notes{/:id}', '/notes/{id}'],
  ['/notes/:"odd name"', '/notes/{odd name}'],
  ['/time\\:now', '/time:now'],
  ['/time/::now', '/time/:now'],
  ['/:id(^\\d+$)/x', '/{id}/x'],
])('the path %s is %s in OpenAPI', (path, template) => {
  expect(pathTemplate(path)).toBe(template);
});
