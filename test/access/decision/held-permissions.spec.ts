import { Logger } from '@nestjs/common';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { AccessService } from '../../../src/access/access.service.js';
import { AccessSettings } from '../../../src/access/access.settings.js';
import { decide } from '../../../src/access/decision/decide.js';
import { HeldTable, placesOf } from '../../../src/access/decision/held.js';
import { HeldPermissions } from '../../../src/access/decision/held-permissions.js';
import type { Permission } from '../../../src/core/permission.js';
import { RequestContext } from '../../../src/core/request-context.js';
import { UnitOfWork } from '../../../src/database/unit-of-work.js';
import { FreshnessFeed } from '../../../src/freshness/freshness.feed.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { startHostile, type HostileApplication } from '../../support/hostile.application.js';
import {
  asOwner,
  newSubject,
  storeGrant,
  storeRoles,
  type StoredGrant,
  type StoredRole,
} from '../access.fixtures.js';

const PERMISSIONS = [
  'documents:read',
  'documents:write',
  'documents:share',
  'invoices:read',
  'roles:read',
] as const;
const permissions = { documents: ['read', 'write', 'share'], invoices: ['read'] } as const;
/** In the database, declared by nobody. */
const UNDECLARED = 'ghosts:read';

const ROLES = ['r0', 'r1', 'r2', 'r3', 'r4', 'r5'] as const;

/** Every state that a grant can be in, with what an oracle says of it. */
const GRANT_STATES: readonly (readonly [live: boolean, state: StoredGrant])[] = [
  [true, {}],
  [true, { expiresAt: "now() + interval '1 hour'" }],
  [true, { notBefore: "now() - interval '1 hour'" }],
  [true, { notBefore: "now() - interval '1 hour'", expiresAt: "now() + interval '1 hour'" }],
  [false, { revoked: true }],
  [false, { expiresAt: "now() - interval '1 millisecond'" }],
  [false, { notBefore: "now() + interval '1 hour'" }],
  [false, { notBefore: "now() - interval '2 hours'", expiresAt: "now() - interval '1 hour'" }],
  [false, { revoked: true, expiresAt: "now() + interval '1 hour'" }],
];

let database: TestDatabase;
let started: HostileApplication;
beforeAll(async () => {
  database = await createTestDatabase();
  started = await startHostile({ databaseUrl: database.appUrl, access: { permissions } });
});
afterAll(async () => {
  await started.close();
  await database.drop();
});
afterEach(async () => {
  await asOwner(database, 'DELETE FROM access."grant"');
  await asOwner(database, 'DELETE FROM access.role_inherits');
  await asOwner(database, 'DELETE FROM access.role');
});

type Graph = Readonly<Record<string, Required<Omit<StoredRole, 'mayGrant'>>>>;

/** As plain as it can be said. */
function oracle(graph: Graph, roles: readonly string[], seen: readonly string[] = []): string[] {
  return roles.flatMap((role) => {
    if (seen.includes(role)) return [];
    const { permissions: own, inherits } = graph[role] ?? { permissions: [], inherits: [] };
    return [...own.filter((each) => each !== UNDECLARED), ...oracle(graph, inherits, [...seen, role])];
  });
}

