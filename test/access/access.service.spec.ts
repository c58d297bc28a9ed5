import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../src/access/grants/actor.js';
import { objectRule } from '../../src/access/objects/object-rule.js';
import { RequestContext } from '../../src/core/request-context.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { as, startAccess, type AccessApplication } from './access.application.js';
import { asOwner, newSubject } from './access.fixtures.js';

interface Note {
  readonly owner: string;
}

const owned = objectRule<Note>({
  type: 'note',
  name: 'owned',
  holds: (note, { subject }) => note.owner === subject,
  overriddenBy: 'documents:read-any',
});

let database: TestDatabase;
let app: AccessApplication;
let alice: string;
let bob: string;
let auditor: string;
beforeAll(async () => {
  database = await createTestDatabase();
  app = await startAccess(database);
  await app.roles.sync(
    {
      reader: { permissions: ['documents:read'] },
      auditor: { permissions: ['documents:read-any'], inherits: ['reader'] },
    },
    SYSTEM_PRINCIPAL,
  );
  [alice, bob, auditor] = [
    await app.somebody('reader'),
    await app.somebody('reader'),
    await app.somebody('auditor'),
  ];
});
afterAll(async () => {
  await app.close();
  await database.drop();
});
beforeEach(() => {
  app.events.length = 0;
});

/** Inside a request of somebody, or of nobody. */
function inRequestOf<T>(subject: string | undefined, work: () => Promise<T>): Promise<T> {
  const context = new RequestContext({ transport: 'http', receivedAtMs: 0 });
  if (subject !== undefined) context.authenticateAs(as(subject));
  return RequestContext.run(context, work);
}

const read = (
  subject: string | undefined,
  object: Note | null | undefined,
  hidden?: boolean,
): Promise<Note> =>
  inRequestOf(subject, () =>
    app.access.require('documents:read', {
      rule: owned,
      id: 'n1',
      object: Promise.resolve(object),
      ...(hidden !== undefined && { hidden }),
    }),
  );

