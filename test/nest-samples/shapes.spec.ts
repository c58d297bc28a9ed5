import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { newSubject, storeGrant, storeRoles } from '../access/access.fixtures.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { refusalOf } from '../support/hostile.application.js';
import { call, callHttp, fieldsOf, lineOf } from './caller.js';
import { catsShape } from './cats.shape.js';
import { gatewaysShape } from './gateways.shape.js';
import { graphqlShape } from './graphql.shape.js';
import { httpShapes } from './http.shape.js';
import { microservicesShape } from './microservices.shape.js';
import {
  PERMISSION,
  startBare,
  startDeclared,
  titleOf,
  withKit,
  type RunningShape,
  type Shape,
} from './shape.js';
import { versionedShapes } from './versioned.shape.js';

const SHAPES: readonly Shape[] = [
  catsShape,
  gatewaysShape,
  microservicesShape,
  graphqlShape,
  ...versionedShapes,
  ...httpShapes,
];
const MEND = 'has no policy: write @RequirePermission(…), @Authenticated() or @Public() on the method';

const holder = newSubject();
const nobody = newSubject();
let database: TestDatabase;
let running: RunningShape | undefined;
beforeAll(async () => {
  database = await createTestDatabase();
  await storeRoles(database, { user: { permissions: [PERMISSION] }, other: { permissions: ['roles:read'] } });
  await storeGrant(database, holder, 'user');
  await storeGrant(database, nobody, 'other');
});
afterAll(() => database.drop());
afterEach(async () => {
  await running?.close();
  running = undefined;
});

const CASES = SHAPES.flatMap((shape) =>
  shape.adapters.map((adapter) => [titleOfShape(shape), adapter, shape] as const),
);

/** Spellings under which a router may find the same handler. */
const SPELLINGS: readonly ((path: string) => string)[] = [
  (path) => path,
  (path) => path.toUpperCase(),
  (path) => `${path}/`,
  (path) => `/${path}`,
  (path) => path.replace(/(?!^)\//g, '%2f'),
  (path) => `${path}%2f`,
  (path) => `/.${path}`,
  (path) => `${path};x=1`,
  (path) => `${path}?x=/health`,
  (path) => path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  (path) => `http://localhost${path}`,
];

describe.each(CASES)('%s on %s', (_name, adapter, shape) => {
  test('RBAC-01 without the kit answers everybody: the fixture is a real application', async () => {
    running = await startBare(shape, adapter);
    for (const entry of running.entries) {
      const handler = `${entry.className}.${entry.handlerName}`;
      running.ran.length = 0;
      const outcome = await call(running, entry, shape.requests?.[handler]);
      expect([titleOf(entry), outcome]).toEqual([titleOf(entry), expect.toSatisfy(isGranted)]);
      // A gateway without handleConnection has nothing that would run.
      if (entry.method !== 'CONNECT') expect(running.ran).toContain(handler);
    }
    expect(running.entries.length).toBeGreaterThanOrEqual(shape.ways.length);
  });

  test('RBAC-01 RBAC-06 with the kit added and nothing declared does not start, and each way in is named', async () => {
    const text = await refusalOf(withKit(shape, shape.build(adapter), adapter, database.appUrl));
    const faults = text.split('\n  - ').slice(1);
    expect([...faults].sort()).toEqual(shape.ways.map((way) => `${way} ${MEND}`).sort());
  });

  test('RBAC-01 RBAC-06 RBAC-14 RBAC-15 declared, each way in refuses who is nobody and who may not, in any spelling', async () => {
    const app = (running = await startDeclared(shape, adapter, database.appUrl));
    for (const entry of app.entries) {
      const request = shape.requests?.[`${entry.className}.${entry.handlerName}`];
      expect([titleOf(entry), await call(app, entry, request)]).toEqual([titleOf(entry), 401]);
      expect([titleOf(entry), await call(app, entry, request, nobody)]).toEqual([titleOf(entry), 403]);
      if (entry.transport !== 'http') continue;
      for (const spelling of SPELLINGS) {
        for (const who of [undefined, nobody]) {
          const fields = fieldsOf(entry, request ?? {}, who);
          const line = lineOf(entry, spelling);
          const verb = line.slice(0, line.indexOf(' '));
          for (const method of new Set([verb, 'HEAD', 'OPTIONS'])) {
            const sent = line.replace(verb, method);
            const body = method === 'HEAD' ? '' : request?.body;
            const { status } = await callHttp(app, sent, fields, body);
            // Express answers OPTIONS by itself, with the methods that are there.
            const refused = method === 'OPTIONS' ? status < 500 : status >= 400 && status < 500;
            expect([sent, status, refused]).toEqual([sent, status, true]);
          }
        }
      }
    }
    expect(app.ran).toEqual([]);
  });

  test('RBAC-01 RBAC-06 declared, each way in lets in who holds the permission, and is on the inventory', async () => {
    const app = (running = await startDeclared(shape, adapter, database.appUrl));
    // What the kit itself puts before a gateway without handleConnection nobody had to declare.
    expect(
      app.entries
        .filter(({ policy }) => policy.kind !== 'authenticated')
        .map(titleOf)
        .sort(),
    ).toEqual([...shape.ways].sort());
    for (const entry of app.entries) {
      const handler = `${entry.className}.${entry.handlerName}`;
      app.ran.length = 0;
      const outcome = await call(app, entry, shape.requests?.[handler], holder);
      expect([titleOf(entry), outcome]).toEqual([titleOf(entry), expect.toSatisfy(isGranted)]);
      if (entry.method !== 'CONNECT') expect(app.ran).toContain(handler);
    }
  });
});

test('RBAC-12 RBAC-15 the endpoint of GraphQL runs no resolver for who may not, in any spelling, method or batch', async () => {
  const app = (running = await startDeclared(graphqlShape, 'express', database.appUrl));
  const operations = Object.values(graphqlShape.requests ?? {}).map(({ operation = '' }) => operation);
  for (const spelling of SPELLINGS) {
    for (const who of [undefined, nobody]) {
      const fields = [
        'Host: localhost',
        'Content-Type: application/json',
        'Apollo-Require-Preflight: yes',
        ...(who === undefined ? [] : [`Authorization: Bearer ${who}`]),
      ];
      const path = spelling('/graphql');
      const bodies = [...operations.map((query) => ({ query })), operations.map((query) => ({ query }))];
      for (const body of bodies) await callHttp(app, `POST ${path}`, fields, JSON.stringify(body));
      const queries = operations.map((query) => `query=${encodeURIComponent(query)}`);
      for (const query of queries) {
        await callHttp(app, `GET ${path}${path.includes('?') ? '&' : '?'}${query}`, fields);
      }
    }
  }
  expect(app.ran).toEqual([]);
  const [operation = ''] = operations;
  const fields = ['Host: localhost', 'Apollo-Require-Preflight: yes', `Authorization: Bearer ${holder}`];
  await callHttp(app, `GET /graphql?query=${encodeURIComponent(operation)}`, fields);
  expect(app.ran).toEqual(['RecipesResolver.recipe']);
});

const isGranted = (status: number): boolean => status >= 200 && status < 400;

function titleOfShape({ name, proves }: Shape): string {
  return [...(proves === undefined ? [] : [proves]), 'the sample', name].join(' ');
}