describe('what a subject holds', () => {
  test('RBAC-20 one statement and decide() say what a naive oracle says, circles included; a revocation only takes away', async () => {
    const role = fc.record({
      permissions: fc.uniqueArray(fc.constantFrom<string>(...PERMISSIONS, UNDECLARED), { maxLength: 3 }),
      inherits: fc.uniqueArray(fc.constantFrom<string>(...ROLES), { maxLength: 3 }),
    });
    const graph = fc.record(Object.fromEntries(ROLES.map((name) => [name, role])));
    const grants = fc.uniqueArray(
      fc.record({ role: fc.constantFrom<string>(...ROLES), state: fc.constantFrom(...GRANT_STATES) }),
      { maxLength: 4, selector: (grant) => grant.role },
    );
    const demand = fc.uniqueArray(fc.constantFrom<Permission>(...PERMISSIONS), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(graph, grants, demand, async (random, granted, demanded) => {
        const drawn: Graph = Object.fromEntries(
          Object.entries(random).map(([name, { permissions: own, inherits }]) => [
            name,
            { permissions: own, inherits: inherits.filter((other) => other !== name) },
          ]),
        );
        await asOwner(database, 'DELETE FROM access."grant"');
        await asOwner(database, 'DELETE FROM access.role_inherits');
        await asOwner(database, 'DELETE FROM access.role');
        await storeRoles(database, drawn);
        const subject = newSubject();
        const ids: string[] = [];
        for (const { role: name, state } of granted)
          ids.push(await storeGrant(database, subject, name, state[1]));
        // Somebody else's grants are nobody else's.
        await storeGrant(database, newSubject(), 'r0');

        const access = started.app.get(AccessService);
        const expected = new Set(
          oracle(
            drawn,
            granted.filter(({ state }) => state[0]).map((each) => each.role),
          ),
        );
        const held = new Set(await access.permissionsOf(subject));
        expect([...held].sort()).toEqual([...expected].sort());
        const decision = decide({
          principal: { kind: 'account', subject },
          permission: demanded,
          context: { held: await started.app.get(HeldPermissions).ofSubject(subject) },
        });
        expect(decision.granted).toBe(demanded.length > 0 && demanded.every((each) => expected.has(each)));

        if (ids[0] === undefined) return;
        await asOwner(
          database,
          `UPDATE access."grant" SET revoked_at = now(), revoked_by = 'test' WHERE id = $1`,
          [ids[0]],
        );
        for (const each of await access.permissionsOf(subject)) expect(held.has(each)).toBe(true);
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  test('RBAC-20 a chain of 10,000 roles and 5,000 permissions in the database end, and a decision on them is quick', async () => {
    const chain = Array.from({ length: 10_000 }, (_, index) => `c${index}`);
    await asOwner(database, 'INSERT INTO access.role (name) SELECT unnest($1::text[])', [chain]);
    await asOwner(database, 'INSERT INTO access.role_inherits SELECT * FROM unnest($1::text[], $2::text[])', [
      chain.slice(0, -1),
      chain.slice(1),
    ]);
    await asOwner(
      database,
      `INSERT INTO access.role_permission SELECT 'c9999', 'many:p' || n FROM generate_series(1, 5000) n`,
    );
    await asOwner(database, `INSERT INTO access.role_permission VALUES ('c9999', 'documents:read')`);
    // As autovacuum does a minute later: without statistics the planner reads the whole table for each step.
    await asOwner(database, 'ANALYZE access.role_inherits');
    const subject = newSubject();
    await storeGrant(database, subject, 'c0');
    expect(await started.app.get(AccessService).permissionsOf(subject)).toEqual(['documents:read']);

    const all = ['documents:read', ...Array.from({ length: 5_000 }, (_, index) => `many:p${index}`)];
    const held = new HeldTable(placesOf(all), new Map([['', all]]));
    const times = Array.from({ length: 1_000 }, () => {
      const before = performance.now();
      decide({
        principal: { kind: 'account', subject },
        permission: 'documents:read',
        context: { held },
      });
      return performance.now() - before;
    }).sort((a, b) => a - b);
    expect(times[989]).toBeLessThan(1);
  });

  test('a grant ends by the clock of the database, with nobody acting', async () => {
    await storeRoles(database, { reader: { permissions: ['documents:read'] } });
    const subject = newSubject();
    const id = await storeGrant(database, subject, 'reader', {
      expiresAt: "clock_timestamp() + interval '1 hour'",
    });
    const access = started.app.get(AccessService);
    expect(await access.permissionsOf(subject)).toEqual(['documents:read']);
    expect(await access.rolesOf(subject)).toEqual(['reader']);
    await asOwner(database, `UPDATE access."grant" SET expires_at = clock_timestamp() WHERE id = $1`, [id]);
    expect(await access.permissionsOf(subject)).toEqual([]);
    expect(await access.rolesOf(subject)).toEqual([]);
  });

  test('a transaction that began before a grant ended does not prolong it', async () => {
    await storeRoles(database, { reader: { permissions: ['documents:read'] } });
    const subject = newSubject();
    const id = await storeGrant(database, subject, 'reader');
    const access = started.app.get(AccessService);
    await started.app.get(UnitOfWork).run(async () => {
      expect(await access.permissionsOf(subject)).toEqual(['documents:read']);
      await asOwner(database, `UPDATE access."grant" SET expires_at = clock_timestamp() WHERE id = $1`, [id]);
      expect(await access.permissionsOf(subject)).toEqual([]);
    });
  });

  test.each(['', 'alice', 'auth0|123', "' OR true --", '00000000-0000-0000-0000-00000000000', 'system'])(
    'the subject %j cannot hold grants: nothing, and no statement that fails',
    async (subject) => {
      expect(await started.app.get(AccessService).permissionsOf(subject)).toEqual([]);
      expect(await started.app.get(AccessService).rolesOf(subject)).toEqual([]);
    },
  );

  test('a permission in the database that nobody declared conveys nothing, and is reported once', async () => {
    const warn = vi.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    try {
      await storeRoles(database, { haunted: { permissions: ['documents:read', 'specters:summon'] } });
      const subject = newSubject();
      await storeGrant(database, subject, 'haunted');
      // One of its own: the report is bounded, and the chain of roles above has used it up.
      const held = new HeldPermissions(
        started.app.get(UnitOfWork),
        started.app.get(AccessSettings),
        started.app.get(FreshnessFeed),
      );
      expect((await held.ofSubject(subject)).permissions()).toEqual(['documents:read']);
      expect((await held.ofSubject(subject)).permissions()).toEqual(['documents:read']);
      expect(warn.mock.calls.filter(([text]) => String(text).includes('"specters:summon"'))).toHaveLength(1);
    } finally {
      warn.mockRestore();
    }
  });

  test('who holds the same shares one table, and nobody another one', async () => {
    await storeRoles(database, {
      'first-of-two': { permissions: ['documents:read'] },
      'second-of-two': { permissions: ['documents:read'] },
      more: { permissions: ['documents:read', 'documents:write'] },
    });
    const tableOf = async (...roles: string[]): Promise<HeldTable> => {
      const subject = newSubject();
      for (const role of roles) await storeGrant(database, subject, role);
      return started.app.get(HeldPermissions).ofSubject(subject);
    };
    const first = await tableOf('first-of-two');
    expect(await tableOf('second-of-two')).toBe(first);
    expect(await tableOf('first-of-two', 'second-of-two')).toBe(first);
    expect(await tableOf('more')).not.toBe(first);
    expect(await tableOf()).not.toBe(first);
    expect((await tableOf('more', 'first-of-two')).permissions()).toEqual([
      'documents:read',
      'documents:write',
    ]);
  });

  test('it is asked of the database once, and again after a failure or a change', async () => {
    await storeRoles(database, { reader: { permissions: ['documents:read'] } });
    const subject = newSubject();
    await storeGrant(database, subject, 'reader');
    // Else the feed may say in the midst of it what was changed just now. Twice: one look may have begun before that.
    const feed = started.app.get(FreshnessFeed);
    await feed.confirm();
    await feed.confirm();
    let asked = 0;
    let failing = true;
    const unitOfWork = started.app.get(UnitOfWork);
    const query = (sql: string, values: unknown[]): Promise<unknown[]> => {
      asked += 1;
      return failing ? Promise.reject(new Error('down')) : unitOfWork.query(sql, values);
    };
    const counting = { active: false, query } as unknown as UnitOfWork;
    const held = new HeldPermissions(counting, started.app.get(AccessSettings), feed);
    const principal = { kind: 'account', subject } as const;
    const request = new RequestContext({ transport: 'http', receivedAtMs: 0 });
    await expect(held.ofRequest(request, principal)).rejects.toThrow('down');
    failing = false;
    expect((await held.ofRequest(request, principal)).permissions()).toEqual(['documents:read']);
    await Promise.all([held.ofRequest(request, principal), held.ofRequest(request, principal)]);
    expect(asked).toBe(3);
    const another = (): RequestContext => new RequestContext({ transport: 'http', receivedAtMs: 0 });
    await held.ofRequest(another(), principal);
    expect(asked).toBe(3);
    held.forget();
    await held.ofRequest(another(), principal);
    expect(asked).toBe(5);
  });
});