describe('require', () => {
  test('without an object passes who holds the permission, and says nothing', async () => {
    await expect(inRequestOf(alice, () => app.access.require('documents:read'))).resolves.toBeUndefined();
    expect(app.events).toEqual([]);
  });

  test('without an object refuses everybody else with 403, once published', async () => {
    await expect(inRequestOf(alice, () => app.access.require('documents:write'))).rejects.toMatchObject({
      code: 'permission-denied',
    });
    expect(app.events).toMatchObject([
      {
        action: 'access.refused',
        outcome: 'failure',
        delivery: 'detached',
        actor: alice,
        reason: 'a demanded permission is not held',
        detail: { permission: 'documents:write' },
      },
    ]);
  });

  test('hands the object back to its owner and to who reaches all', async () => {
    const note = { owner: alice };
    expect(await read(alice, note)).toBe(note);
    expect(await read(auditor, note)).toBe(note);
    expect(app.events).toEqual([]);
  });

  test('RBAC-21 an object of somebody else, a missing one and a missing right are told apart by nobody', async () => {
    const refusals = [];
    for (const [who, object] of [
      [bob, { owner: alice }],
      [bob, null],
      [bob, undefined],
      [newSubject(), { owner: alice }],
      [undefined, { owner: alice }],
      [auditor, null],
    ] as const) {
      const error: unknown = await read(who, object).catch((caught: unknown) => caught);
      refusals.push(error);
      expect(error).toMatchObject({ code: 'not-found', status: 404, headers: {} });
      expect(error).not.toHaveProperty('errors', expect.anything());
      // The whole error: GraphQL may show its message.
      expect((error as Error).message).toBe('not-found: the object is refused, or not there');
    }
    // Each of them left an entry: the same work, and an auditor can tell.
    expect(app.events.map(({ reason }) => reason)).toEqual([
      'the object rule does not hold',
      'there is no such object',
      'there is no such object',
      'a demanded permission is not held',
      'nobody is authenticated',
      'there is no such object',
    ]);
    for (const { target } of app.events) expect(target).toEqual({ type: 'note', id: 'n1' });
    expect(refusals).toHaveLength(6);
  });

  test('says 403 about what the caller may know of', async () => {
    await expect(read(bob, { owner: alice }, false)).rejects.toMatchObject({ code: 'permission-denied' });
    await expect(read(bob, null, false)).rejects.toMatchObject({ code: 'permission-denied' });
  });

  test('outside of any request nobody is asking: refused', async () => {
    await expect(app.access.require('documents:read')).rejects.toMatchObject({ code: 'permission-denied' });
    expect(await app.access.holds('documents:read')).toBe(false);
  });

  test('a failing look-up of the object fails the call', async () => {
    const object = Promise.reject(new Error('the table is gone'));
    await expect(
      inRequestOf(alice, () => app.access.require('documents:read', { rule: owned, id: 'n1', object })),
    ).rejects.toThrow('the table is gone');
  });

  test('a rule that throws refuses', async () => {
    const broken = objectRule<Note>({
      type: 'note',
      name: 'broken',
      holds: () => {
        throw new Error('no');
      },
    });
    await expect(
      inRequestOf(alice, () =>
        app.access.require('documents:read', { rule: broken, id: 'n1', object: { owner: alice } }),
      ),
    ).rejects.toMatchObject({ code: 'not-found' });
    expect(app.events).toMatchObject([{ reason: 'the decision failed' }]);
  });

  test('RBAC-27 a refusal that cannot be recorded is still no permission', async () => {
    await asOwner(database, 'REVOKE INSERT ON audit.pending FROM zt_app');
    try {
      await expect(read(bob, { owner: alice })).rejects.toMatchObject({ code: 'temporarily-unavailable' });
    } finally {
      await asOwner(database, 'GRANT INSERT ON audit.pending TO zt_app');
    }
  });
});

describe('decide and holds', () => {
  test('answer without consequences', async () => {
    expect(await inRequestOf(alice, () => app.access.holds('documents:read'))).toBe(true);
    expect(await inRequestOf(alice, () => app.access.holds('documents:read-any'))).toBe(false);
    expect(await inRequestOf(undefined, () => app.access.holds('documents:read'))).toBe(false);
    const decision = (subject: string): Promise<unknown> =>
      inRequestOf(subject, () =>
        app.access.decide('documents:read', { rule: owned, object: { owner: alice } }),
      );
    expect(await decision(alice)).toEqual({ granted: true, by: ['documents:read', 'note: owned'] });
    expect(await decision(auditor)).toEqual({ granted: true, by: ['documents:read', 'documents:read-any'] });
    expect(await decision(bob)).toEqual({ granted: false, reason: 'the object rule does not hold' });
    expect(app.events).toEqual([]);
  });

  test('RBAC-21 a bulk of ids is all or nothing where each is required', async () => {
    const notes = [{ owner: alice }, { owner: bob }];
    const all = inRequestOf(alice, () =>
      Promise.all(
        notes.map((object, at) =>
          app.access.require('documents:read', { rule: owned, id: `n${at}`, object }),
        ),
      ),
    );
    await expect(all).rejects.toMatchObject({ code: 'not-found' });
    expect(app.events).toMatchObject([{ target: { id: 'n1' } }]);
  });
});

describe('what a subject has', () => {
  test('roles without what they inherit, permissions with it, both sorted', async () => {
    expect(await app.access.rolesOf(auditor)).toEqual(['auditor']);
    expect(await app.access.permissionsOf(auditor)).toEqual(['documents:read', 'documents:read-any']);
    expect(await app.access.permissionsOf(auditor.toUpperCase())).toEqual([
      'documents:read',
      'documents:read-any',
    ]);
    expect(await app.access.rolesOf(newSubject())).toEqual([]);
  });
});
