import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Module } from '@nestjs/common';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { Scopes } from '../../../src/access/grants/scopes.js';
import { SeparationReview } from '../../../src/access/grants/separation-review.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { refusalOf } from '../../support/hostile.application.js';
import {
  assertRefused,
  emptyAccess,
  hours,
  startAccess,
  type AccessApplication,
} from '../access.application.js';
import { asOwner, newSubject, storeGrant } from '../access.fixtures.js';

@Module({})
class ProjectsModule {
  constructor(scopes: Scopes) {
    scopes.knownBy('project', { exists: () => Promise.resolve(true) });
  }
}

const SEPARATION = { name: 'who makes invoices does not approve them', roles: ['clerk', 'approver'] };
const ROLES = {
  clerk: { permissions: ['invoices:read'] },
  approver: { permissions: ['invoices:approve'] },
  reader: { permissions: ['documents:read'] },
  'senior-clerk': { inherits: ['clerk'] },
  head: { inherits: ['approver'] },
} as const;

describe('separation of duty', () => {
  let database: TestDatabase;
  let app: AccessApplication;
  let there: AccessApplication;
  beforeAll(async () => {
    database = await createTestDatabase();
    const options = {
      imports: [ProjectsModule],
      access: { scopes: ['project'], separationOfDuty: [SEPARATION], roles: ROLES as never },
    };
    app = await startAccess(database, options);
    there = await startAccess(database, { ...options, adapter: 'fastify' });
  });
  afterAll(async () => {
    await there.close();
    await app.close();
    await database.drop();
  });
  beforeEach(() => app.roles.sync(ROLES as never, SYSTEM_PRINCIPAL));
  afterEach(() => emptyAccess(database));

  type How = { scope?: string; notBefore?: Date; expiresAt?: Date };
  const give = (subject: string, role: string, how: How = {}, by = app): Promise<unknown> =>
    by.grants.grant({ subject, role, reason: 'test', ...how }, SYSTEM_PRINCIPAL);
  const refused = (change: () => Promise<unknown>, code: string, field?: string): Promise<void> =>
    assertRefused(app, database, change, code, field);
  const sync = (roles: object): Promise<unknown> => app.roles.sync(roles as never, SYSTEM_PRINCIPAL);

  test.each<[string, How, How]>([
    ['everywhere', {}, {}],
    ['in one scope', { scope: 'project:7' }, { scope: 'project:7' }],
    ['in different scopes', { scope: 'project:7' }, { scope: 'project:8' }],
    ['in a scope and everywhere', { scope: 'project:7' }, {}],
    ['one after the other', { expiresAt: hours(1) }, { notBefore: hours(2) }],
    ['both in the future', { notBefore: hours(5) }, { notBefore: hours(1), expiresAt: hours(2) }],
  ])('the two roles are not held together: %s', async (_where, first, second) => {
    for (const [one, other] of [
      ['clerk', 'approver'],
      ['approver', 'clerk'],
      ['senior-clerk', 'head'],
      ['clerk', 'head'],
    ] as const) {
      const subject = newSubject();
      await give(subject, one, first);
      await refused(() => give(subject, other, second), 'conflict');
      await refused(() => give(subject.toUpperCase(), other, second), 'conflict');
      await give(subject, 'reader');
      await give(newSubject(), other, second);
    }
  });

  test('a role may follow the other once that one has ended', async () => {
    const subject = newSubject();
    await give(subject, 'clerk');
    const [grant] = await app.grants.listOf(subject);
    await app.grants.revoke(grant!.id, SYSTEM_PRINCIPAL);
    await give(subject, 'approver');
    await asOwner(
      database,
      `UPDATE access."grant" SET created_at = now() - interval '1 day', expires_at = now() WHERE subject = $1`,
      [subject],
    );
    await give(subject, 'clerk');
  });

  test('of two grants in one moment on two replicas, exactly one is made', async () => {
    for (let round = 0; round < 5; round += 1) {
      const subject = newSubject();
      const outcomes = await Promise.allSettled([
        give(subject, 'clerk', {}, app),
        give(subject, 'head', { scope: 'project:7' }, there),
      ]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(await app.grants.listOf(subject)).toHaveLength(1);
    }
  });

  test('no role holds both, whichever way it comes about', async () => {
    await refused(() => sync({ boss: { inherits: ['clerk', 'approver'] } }), 'validation-failed', 'inherits');
    await refused(
      () => sync({ boss: { inherits: ['senior-clerk', 'head'] } }),
      'validation-failed',
      'inherits',
    );
    await refused(() => sync({ clerk: { inherits: ['head'] } }), 'validation-failed', 'inherits');
    await sync({ middle: { inherits: ['clerk'] }, boss: { inherits: ['middle'] } });
    await refused(
      () => sync({ middle: { inherits: ['approver', 'clerk'] } }),
      'validation-failed',
      'inherits',
    );
    await refused(
      () => sync({ middle: {}, boss: { inherits: ['middle', 'head', 'clerk'] } }),
      'validation-failed',
    );
    await sync({ middle: {}, boss: { inherits: ['middle', 'head'] } });
  });

  test('a role that begins to inherit one of them joins it in nobody’s hands', async () => {
    const subject = newSubject();
    await give(subject, 'reader', { scope: 'project:7' });
    await give(subject, 'clerk', { notBefore: hours(1) });
    await refused(() => sync({ reader: { inherits: ['approver'] } }), 'conflict');
    await refused(() => app.roles.put('reader', { inherits: ['head'] }, SYSTEM_PRINCIPAL), 'conflict');
    await sync({ reader: { permissions: ['documents:read'], inherits: ['clerk'] } });
  });

  describe('what was there before it was declared', () => {
    /** Behind the back of the services, as an application without the separation would have granted. */
    async function violator(...roles: string[]): Promise<string> {
      const subject = newSubject();
      for (const role of roles) await storeGrant(database, subject, role);
      return subject;
    }

    test('is seen: how many, and the first 20 with their roles', async () => {
      const review = app.app.get(SeparationReview);
      expect(await review.violations()).toEqual({ count: 0, subjects: [] });
      const direct = await violator('clerk', 'approver', 'reader');
      const inherited = await violator('senior-clerk', 'head');
      await violator('clerk', 'senior-clerk');
      await storeGrant(database, await violator('clerk'), 'approver', { revoked: true });
      const broken = (): object[] => [{ separation: SEPARATION.name, roles: ['clerk', 'approver'] }];
      const found = await review.violations();
      expect(found.count).toBe(2);
      expect(found.subjects).toEqual(
        [direct, inherited].sort().map((subject) => ({ subject, broken: broken() })),
      );
      for (let more = 0; more < 21; more += 1) await violator('clerk', 'approver');
      const many = await review.violations();
      expect([many.count, many.subjects.length]).toEqual([23, 20]);
    });

    test('is foreseen for roles that are to be brought in', async () => {
      const review = app.app.get(SeparationReview);
      await violator('clerk', 'reader');
      expect((await review.violations({ reader: { inherits: ['approver'] } })).count).toBe(1);
      expect((await review.violations({ reader: {} })).count).toBe(0);
    });

    test('is made no worse, and stands in nobody else’s way', async () => {
      const subject = await violator('clerk', 'approver');
      await refused(() => give(subject, 'clerk', { scope: 'project:7' }), 'conflict');
      await refused(() => give(subject, 'head'), 'conflict');
      await give(subject, 'reader');
      await give(newSubject(), 'clerk');
      await sync({ guest: { permissions: ['documents:read'] } });
      await sync({ clerk: { permissions: [] } });
      const [one] = await app.grants.listOf(subject);
      await app.grants.revoke(one!.id, SYSTEM_PRINCIPAL);
      expect((await app.app.get(SeparationReview).violations()).count).toBe(0);
    });
  });

  describe('at boot', () => {
    const refusal = (separationOfDuty: unknown, roles: object = ROLES): Promise<string> =>
      refusalOf({
        databaseUrl: database.appUrl,
        access: {
          permissions: { documents: ['read'], invoices: ['read', 'approve'] },
          roles: roles as never,
          separationOfDuty: separationOfDuty as never,
        },
      });

    test.each<[string, unknown, RegExp]>([
      [
        'an unknown role',
        [{ name: 'x', roles: ['clerk', 'aprover'] }],
        /"x" names "aprover", which is no declared role/,
      ],
      ['one role', [{ name: 'x', roles: ['clerk'] }], /"x" needs two different roles or more/],
      ['one role twice', [{ name: 'x', roles: ['clerk', 'clerk'] }], /"x" needs two different roles or more/],
      ['no roles', [{ name: 'x' }], /"x" needs two different roles or more/],
      ['a text for roles', [{ name: 'x', roles: 'clerk approver' }], /"x" needs two different roles or more/],
      ['no name', [{ roles: ['clerk', 'approver'] }], /each needs a name/],
    ])('%s stops the start', async (_what, separation, fault) => {
      expect(await refusal(separation)).toMatch(fault);
    });

    test('a declared role that holds both stops the start, however far down', async () => {
      const roles = {
        ...ROLES,
        middle: { inherits: ['head'] },
        boss: { inherits: ['middle', 'senior-clerk'] },
      };
      const text = await refusal([SEPARATION], roles);
      expect(text).toMatch(
        /role "boss" holds two roles of separationOfDuty .* by itself: cut the inheritance/,
      );
      expect(text).not.toMatch(/role "middle" holds/);
    });
  });
});
