import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { RequestContext } from '../../../src/core/request-context.js';
import { UnitOfWork } from '../../../src/database/unit-of-work.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ask } from '../../support/hostile.application.js';
import {
  as,
  emptyAccess,
  recordedChanges,
  startAccess,
  stateOf,
  type AccessApplication,
} from '../access.application.js';
import { asOwner, newSubject } from '../access.fixtures.js';

const LOCK = '8823784649422893939';

/** Two replicas on one database. */
let database: TestDatabase;
let here: AccessApplication;
let there: AccessApplication;
beforeAll(async () => {
  database = await createTestDatabase();
  here = await startAccess(database);
  there = await startAccess(database, { adapter: 'fastify' });
});
afterAll(async () => {
  await here.close();
  await there.close();
  await database.drop();
});
beforeEach(async () => {
  await emptyAccess(database);
  await here.roles.sync(
    {
      admin: { permissions: ['grants:write', 'roles:write', 'documents:read'] },
      reader: { permissions: ['documents:read'] },
    },
    SYSTEM_PRINCIPAL,
  );
});

interface Outcomes {
  readonly done: number;
  readonly codes: readonly (string | undefined)[];
}

/** All at the same moment. */
async function together(...changes: (() => Promise<unknown>)[]): Promise<Outcomes> {
  const outcomes = await Promise.allSettled(changes.map((change) => change()));
  const reasons = outcomes.flatMap((each) =>
    each.status === 'rejected' ? [each.reason as { code?: string }] : [],
  );
  return { done: outcomes.length - reasons.length, codes: reasons.map(({ code }) => code) };
}

