import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { Subjects, type SubjectState } from '../../../src/access/grants/subjects.js';
import { UnitOfWork } from '../../../src/database/unit-of-work.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import {
  as,
  assertRefused,
  emptyAccess,
  hours,
  startAccess,
  type AccessApplication,
} from '../access.application.js';
import { asOwner, newSubject } from '../access.fixtures.js';

let database: TestDatabase;
let app: AccessApplication;
/** What the application's identity knows, by the port: everybody who is not named is active. */
const states = new Map<string, SubjectState | 'unknown'>();
beforeAll(async () => {
  database = await createTestDatabase();
  app = await startAccess(database);
  app.app.get(Subjects).knownBy({
    statesOf: (subjects) =>
      Promise.resolve(
        new Map(
          subjects.flatMap((subject) => {
            const state = states.get(subject) ?? 'active';
            return state === 'unknown' ? [] : [[subject, state] as const];
          }),
        ),
      ),
  });
});
afterAll(async () => {
  await app.close();
  await database.drop();
});
beforeEach(async () => {
  states.clear();
  await emptyAccess(database);
  await app.roles.sync(
    {
      reader: { permissions: ['documents:read'] },
      approver: { permissions: ['invoices:approve'] },
      granter: { permissions: ['grants:write', 'documents:read'] },
      issuer: { permissions: ['grants:write'], mayGrant: ['approver'] },
      master: { inherits: ['issuer'], permissions: ['roles:write'] },
      admin: { permissions: ['grants:write', 'roles:write'] },
    },
    SYSTEM_PRINCIPAL,
  );
  app.events.length = 0;
});

const refused = (change: () => Promise<unknown>, code: string, field?: string): Promise<void> =>
  assertRefused(app, database, change, code, field);
const grant = (subject: string, role: string, actor: string, expiresAt?: Date): Promise<unknown> =>
  app.grants.grant({ subject, role, reason: 'test', ...(expiresAt && { expiresAt }) }, as(actor));

describe('grants', () => {
  test('one says who gave what to whom, why and until when, and is listed until it ends', async () => {
    const subject = newSubject();
    const granter = await app.somebody('granter');
    const expiresAt = hours(2);
    const made = await app.grants.grant(
      { subject, role: 'reader', reason: '  covers for a colleague ', notBefore: hours(-1), expiresAt },
      as(granter),
    );
    expect(made).toMatchObject({
      subject,
      role: 'reader',
      reason: 'covers for a colleague',
      grantedBy: granter,
      expiresAt,
    });
    expect(await app.grants.listOf(subject.toUpperCase())).toEqual([made]);
    await app.grants.revoke(made.id, as(granter));
    expect(await app.grants.listOf(subject)).toEqual([]);
    await refused(() => app.grants.revoke(made.id, as(granter)), 'not-found');
  });

  test('one that begins later gives nothing yet, and is listed', async () => {
    const subject = newSubject();
    await app.give(subject, 'reader', { notBefore: hours(1), expiresAt: hours(2) });
    expect(await app.access.permissionsOf(subject)).toEqual([]);
    expect(await app.grants.listOf(subject)).toHaveLength(1);
  });

  test('a second one of the same role is refused until the first one has ended', async () => {
    const subject = newSubject();
    const first = await app.give(subject, 'reader', { expiresAt: hours(1) });
    await refused(() => app.give(subject, 'reader'), 'conflict');
    await refused(() => app.give(subject.toUpperCase(), 'reader', { expiresAt: hours(9) }), 'conflict');
    await app.grants.revoke(first, SYSTEM_PRINCIPAL);
    await app.give(subject, 'reader');
    await asOwner(
      database,
      `UPDATE access."grant" SET expires_at = clock_timestamp() WHERE revoked_at IS NULL`,
    );
    await app.give(subject, 'reader');
  });

  test.each([
    ['an unknown role', { role: 'nobody' }, 'role'],
    ['no role', { role: '' }, 'role'],
    ['no reason', { reason: ' \t\n\u00a0' }, 'reason'],
    ['a reason without end', { reason: 'x'.repeat(501) }, 'reason'],
    ['a reason that PostgreSQL cannot keep', { reason: 'a\0b' }, 'reason'],
    ['a subject that is no UUID', { subject: 'alice' }, 'subject'],
    ['a subject in braces', { subject: `{${newSubject()}}` }, 'subject'],
    ['an end that is past', { expiresAt: hours(-1) }, 'expiresAt'],
    ['an end long before our era', { expiresAt: new Date(-62_200_000_000_000) }, 'expiresAt'],
    ['an end that is no time', { expiresAt: new Date('never') }, 'expiresAt'],
    ['a beginning that is no time', { notBefore: new Date('never') }, 'notBefore'],
    ['an end before the beginning', { notBefore: hours(2), expiresAt: hours(1) }, 'expiresAt'],
    ['an end at the beginning', { notBefore: new Date(4e12), expiresAt: new Date(4e12) }, 'expiresAt'],
  ])('one with %s is refused', async (_what, wrong, field) => {
    const request = { subject: newSubject(), role: 'reader', reason: 'test', ...wrong };
    await refused(() => app.grants.grant(request, SYSTEM_PRINCIPAL), 'validation-failed', field);
  });

  test('one at the far end of time is kept', async () => {
    const subject = newSubject();
    await app.give(subject, 'reader', { expiresAt: new Date('9999-12-31T23:59:59.999Z') });
    expect(await app.access.permissionsOf(subject)).toEqual(['documents:read']);
  });

  test.each(['', 'x', newSubject(), "' OR true --"])(
    'revoking %j, which is none, finds nothing',
    async (id) => {
      await refused(() => app.grants.revoke(id, SYSTEM_PRINCIPAL), 'not-found');
    },
  );

  test('one that has expired cannot be revoked any more: it is a record', async () => {
    const id = await app.give(newSubject(), 'reader');
    await asOwner(database, 'UPDATE access."grant" SET expires_at = clock_timestamp() WHERE id = $1', [id]);
    await refused(() => app.grants.revoke(id, SYSTEM_PRINCIPAL), 'not-found');
  });

  test('the login of the application can neither change nor remove one', async () => {
    await app.give(newSubject(), 'reader');
    for (const sql of [
      'DELETE FROM access."grant"',
      'UPDATE access."grant" SET expires_at = NULL',
      `UPDATE access."grant" SET role = 'admin'`,
      'UPDATE access."grant" SET subject = gen_random_uuid()',
      `UPDATE access.role SET name = 'x'`,
    ]) {
      await expect(app.app.get(UnitOfWork).query(sql), sql).rejects.toThrow('permission denied');
    }
  });
});

