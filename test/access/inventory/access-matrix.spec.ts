import { describe, expect, test } from 'vitest';
import { accessMatrix } from '../../../src/access/inventory/access-matrix.js';
import { matrixDifference } from '../../../src/access/inventory/matrix-difference.js';
import type { RoleDefinition } from '../../../src/access/grants/role-graph.js';
import type { RouteEntry } from '../../../src/access/inventory/route-entry.js';

const roles = new Map<string, RoleDefinition>([
  ['reader', { permissions: ['documents:read'], inherits: [], mayGrant: [] }],
  ['editor', { permissions: ['documents:write'], inherits: ['reader'], mayGrant: [] }],
  ['granter', { permissions: [], inherits: [], mayGrant: ['editor'] }],
]);

const entry = (policy: RouteEntry['policy'], more: Partial<RouteEntry> = {}): RouteEntry => ({
  transport: 'http',
  method: 'GET',
  path: '/x',
  className: 'C',
  handlerName: 'm',
  policy,
  ...more,
});

const rolesOf = (policy: RouteEntry['policy']): unknown => accessMatrix([entry(policy)], [], roles)[0]?.roles;

describe('the access matrix', () => {
  test('RBAC-18 names the roles that hold everything demanded, by inheritance too, and not who may only grant them', () => {
    expect(rolesOf({ kind: 'permission', permissions: ['documents:read'] })).toEqual(['reader', 'editor']);
    expect(rolesOf({ kind: 'permission', permissions: ['documents:read', 'documents:write'] })).toEqual([
      'editor',
    ]);
    expect(rolesOf({ kind: 'permission', permissions: ['documents:share'] })).toEqual([]);
  });

  test('V8.1.1 says what is decided on beside the permission: the object, the list, the tenant', () => {
    class ReadableDocument {
      load(): undefined {
        return undefined;
      }
    }
    const objectOf = (narrowing: object): unknown =>
      accessMatrix(
        [entry({ kind: 'permission', permissions: ['documents:read'], ...narrowing })],
        [],
        roles,
      )[0]?.object;
    const list = { type: 'document', name: 'owned or shared' };
    expect(objectOf({})).toBeUndefined();
    expect(objectOf({ resource: ReadableDocument })).toBe('one by ReadableDocument');
    expect(objectOf({ list })).toBe('list of document: owned or shared');
    expect(objectOf({ within: 'tenant' })).toBe('within the tenant');
    expect(objectOf({ resource: ReadableDocument, within: 'tenant' })).toBe(
      'one by ReadableDocument, within the tenant',
    );
    // A demand that is taken away from a route counts as opened.
    const rowsOf = (narrowing: object): ReturnType<typeof accessMatrix> =>
      accessMatrix([entry({ kind: 'permission', permissions: ['documents:read'], ...narrowing })], [], roles);
    for (const narrowing of [{ resource: ReadableDocument }, { list }, { within: 'tenant' }]) {
      expect(matrixDifference(rowsOf(narrowing), rowsOf({})).map(({ kind }) => kind)).toEqual(['opened']);
    }
  });

  test('says * for what everybody reaches and nobody for what is undeclared', () => {
    expect(rolesOf({ kind: 'public' })).toEqual(['*']);
    expect(rolesOf({ kind: 'authenticated' })).toEqual(['*']);
    expect(accessMatrix([entry({ kind: 'undeclared', fault: 'has no policy' })], [], roles)).toMatchObject([
      { policy: 'undeclared', roles: [], note: 'has no policy' },
    ]);
  });

  test('shows what bypasses the pipeline, with the reason', () => {
    expect(accessMatrix([], [{ method: 'USE', path: '/docs', reason: 'reviewed' }], roles)).toEqual([
      {
        transport: 'http',
        method: 'USE',
        path: '/docs',
        handler: 'adapter',
        policy: 'public',
        permissions: [],
        roles: ['*'],
        note: 'reviewed',
      },
    ]);
  });

  test('has one order, whatever the order of what it is given, so that two can be compared', () => {
    const entries = ['/b', '/a', '/c'].flatMap((path) =>
      ['POST', 'GET'].map((method) => entry({ kind: 'public' }, { path, method, version: '1', host: 'h' })),
    );
    const said = accessMatrix(entries, [], roles);
    expect(accessMatrix([...entries].reverse(), [], roles)).toEqual(said);
    expect(said.map(({ path, method }) => `${path} ${method}`)).toEqual([
      '/a GET',
      '/a POST',
      '/b GET',
      '/b POST',
      '/c GET',
      '/c POST',
    ]);
    expect(said[0]).toMatchObject({ version: '1', host: 'h', handler: 'C.m' });
  });
});