/** Holds the lock of all changes on a connection of its own, until `release`. */
async function heldLock(): Promise<{ release(): Promise<void>; waiting(count: number): Promise<void> }> {
  const client = new pg.Client({ connectionString: database.ownerUrl });
  await client.connect();
  await client.query('SELECT pg_advisory_lock($1::bigint)', [LOCK]);
  return {
    async release() {
      await client.end();
    },
    /** Until that many others wait for it: asked of the database, not guessed by time. */
    async waiting(count) {
      for (;;) {
        const { rows } = await client.query<{ waiting: number }>(
          `SELECT count(*)::int AS waiting FROM pg_locks
           WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        );
        if (rows[0]?.waiting === count) return;
      }
    },
  };
}

describe('changes at the same moment, on two replicas', () => {
  test('RBAC-24 two revocations of the last two administrators leave one', async () => {
    for (let round = 0; round < 5; round += 1) {
      await emptyAccess(database);
      await here.roles.sync({ admin: { permissions: ['grants:write', 'roles:write'] } }, SYSTEM_PRINCIPAL);
      const [one, two] = [newSubject(), newSubject()];
      const grants = [await here.give(one, 'admin'), await here.give(two, 'admin')] as const;
      const { done, codes } = await together(
        () => here.grants.revoke(grants[0], as(two)),
        () => there.grants.revoke(grants[1], as(one)),
      );
      expect(done).toBe(1);
      // Who came second was unseated meanwhile, or would have been the last to go.
      expect(['conflict', 'permission-denied']).toContain(codes[0]);
      expect(
        [await here.grants.isLastAdministrator(one), await here.grants.isLastAdministrator(two)].sort(),
      ).toEqual([false, true]);
    }
  });

  test('RBAC-24 the last two who step down at once leave one', async () => {
    const [one, two] = [newSubject(), newSubject()];
    const grants = [await here.give(one, 'admin'), await here.give(two, 'admin')] as const;
    expect(
      await together(
        () => here.grants.revoke(grants[0], as(one)),
        () => there.grants.revoke(grants[1], as(two)),
      ),
    ).toEqual({ done: 1, codes: ['conflict'] });
  });

  test('RBAC-20 two edges that would close a circle together: one of them is refused', async () => {
    for (let round = 0; round < 5; round += 1) {
      await emptyAccess(database);
      await here.roles.sync({ a: {}, b: {}, c: {} }, SYSTEM_PRINCIPAL);
      expect(
        await together(
          () => here.roles.put('a', { inherits: ['b'] }, SYSTEM_PRINCIPAL),
          () => there.roles.put('b', { inherits: ['a'] }, SYSTEM_PRINCIPAL),
        ),
      ).toEqual({ done: 1, codes: ['validation-failed'] });
    }
  });

  test('twenty of the same grant make one, with one entry', async () => {
    const subject = newSubject();
    const before = (await recordedChanges(database)).length;
    const { done, codes } = await together(
      ...Array.from({ length: 20 }, (_, at) => () => [here, there][at % 2]!.give(subject, 'reader')),
    );
    expect(done).toBe(1);
    expect(new Set(codes)).toEqual(new Set(['conflict']));
    expect(await here.grants.listOf(subject)).toHaveLength(1);
    expect((await recordedChanges(database)).slice(before)).toEqual(['grant.created']);
  });

  test('ten revocations of one grant end it once, with one entry', async () => {
    const id = await here.give(newSubject(), 'reader');
    const before = (await recordedChanges(database)).length;
    const { done, codes } = await together(
      ...Array.from(
        { length: 10 },
        (_, at) => () => [here, there][at % 2]!.grants.revoke(id, SYSTEM_PRINCIPAL),
      ),
    );
    expect(done).toBe(1);
    expect(new Set(codes)).toEqual(new Set(['not-found']));
    expect((await recordedChanges(database)).slice(before)).toEqual(['grant.revoked']);
  });

  test('a role that is deleted while it is granted: one of the two happens', async () => {
    for (let round = 0; round < 5; round += 1) {
      const subject = newSubject();
      await here.roles.sync({ passing: { permissions: ['documents:read'] } }, SYSTEM_PRINCIPAL);
      const { done, codes } = await together(
        () => here.roles.delete('passing', SYSTEM_PRINCIPAL),
        () => there.give(subject, 'passing'),
      );
      expect(done).toBe(1);
      expect(['conflict', 'validation-failed']).toContain(codes[0]);
      expect(await here.access.rolesOf(subject)).toHaveLength(codes[0] === 'conflict' ? 1 : 0);
      for (const { id } of await here.grants.listOf(subject)) await here.grants.revoke(id, SYSTEM_PRINCIPAL);
    }
  });

  test('twenty replacements of one role leave exactly what one of them said', async () => {
    const said = (at: number): { permissions: string[]; inherits: string[] } =>
      at % 2 === 0
        ? { permissions: ['documents:write'], inherits: ['reader'] }
        : { permissions: ['invoices:read'], inherits: [] };
    await together(
      ...Array.from({ length: 20 }, (_, at) => () => {
        return [here, there][at % 2]!.roles.put('busy', said(at) as never, SYSTEM_PRINCIPAL);
      }),
    );
    const { permissions, inherits } = await here.roles.get('busy');
    expect([said(0), said(1)]).toContainEqual({ permissions, inherits });
  });

  test('two starts that synchronise the same roles at once agree', async () => {
    const roles = { x: { inherits: ['y'] }, y: { permissions: ['documents:read'] } } as const;
    const { done } = await together(
      () => here.roles.sync(roles, SYSTEM_PRINCIPAL),
      () => there.roles.sync(roles, SYSTEM_PRINCIPAL),
    );
    expect(done).toBe(2);
    expect(await here.roles.sync(roles, SYSTEM_PRINCIPAL)).toEqual([]);
  });
});

describe('between the check and the commit', () => {
  test('RBAC-24 who lost the right while the change waited does not make it any more', async () => {
    await here.somebody('admin');
    const actor = newSubject();
    const theirs = await here.give(actor, 'admin');
    await here.give(actor, 'reader');
    const [target, victim] = [newSubject(), newSubject()];
    const victims = await here.give(victim, 'reader');

    const lock = await heldLock();
    const waiting = [
      ask(there, 'POST', `/admin/accounts/${target}/grants`, {
        as: actor,
        body: { role: 'reader', reason: 'late' },
      }),
      ask(there, 'DELETE', `/admin/grants/${victims}`, { as: actor }),
      ask(there, 'PUT', '/admin/roles/late', { as: actor, body: { permissions: ['documents:read'] } }),
    ];
    // All three were let in; now the right goes, as in a transaction that was faster.
    await lock.waiting(3);
    await asOwner(
      database,
      `UPDATE access."grant" SET revoked_at = now(), revoked_by = 'test' WHERE id = $1`,
      [theirs],
    );
    const before = await stateOf(database);
    await lock.release();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([403, 403, 403]);
    expect(await stateOf(database)).toEqual(before);
    expect(
      there.events.filter(({ reason }) => reason === 'the actor has lost the right to make the change'),
    ).toHaveLength(3);
  });

  test('RBAC-24 what let the request in is asked again, whatever handler it came through', async () => {
    const actor = await here.somebody('reader');
    const context = new RequestContext({ transport: 'http', receivedAtMs: 0 });
    context.authenticateAs(as(actor));
    const attempt = (): Promise<unknown> =>
      RequestContext.run(context, () =>
        here.grants.grant({ subject: newSubject(), role: 'reader', reason: 'invited' }),
      );
    // A handler of the application's own, behind a permission of its own.
    context.letIn(['documents:read']);
    await attempt();
    context.letIn(['documents:share']);
    await expect(attempt()).rejects.toMatchObject({ code: 'permission-denied' });
  });

  test('RBAC-24 what a change is checked against still holds when it commits', async () => {
    const actor = newSubject();
    await here.give(actor, 'admin');
    await here.somebody('admin');
    const lock = await heldLock();
    // The role grows before the change gets its turn: the actor does not hold what it conveys then.
    const waiting = there.grants.grant({ subject: newSubject(), role: 'reader', reason: 'late' }, as(actor));
    const outcome = expect(waiting).rejects.toMatchObject({ code: 'permission-denied' });
    await lock.waiting(1);
    await asOwner(database, `INSERT INTO access.role_permission VALUES ('reader', 'invoices:approve')`);
    await lock.release();
    await outcome;
  });

  test('a lock that nobody gives back ends in a refusal, and nothing is written', async () => {
    const impatient = await startAccess(database, {
      database: { statementTimeoutMs: 200 },
      access: { adminPrefix: 'impatient' },
    });
    const lock = await heldLock();
    const before = await stateOf(database);
    try {
      await expect(impatient.give(newSubject(), 'reader')).rejects.toThrow(/statement timeout/);
      expect(await stateOf(database)).toEqual(before);
    } finally {
      await lock.release();
      await impatient.close();
    }
  });

  test('changes inside of a unit of work stay or go with it, and the lock with them', async () => {
    const subject = newSubject();
    const failed = here.app.get(UnitOfWork).run(async () => {
      await here.roles.put('inner', { permissions: ['documents:read'] }, SYSTEM_PRINCIPAL);
      await here.give(subject, 'inner');
      throw new Error('changed my mind');
    });
    await expect(failed).rejects.toThrow('changed my mind');
    expect(await here.access.rolesOf(subject)).toEqual([]);
    await expect(here.roles.get('inner')).rejects.toMatchObject({ code: 'not-found' });
    await there.roles.put('inner', {}, SYSTEM_PRINCIPAL);
  });
});