describe('RBAC-24 a manager of grants', () => {
  test('RBAC-24 gives what they hold and nothing else', async () => {
    const granter = await app.somebody('granter');
    await grant(newSubject(), 'reader', granter);
    await grant(newSubject(), 'granter', granter);
    for (const role of ['approver', 'issuer', 'master', 'admin']) {
      await refused(() => grant(newSubject(), role, granter), 'permission-denied');
    }
  });

  test('RBAC-24 gives what a role of theirs may grant, one step far', async () => {
    const [issuer, master] = [await app.somebody('issuer'), await app.somebody('master')];
    await grant(newSubject(), 'approver', issuer);
    await grant(newSubject(), 'approver', master);
    await grant(newSubject(), 'issuer', issuer);
    await refused(() => grant(newSubject(), 'reader', issuer), 'permission-denied');
    await refused(() => grant(newSubject(), 'master', issuer), 'permission-denied');
  });

  test('RBAC-24 does not reach through mayGrant what that role may grant in turn', async () => {
    await app.roles.put('outer', { permissions: ['grants:write'], mayGrant: ['issuer'] }, SYSTEM_PRINCIPAL);
    const outer = await app.somebody('outer');
    await refused(() => grant(newSubject(), 'issuer', outer), 'permission-denied');
    await refused(() => grant(newSubject(), 'approver', outer), 'permission-denied');
  });

  test('RBAC-24 gives nothing to themselves, in whatever letters, not even what they hold', async () => {
    const master = await app.somebody('master');
    for (const subject of [master, master.toUpperCase()]) {
      for (const role of ['approver', 'reader', 'issuer', 'admin']) {
        await refused(() => grant(subject, role, master), 'permission-denied');
        await refused(() => grant(subject, role, master.toUpperCase()), 'permission-denied');
      }
    }
  });

  test('RBAC-24 cannot make last, nor longer, what was lent to them', async () => {
    const granter = await app.somebody('granter');
    const until = hours(1);
    await app.give(granter, 'approver', { expiresAt: until });
    await refused(() => grant(newSubject(), 'approver', granter), 'permission-denied');
    await refused(
      () => grant(newSubject(), 'approver', granter, new Date(until.getTime() + 1)),
      'permission-denied',
    );
    await grant(newSubject(), 'approver', granter, until);
  });

  test('RBAC-24 cannot give what they will hold later, nor what they held', async () => {
    const granter = await app.somebody('granter');
    await app.give(granter, 'approver', { notBefore: hours(1) });
    await refused(() => grant(newSubject(), 'approver', granter), 'permission-denied');
    await app.somebody('admin');
    const past = await app.give(granter, 'admin');
    await app.grants.revoke(past, SYSTEM_PRINCIPAL);
    await refused(() => grant(newSubject(), 'admin', granter), 'permission-denied');
  });

  test('RBAC-24 cannot unseat who holds more, but may step down', async () => {
    const granter = await app.somebody('granter');
    const theirs = await app.give(newSubject(), 'approver');
    await refused(() => app.grants.revoke(theirs, as(granter)), 'permission-denied');
    const own = await app.give(granter, 'approver');
    await app.grants.revoke(own, as(granter.toUpperCase()));
  });

  test('RBAC-24 a role that was raised after it was given takes nobody along to grant it', async () => {
    const granter = await app.somebody('granter');
    await app.roles.put('reader', { permissions: ['documents:read', 'invoices:read'] }, SYSTEM_PRINCIPAL);
    await refused(() => grant(newSubject(), 'reader', granter), 'permission-denied');
  });

  test('RBAC-24 who holds no grant at all, or bears no UUID, gives nothing but the empty role', async () => {
    for (const actor of [newSubject(), 'alice', '', 'system']) {
      await refused(() => grant(newSubject(), 'reader', actor), 'permission-denied');
    }
  });
});

