import { Controller, Get, type Type } from '@nestjs/common';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decide } from '../../src/access/decision/decide.js';
import { HeldPermissions } from '../../src/access/decision/held-permissions.js';
import type { Permission, PermissionCatalogue } from '../../src/core/permission.js';
import { RequirePermission } from '../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { ADAPTERS, ask } from '../support/hostile.application.js';
import { emptyAccess, startAccess } from './access.application.js';
import { asOwner, newSubject, storeGrant, storeRoles, type StoredGrant } from './access.fixtures.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const ROLES = ['r0', 'r1', 'r2', 'r3'] as const;
const RESOURCES = ['alpha', 'beta', 'gamma-ray'] as const;
const ACTIONS = ['read', 'write', 'sign-off'] as const;
/** Also what a random catalogue leaves out: it may stand in the database, and conveys nothing. */
const EVERYTHING = RESOURCES.flatMap((resource) => ACTIONS.map((action) => `${resource}:${action}`));

const LIVE: StoredGrant = {};
const GRANT_STATES: readonly StoredGrant[] = [
  LIVE,
  { revoked: true },
  { expiresAt: "now() - interval '1 second'" },
  { notBefore: "now() + interval '1 hour'" },
];

const random = fc
  .uniqueArray(fc.constantFrom(...EVERYTHING), { minLength: 1, maxLength: 6 })
  .chain((declared) =>
    fc.record({
      declared: fc.constant(declared),
      roles: fc.record(
        Object.fromEntries(
          ROLES.map((name) => [
            name,
            fc.record({
              permissions: fc.uniqueArray(fc.constantFrom(...EVERYTHING), { maxLength: 3 }),
              // Circles included: whoever writes past the service may leave one.
              inherits: fc
                .uniqueArray(fc.constantFrom<string>(...ROLES), { maxLength: 2 })
                .map((inherits) => inherits.filter((other) => other !== name)),
            }),
          ]),
        ),
      ),
      grants: fc.uniqueArray(
        fc.record({ role: fc.constantFrom<string>(...ROLES), state: fc.constantFrom(...GRANT_STATES) }),
        { minLength: 1, maxLength: 3, selector: ({ role }) => role },
      ),
      demands: fc.array(fc.uniqueArray(fc.constantFrom(...declared), { minLength: 1, maxLength: 2 }), {
        minLength: 1,
        maxLength: 3,
      }),
      more: fc.constantFrom(...declared),
    }),
  );

interface StoredRoles {
  readonly [name: string]: { readonly permissions: readonly string[]; readonly inherits: readonly string[] };
}

/** Everybody who can be reached from a role, the slow way: again and again until nothing is added. */
function reachable(roles: StoredRoles, from: readonly string[]): readonly string[] {
  const next = [...new Set([...from, ...from.flatMap((name) => roles[name]?.inherits ?? [])])];
  return next.length === from.length ? from : reachable(roles, next);
}

function catalogueOf(declared: readonly string[]): PermissionCatalogue {
  const parts = declared.map((name) => name.split(':') as [string, string]);
  return Object.fromEntries(
    parts.map(([resource]) => [
      resource,
      parts.filter(([of]) => of === resource).map(([, action]) => action),
    ]),
  );
}

/** One handler a demand, at `/demand/<index>`. */
function controllerOf(demands: readonly (readonly string[])[]): Type {
  @Controller('demand')
  class DemandController {}
  demands.forEach((demand, at) => {
    const name = `handle${at}`;
    const descriptor = { value: () => 'granted', configurable: true, writable: true };
    Object.defineProperty(DemandController.prototype, name, descriptor);
    Get(String(at))(DemandController.prototype, name, descriptor);
    RequirePermission(...(demand as [Permission]))(DemandController.prototype, name, descriptor);
  });
  return DemandController;
}

test.each(ADAPTERS)(
  'RBAC-01 RBAC-18 RBAC-20 on %s a route answers what a naive oracle says, for any catalogue, hierarchy and grants; ' +
    'taking a grant away or demanding more never grants',
  async (adapter) => {
    await fc.assert(
      fc.asyncProperty(random, async ({ declared, roles, grants, demands, more }) => {
        const all = [...demands, ...demands.map((demand) => [...new Set([...demand, more])])];
        await emptyAccess(database);
        await storeRoles(database, roles);
        const subject = newSubject();
        const ids = await Promise.all(
          grants.map(({ role, state }) => storeGrant(database, subject, role, state)),
        );
        const app = await startAccess(database, {
          adapter,
          controllers: [controllerOf(all)],
          access: { permissions: catalogueOf(declared) },
        });
        try {
          const answers = async (as?: string): Promise<number[]> => {
            const asked = all.map((_, at) => ask(app, 'GET', `/demand/${at}`, { as }));
            return (await Promise.all(asked)).map(({ status }) => status);
          };
          const live = grants.filter(({ state }) => state === LIVE).map(({ role }) => role);
          const may = new Set(reachable(roles, live).flatMap((name) => roles[name]?.permissions ?? []));
          const expected = all.map((demand) => demand.every((each) => may.has(each)));
          const before = await answers(subject);
          expect(before).toEqual(expected.map((granted) => (granted ? 200 : 403)));
          expect(await answers()).toEqual(all.map(() => 401));
          expect(await answers(newSubject())).toEqual(all.map(() => 403));

          const held = await app.app.get(HeldPermissions).ofSubject(subject);
          const decided = all.map((demand) =>
            decide({
              principal: { kind: 'account', subject },
              permission: demand as Permission[],
              context: { held },
            }),
          );
          expect(decided.map(({ granted }) => granted)).toEqual(expected);

          demands.forEach((_, at) => {
            // Demanding more.
            if (before[at] !== 200) expect(before[demands.length + at]).toBe(403);
          });
          await asOwner(
            database,
            `UPDATE access."grant" SET revoked_at = now(), revoked_by = 'test' WHERE id = $1 AND revoked_at IS NULL`,
            [ids[0]],
          );
          (await answers(subject)).forEach((status, at) => {
            if (before[at] !== 200) expect(status).toBe(403);
          });
        } finally {
          await app.close();
        }
      }),
      { numRuns: 15 },
    );
  },
  120_000,
);
