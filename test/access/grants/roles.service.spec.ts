import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { MAX_ROLE_DEPTH } from '../../../src/access/grants/role-graph.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import {
  as,
  assertRefused,
  emptyAccess,
  hours,
  startAccess,
  stateOf,
  type AccessApplication,
} from '../access.application.js';
import { asOwner, newSubject, storeRoles } from '../access.fixtures.js';

let database: TestDatabase;
let app: AccessApplication;
beforeAll(async () => {
  database = await createTestDatabase();
  app = await startAccess(database);
});
afterAll(async () => {
  await app.close();
  await database.drop();
});
beforeEach(async () => {
  await emptyAccess(database);
  app.events.length = 0;
});

const refused = (change: () => Promise<unknown>, code: string, field?: string): Promise<void> =>
  assertRefused(app, database, change, code, field);

describe('roles', () => {
  test('one is made, read, replaced as a whole and deleted', async () => {
    const made = await app.roles.put(
      'writer',
      { permissions: ['documents:write', 'documents:read', 'documents:read'] },
      SYSTEM_PRINCIPAL,
    );
    expect(made).toEqual({
      name: 'writer',
      permissions: ['documents:read', 'documents:write'],
      inherits: [],
      mayGrant: [],
    });
    await app.roles.put('lead', { inherits: ['writer'], mayGrant: ['writer'] }, SYSTEM_PRINCIPAL);
    expect(await app.roles.get('writer')).toEqual(made);
    expect((await app.roles.list()).map(({ name }) => name)).toEqual(['lead', 'writer']);
    await app.roles.put('lead', { permissions: ['invoices:read'] }, SYSTEM_PRINCIPAL);
    expect(await app.roles.get('lead')).toEqual({
      name: 'lead',
      permissions: ['invoices:read'],
      inherits: [],
      mayGrant: [],
    });
    await app.roles.delete('lead', SYSTEM_PRINCIPAL);
    await expect(app.roles.get('lead')).rejects.toMatchObject({ code: 'not-found' });
    await expect(app.roles.delete('lead', SYSTEM_PRINCIPAL)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('saying the same again changes nothing and publishes nothing', async () => {
    await app.roles.put('writer', { permissions: ['documents:write'] }, SYSTEM_PRINCIPAL);
    expect(app.changesSeen()).toHaveLength(1);
    await app.roles.put('writer', { permissions: ['documents:write'] }, SYSTEM_PRINCIPAL);
    expect(app.changesSeen()).toEqual([]);
  });

  test('one that is held or inherited cannot be deleted; ended grants do not keep it', async () => {
    await app.roles.put('base', { permissions: ['documents:read'] }, SYSTEM_PRINCIPAL);
    await app.roles.put('heir', { inherits: ['base'] }, SYSTEM_PRINCIPAL);
    await refused(() => app.roles.delete('base', SYSTEM_PRINCIPAL), 'conflict');
    const id = await app.give(newSubject(), 'heir', { notBefore: hours(1) });
    app.events.length = 0;
    await refused(() => app.roles.delete('heir', SYSTEM_PRINCIPAL), 'conflict');
    await app.grants.revoke(id, SYSTEM_PRINCIPAL);
    await app.roles.delete('heir', SYSTEM_PRINCIPAL);
    await app.roles.delete('base', SYSTEM_PRINCIPAL);
  });

  test('RBAC-24 a role that is made again under its old name gives nothing back to who held it or might grant it', async () => {
    await app.roles.put('helper', { permissions: ['documents:read'] }, SYSTEM_PRINCIPAL);
    await app.roles.put('lead', { permissions: ['grants:write'], mayGrant: ['helper'] }, SYSTEM_PRINCIPAL);
    const holder = newSubject();
    const lead = await app.somebody('lead');
    await app.grants.revoke(await app.give(holder, 'helper'), SYSTEM_PRINCIPAL);
    await app.roles.delete('helper', SYSTEM_PRINCIPAL);
    await app.roles.put('helper', { permissions: ['invoices:approve'] }, SYSTEM_PRINCIPAL);
    expect(await app.access.permissionsOf(holder)).toEqual([]);
    expect((await app.roles.get('lead')).mayGrant).toEqual([]);
    await expect(
      app.grants.grant({ subject: newSubject(), role: 'helper', reason: 'again' }, as(lead)),
    ).rejects.toMatchObject({ code: 'permission-denied' });
  });

  test.each([
    ['an undeclared permission', { permissions: ['documents:erase'] }, 'permissions'],
    ['a permission in other case', { permissions: ['Documents:read'] }, 'permissions'],
    ['a wildcard', { permissions: ['documents:*'] }, 'permissions'],
    ['an unknown role', { inherits: ['nobody'] }, 'inherits'],
    ['itself', { inherits: ['made'] }, 'inherits'],
    ['an unknown role to grant', { mayGrant: ['nobody'] }, 'mayGrant'],
    ['itself to grant', { mayGrant: ['made'] }, 'mayGrant'],
  ])('one that names %s is refused whole', async (_what, role, field) => {
    await refused(() => app.roles.put('made', role as never, SYSTEM_PRINCIPAL), 'validation-failed', field);
  });

  test.each([
    'Admin',
    'ADMIN',
    'аdmin', // Cyrillic а
    'admin\u200b',
    'admin\n',
    ' admin',
    'ad min',
    'ａdmin',
    'admin\0',
    'admin-',
    '-admin',
    'a--b',
    '1admin',
    '__proto__',
    '',
    '*',
    `a${'b'.repeat(64)}`,
    "admin'; DROP TABLE access.role; --",
  ])('RBAC-24 %j is no name of a role, so none can be mistaken for another', async (name) => {
    await app.roles.put('admin', { permissions: ['roles:write'] }, SYSTEM_PRINCIPAL);
    app.changesSeen();
    await refused(() => app.roles.put(name, {}, SYSTEM_PRINCIPAL), 'validation-failed', 'name');
    await refused(
      () => app.grants.grant({ subject: newSubject(), role: name, reason: 'test' }, SYSTEM_PRINCIPAL),
      'validation-failed',
      'role',
    );
  });

  test('names that mean something to JavaScript are names like any other', async () => {
    for (const name of ['constructor', 'prototype', 'tostring']) {
      await app.roles.put(name, { permissions: ['documents:read'] }, SYSTEM_PRINCIPAL);
      expect(await app.access.permissionsOf(await app.somebody(name))).toEqual(['documents:read']);
    }
  });

  test('RBAC-20 an edge that closes a circle is refused, however long the way', async () => {
    await app.roles.sync({ a: { inherits: ['b'] }, b: { inherits: ['c'] }, c: {} }, SYSTEM_PRINCIPAL);
    app.changesSeen();
    await refused(
      () => app.roles.put('c', { inherits: ['a'] }, SYSTEM_PRINCIPAL),
      'validation-failed',
      'inherits',
    );
  });

  test('RBAC-20 a chain of inheritance ends at its bound, also when it grows from above', async () => {
    const chain = Object.fromEntries(
      Array.from({ length: MAX_ROLE_DEPTH + 1 }, (_, at) => [
        `c${at}`,
        { inherits: at < MAX_ROLE_DEPTH ? [`c${at + 1}`] : [] },
      ]),
    );
    await app.roles.sync(chain, SYSTEM_PRINCIPAL);
    app.changesSeen();
    await refused(
      () => app.roles.put('above', { inherits: ['c0'] }, SYSTEM_PRINCIPAL),
      'validation-failed',
      'inherits',
    );
  });

  test('RBAC-20 a circle that somebody wrote into the database conveys what it names, and can be cut', async () => {
    await storeRoles(database, {
      a: { inherits: ['b'], permissions: ['documents:read'] },
      b: { inherits: ['a'] },
    });
    expect(await app.access.permissionsOf(await app.somebody('b'))).toEqual(['documents:read']);
    await app.roles.put('b', { permissions: ['documents:read'] }, SYSTEM_PRINCIPAL);
    expect((await app.roles.get('b')).inherits).toEqual([]);
  });

  test('without a request and without an actor nothing is changed: a fault of the program', async () => {
    await expect(app.roles.put('made', {})).rejects.toThrow(TypeError);
    await expect(app.roles.delete('made')).rejects.toThrow(TypeError);
  });
});

describe('sync', () => {
  const declared = {
    viewer: { permissions: ['documents:read'] },
    editor: { permissions: ['documents:write'], inherits: ['viewer'] },
    lead: { mayGrant: ['editor'] },
  } as const;

  test('says first what would change, then changes it, and the second time nothing', async () => {
    const before = await stateOf(database);
    const planned = await app.roles.sync(declared, SYSTEM_PRINCIPAL, { dryRun: true });
    expect(planned.map(({ role }) => role)).toEqual(['viewer', 'editor', 'lead']);
    expect(await stateOf(database)).toEqual(before);
    expect(await app.roles.sync(declared, SYSTEM_PRINCIPAL)).toEqual(planned);
    expect(app.changesSeen().map(({ target }) => target?.id)).toEqual(['viewer', 'editor', 'lead']);
    expect(await app.roles.sync(declared, SYSTEM_PRINCIPAL)).toEqual([]);
    expect(app.changesSeen()).toEqual([]);
  });

  test('leaves alone what code does not name, and brings back what was changed by hand', async () => {
    await app.roles.put('own', { permissions: ['invoices:read'] }, SYSTEM_PRINCIPAL);
    await app.roles.sync(declared, SYSTEM_PRINCIPAL);
    await app.roles.put('viewer', { permissions: ['invoices:approve'] }, SYSTEM_PRINCIPAL);
    expect(await app.roles.sync(declared, SYSTEM_PRINCIPAL)).toMatchObject([
      {
        role: 'viewer',
        before: { permissions: ['invoices:approve'] },
        after: { permissions: ['documents:read'] },
      },
    ]);
    expect((await app.roles.get('own')).permissions).toEqual(['invoices:read']);
  });

  test('is all or nothing', async () => {
    await refused(
      () => app.roles.sync({ ...declared, broken: { inherits: ['nobody'] } }, SYSTEM_PRINCIPAL),
      'validation-failed',
    );
  });

  test('by somebody who is bound is judged like each single change', async () => {
    await app.roles.put('manager', { permissions: ['roles:write', 'documents:read'] }, SYSTEM_PRINCIPAL);
    const manager = await app.somebody('manager');
    app.events.length = 0;
    await refused(() => app.roles.sync(declared, as(manager)), 'permission-denied');
    expect(await app.roles.sync({ viewer: declared.viewer }, as(manager))).toHaveLength(1);
  });
});

describe('RBAC-24 a manager of roles', () => {
  let manager: string;
  beforeEach(async () => {
    await app.roles.sync(
      {
        manager: { permissions: ['roles:write', 'documents:read'] },
        secret: { permissions: ['invoices:approve'] },
        issuer: { permissions: ['grants:write'], mayGrant: ['secret'] },
        empty: {},
        mine: { permissions: ['documents:read'], inherits: ['empty'] },
      },
      SYSTEM_PRINCIPAL,
    );
    manager = await app.somebody('manager', 'mine');
    app.events.length = 0;
  });

  test.each([
    ['the own role', 'manager', { permissions: ['roles:write', 'documents:read', 'invoices:approve'] }],
    ['the own role by inheritance', 'manager', { permissions: ['roles:write'], inherits: ['secret'] }],
    ['the own role by mayGrant', 'manager', { permissions: ['roles:write'], mayGrant: ['secret'] }],
    ['a role below the own one', 'empty', { permissions: ['invoices:approve'] }],
    ['a role below the own one by inheritance', 'empty', { inherits: ['secret'] }],
    ['a role of somebody else', 'secret', { permissions: ['invoices:approve', 'invoices:read'] }],
    ['a new role', 'fresh', { permissions: ['invoices:approve'] }],
    ['a new role by inheritance', 'fresh', { inherits: ['secret'] }],
    ['a new role by mayGrant', 'fresh', { mayGrant: ['secret'] }],
    ['a new role by mayGrant of one that may grant', 'fresh', { mayGrant: ['issuer'] }],
    [
      'what a role grants, into what it does',
      'issuer',
      { permissions: ['grants:write', 'invoices:approve'], mayGrant: ['secret'] },
    ],
    [
      'what a role grants, into what it inherits',
      'issuer',
      { permissions: ['grants:write'], inherits: ['secret'], mayGrant: ['secret'] },
    ],
  ])('RBAC-24 cannot raise %s beyond the own rights', async (_what, name, role) => {
    await refused(() => app.roles.put(name, role as never, as(manager)), 'permission-denied');
    expect(await app.access.permissionsOf(manager)).toEqual(['documents:read', 'roles:write']);
  });

  test.each([
    ['lower', 'secret', {}],
    ['lower by taking an edge away', 'issuer', { permissions: ['grants:write'] }],
  ])('RBAC-24 cannot %s a role of what they do not hold', async (_what, name, role) => {
    await refused(() => app.roles.put(name, role as never, as(manager)), 'permission-denied');
  });

  test('RBAC-24 cannot delete a role that conveys what they do not hold', async () => {
    await refused(() => app.roles.delete('secret', as(manager)), 'permission-denied');
    await refused(() => app.roles.delete('issuer', as(manager)), 'permission-denied');
  });

  test('RBAC-24 may hand on what they hold, and lower what lies within', async () => {
    await app.roles.put('fresh', { permissions: ['documents:read'] }, as(manager));
    await app.roles.put('mine', {}, as(manager));
    await app.roles.delete('fresh', as(manager));
    expect(app.changesSeen()).toHaveLength(3);
  });

  test('RBAC-24 cannot make last what was lent to them', async () => {
    await app.give(manager, 'secret', { expiresAt: hours(1) });
    app.events.length = 0;
    expect(await app.access.permissionsOf(manager)).toContain('invoices:approve');
    await refused(
      () => app.roles.put('fresh', { permissions: ['invoices:approve'] }, as(manager)),
      'permission-denied',
    );
    await refused(
      () => app.roles.put('mine', { permissions: ['documents:read', 'invoices:approve'] }, as(manager)),
      'permission-denied',
    );
  });

  test('RBAC-24 cannot raise what begins for them later', async () => {
    const other = await app.somebody('manager');
    await app.give(other, 'issuer');
    await app.give(other, 'empty', { notBefore: hours(1) });
    app.events.length = 0;
    // They may hand invoices:approve out, so the role is within their reach; but it will be their own.
    await refused(
      () => app.roles.put('empty', { permissions: ['invoices:approve'] }, as(other)),
      'permission-denied',
    );
  });

  test('RBAC-24 cannot turn what they may hand out into what they do', async () => {
    const other = await app.somebody('manager', 'issuer');
    app.events.length = 0;
    await refused(
      () =>
        app.roles.put(
          'manager',
          { permissions: ['roles:write', 'documents:read'], inherits: ['secret'] },
          as(other),
        ),
      'permission-denied',
    );
    expect(await app.access.permissionsOf(other)).not.toContain('invoices:approve');
  });

  test('RBAC-24 who calls themselves a system, holds nothing and changes nothing', async () => {
    for (const principal of [
      { kind: 'system', subject: 'system' },
      { kind: 'service', subject: 'mailer' },
      { ...SYSTEM_PRINCIPAL },
    ] as const) {
      await refused(
        () => app.roles.put('fresh', { permissions: ['documents:read'] }, principal),
        'permission-denied',
      );
    }
  });

  test('RBAC-24 what an undeclared permission says in the database helps nobody', async () => {
    await asOwner(database, `INSERT INTO access.role_permission VALUES ('manager', 'ghosts:summon')`);
    await refused(
      () => app.roles.put('fresh', { permissions: ['ghosts:summon' as 'documents:read'] }, as(manager)),
      'validation-failed',
      'permissions',
    );
    expect(await app.access.permissionsOf(manager)).not.toContain('ghosts:summon');
  });

  test('a refused change is published once it is gone, with who wanted it and what for', async () => {
    await expect(
      app.roles.put('fresh', { permissions: ['invoices:approve'] }, as(manager)),
    ).rejects.toMatchObject({ code: 'permission-denied' });
    expect(app.events).toMatchObject([
      {
        action: 'access.refused',
        outcome: 'failure',
        delivery: 'detached',
        actor: manager,
        target: { type: 'role', id: 'fresh' },
        reason: 'the actor does not hold what the change conveys',
      },
    ]);
  });
});