describe('what the identity of the application knows', () => {
  test('RBAC-24 nothing is granted to an account that does not exist: it would wait for whoever gets the id', async () => {
    const subject = newSubject();
    states.set(subject, 'unknown');
    await refused(() => app.give(subject, 'reader'), 'not-found');
    await refused(() => app.give(subject.toUpperCase(), 'reader'), 'not-found');
  });

  test('a disabled account may be prepared, and be given to', async () => {
    const subject = newSubject();
    states.set(subject, 'disabled');
    await app.give(subject, 'reader');
  });

  test('RBAC-24 a disabled actor changes nothing more, however far the request had come', async () => {
    const master = await app.somebody('admin', 'reader');
    await app.somebody('admin');
    const theirs = await app.give(newSubject(), 'reader');
    states.set(master, 'disabled');
    await refused(() => grant(newSubject(), 'reader', master), 'permission-denied');
    await refused(() => grant(newSubject(), 'reader', master.toUpperCase()), 'permission-denied');
    await refused(() => app.grants.revoke(theirs, as(master)), 'permission-denied');
    await refused(() => app.roles.put('fresh', {}, as(master)), 'permission-denied');
    await refused(() => app.roles.delete('approver', as(master)), 'permission-denied');
  });

  test('there is one identity: a second one that claims to know is a fault of the program', () => {
    expect(() => {
      app.app.get(Subjects).knownBy({ statesOf: () => Promise.resolve(new Map()) });
    }).toThrow(TypeError);
  });
});

describe('the last administrator', () => {
  test('stays: neither grant nor role can be taken away, whoever asks', async () => {
    const id = await app.give(newSubject(), 'admin');
    await refused(() => app.grants.revoke(id, SYSTEM_PRINCIPAL), 'conflict');
    await refused(
      () => app.roles.put('admin', { permissions: ['grants:write'] }, SYSTEM_PRINCIPAL),
      'conflict',
    );
    await refused(() => app.roles.put('admin', {}, SYSTEM_PRINCIPAL), 'conflict');
    await refused(() => app.roles.sync({ admin: {} }, SYSTEM_PRINCIPAL), 'conflict');
  });

  test('is one who holds both rights, from one role or from two, also by inheritance', async () => {
    await app.roles.sync(
      { half: { permissions: ['roles:write'] }, heir: { inherits: ['admin'] } },
      SYSTEM_PRINCIPAL,
    );
    const [both, heir] = [newSubject(), newSubject()];
    const halves = [await app.give(both, 'half'), await app.give(both, 'granter')];
    const inherited = await app.give(heir, 'heir');
    await app.somebody('half');
    await app.somebody('granter');
    await app.grants.revoke(inherited, SYSTEM_PRINCIPAL);
    for (const id of halves) await refused(() => app.grants.revoke(id, SYSTEM_PRINCIPAL), 'conflict');
    expect(await app.grants.isLastAdministrator(both)).toBe(true);
    expect(await app.grants.isLastAdministrator(both.toUpperCase())).toBe(true);
    expect(await app.grants.isLastAdministrator(heir)).toBe(false);
  });

  test.each([
    ['whose grant ends', { expiresAt: hours(1_000) }],
    ['whose grant begins later', { notBefore: hours(1) }],
  ])('one %s does not stand in for them', async (_what, until) => {
    const id = await app.give(newSubject(), 'admin');
    await app.give(newSubject(), 'admin', until);
    await refused(() => app.grants.revoke(id, SYSTEM_PRINCIPAL), 'conflict');
  });

  test('one who is disabled, or unknown, does not stand in for them', async () => {
    const [here, away, gone] = [newSubject(), newSubject(), newSubject()];
    const id = await app.give(here, 'admin');
    await app.give(away, 'admin');
    await app.give(gone, 'admin');
    states.set(away, 'disabled').set(gone, 'unknown');
    expect(await app.grants.isLastAdministrator(here)).toBe(true);
    await refused(() => app.grants.revoke(id, SYSTEM_PRINCIPAL), 'conflict');
    states.clear();
    await app.grants.revoke(id, SYSTEM_PRINCIPAL);
  });

  test('where there was none, nothing is held up', async () => {
    const id = await app.give(newSubject(), 'granter');
    await app.grants.revoke(id, SYSTEM_PRINCIPAL);
    await app.roles.delete('granter', SYSTEM_PRINCIPAL);
  });
});
