import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decide, type AccessQuestion } from '../../../src/access/decision/decide.js';
import { HeldTable, placesOf } from '../../../src/access/decision/held.js';
import { objectRule } from '../../../src/access/objects/object-rule.js';
import { permissionsOf, type RoleGraph } from '../../../src/access/grants/role-graph.js';
import type { AssuranceLevel } from '../../../src/core/assurance.js';
import type { Permission } from '../../../src/core/permission.js';

/** More than a word of bits, so that every place of every word is somebody's. */
const EVERYTHING = Array.from({ length: 70 }, (_, at) => `thing-${at}:do`);
const NAMES = ['thing-0:do', 'thing-31:do', 'thing-32:do', 'thing-63:do', 'thing-69:do'];
const ROLES = ['r0', 'r1', 'r2', 'r3'];
const SCOPES = [null, 'tenant:a', 'tenant:b', 'project:1', 'project:2'];
const LEVELS: readonly (AssuranceLevel | undefined)[] = [undefined, 'aal1', 'aal2', 'aal3'];
const NOW = 10_000;

interface Thing {
  readonly tenant: string | null;
  readonly project: string | number | null;
  readonly ruled: boolean;
}

interface World {
  /** Permissions that no code declares are left out of it, and convey nothing. */
  readonly catalogue: readonly string[];
  readonly roles: Readonly<Record<string, { readonly permissions: string[]; readonly inherits: string[] }>>;
  readonly grants: readonly { readonly role: string; readonly scope: string | null }[];
  readonly somebody: { readonly acr?: AssuranceLevel; readonly authTime: number } | undefined;
  readonly tenant: string | undefined;
}

interface Demand {
  readonly permissions: readonly string[];
  readonly within: 'tenant' | 'somewhere' | undefined;
  readonly assurance: { readonly acr: AssuranceLevel; readonly maxAgeSeconds?: number } | undefined;
  readonly resource:
    | {
        readonly object: Thing | null;
        readonly kinds: readonly ('tenant' | 'project')[];
        readonly overriddenBy: string | undefined;
      }
    | undefined;
}

const name = fc.constantFrom(...NAMES);
const worlds: fc.Arbitrary<World> = fc.record({
  catalogue: fc.subarray(NAMES),
  roles: fc.record(
    Object.fromEntries(
      ROLES.map((role) => [
        role,
        // Circles included: whoever writes past the service may leave one.
        fc.record({ permissions: fc.subarray(NAMES), inherits: fc.subarray(ROLES, { maxLength: 2 }) }),
      ]),
    ),
  ),
  grants: fc.array(fc.record({ role: fc.constantFrom(...ROLES), scope: fc.constantFrom(...SCOPES) }), {
    maxLength: 4,
  }),
  somebody: fc.option(
    fc
      .record({ acr: fc.constantFrom(...LEVELS), authTime: fc.constantFrom(NOW, NOW - 300, NOW - 301) })
      .map(({ acr, authTime }) => ({ authTime, ...(acr && { acr }) })),
    { nil: undefined, freq: 10 },
  ),
  tenant: fc.constantFrom(undefined, 'a', 'b'),
});
const demands: fc.Arbitrary<Demand> = fc.record({
  permissions: fc.array(name, { maxLength: 2 }),
  within: fc.constantFrom(undefined, undefined, 'tenant', 'somewhere'),
  assurance: fc.constantFrom(undefined, undefined, { acr: 'aal2' }, { acr: 'aal1', maxAgeSeconds: 300 }),
  resource: fc.option(
    fc.record({
      object: fc.option(
        fc.record({
          tenant: fc.constantFrom('a', 'b', null),
          project: fc.constantFrom('1', 2, null),
          ruled: fc.boolean(),
        }),
        { nil: null, freq: 8 },
      ),
      kinds: fc.subarray(['tenant', 'project'] as const),
      overriddenBy: fc.option(name, { nil: undefined }),
    }),
    { nil: undefined, freq: 3 },
  ),
});

/** Everybody who can be reached from a role, the slow way: again and again until nothing is added. */
function reachable(roles: World['roles'], from: readonly string[]): readonly string[] {
  const next = [...new Set([...from, ...from.flatMap((role) => roles[role]?.inherits ?? [])])];
  return next.length === from.length ? from : reachable(roles, next);
}

/** The same answer, said as plainly as can be: from the grants themselves, with nothing compiled. */
function oracle(world: World, { permissions, within, assurance, resource }: Demand): boolean {
  const { catalogue, roles, grants, somebody, tenant } = world;
  const isHeld = (permission: string, counts: (scope: string | null) => boolean): boolean =>
    catalogue.includes(permission) &&
    grants.some(
      ({ role, scope }) =>
        counts(scope) &&
        reachable(roles, [role]).some((each) => roles[each]!.permissions.includes(permission)),
    );
  if (permissions.length === 0 || !somebody) return false;
  if (within === 'tenant' && tenant === undefined) return false;
  if (assurance) {
    const levels = ['aal1', 'aal2', 'aal3'];
    if (!somebody.acr || levels.indexOf(somebody.acr) < levels.indexOf(assurance.acr)) return false;
    if (assurance.maxAgeSeconds !== undefined && NOW - somebody.authTime > assurance.maxAgeSeconds)
      return false;
  }
  if (!resource) {
    const counts = (scope: string | null): boolean =>
      scope === null || within === 'somewhere' || (within === 'tenant' && scope === `tenant:${tenant!}`);
    return permissions.every((permission) => isHeld(permission, counts));
  }
  const { object, kinds, overriddenBy } = resource;
  if (!object) return false;
  if (kinds.includes('tenant') && (tenant === undefined || object.tenant !== tenant)) return false;
  const lies = (scope: string | null): boolean =>
    scope === null ||
    kinds.some((kind) => object[kind] !== null && scope === `${kind}:${String(object[kind])}`);
  if (!permissions.every((permission) => isHeld(permission, lies))) return false;
  return object.ruled || (overriddenBy !== undefined && isHeld(overriddenBy, lies));
}

/** The table that a request would be decided by, compiled from the same grants. */
function held({ catalogue, roles, grants }: World): HeldTable {
  const graph: RoleGraph = new Map(
    Object.entries(roles).map(([role, definition]) => [role, { ...definition, mayGrant: [] }]),
  );
  const scopes = new Map<string, Set<string>>();
  for (const { role, scope } of grants) {
    const known = scopes.get(scope ?? '') ?? new Set();
    scopes.set(scope ?? '', new Set([...known, ...permissionsOf(graph, [role])]));
  }
  const declared = EVERYTHING.filter((each) => !NAMES.includes(each) || catalogue.includes(each));
  return new HeldTable(placesOf(declared), scopes);
}

function decided(world: World, { permissions, within, assurance, resource }: Demand): boolean {
  const question: AccessQuestion<Thing> = {
    principal: world.somebody && { kind: 'account', subject: 'alice', ...world.somebody },
    permission: permissions as readonly Permission[],
    within,
    assurance,
    ...(resource && {
      resource: {
        object: resource.object,
        rule: objectRule<Thing>({
          type: 'thing',
          name: 'random',
          holds: ({ ruled }) => ruled,
          scopes: Object.fromEntries(resource.kinds.map((kind) => [kind, kind])),
          ...(resource.overriddenBy && { overriddenBy: resource.overriddenBy as Permission }),
        }),
      },
    }),
    context: { held: held(world), tenant: world.tenant, nowSeconds: NOW },
  };
  return decide(question).granted;
}

test('decide() grants exactly what a naive oracle grants, for any catalogue, hierarchy, grants, scopes, object and assurance', () => {
  let granted = 0;
  fc.assert(
    fc.property(worlds, demands, (world, demand) => {
      const answer = decided(world, demand);
      granted += Number(answer);
      expect(answer).toBe(oracle(world, demand));
    }),
    { numRuns: 5_000 },
  );
  // Both answers came often enough to tell them apart.
  expect(granted).toBeGreaterThan(100);
});

test('taking a grant, a permission or an inheritance away never turns a refusal into a grant', () => {
  fc.assert(
    fc.property(
      worlds,
      demands,
      fc.nat(),
      fc.constantFrom(...ROLES),
      name,
      (world, demand, at, role, less) => {
        if (decided(world, demand)) return;
        const without = (part: Partial<World['roles'][string]>): World => ({
          ...world,
          roles: { ...world.roles, [role]: { ...world.roles[role]!, ...part } },
        });
        const { permissions, inherits } = world.roles[role]!;
        const worlds: World[] = [
          { ...world, grants: world.grants.filter((_, index) => index !== at % world.grants.length) },
          { ...world, catalogue: world.catalogue.filter((each) => each !== less) },
          without({ permissions: permissions.filter((each) => each !== less) }),
          without({ inherits: inherits.slice(1) }),
        ];
        for (const smaller of worlds) expect(decided(smaller, demand)).toBe(false);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('demanding more (a permission, assurance, the object, its tenant) never turns a refusal into a grant', () => {
  fc.assert(
    fc.property(worlds, demands, name, (world, demand, more) => {
      // An empty demand is refused for being empty.
      if (demand.permissions.length === 0 || decided(world, demand)) return;
      const { permissions, resource } = demand;
      const stricter: Demand[] = [
        { ...demand, permissions: [...permissions, more] },
        ...(demand.assurance ? [] : [{ ...demand, assurance: { acr: 'aal1' as const } }]),
        ...(demand.within === 'somewhere' ? [{ ...demand, within: undefined }] : []),
        ...(resource
          ? [
              { ...demand, resource: { ...resource, overriddenBy: undefined } },
              { ...demand, resource: { ...resource, object: null } },
              {
                ...demand,
                resource: { ...resource, object: resource.object && { ...resource.object, ruled: false } },
              },
            ]
          : []),
        // Where no scope counts, an object narrows what is held everywhere; somewhere, it narrows in whatever scope.
        ...(resource || demand.within === 'tenant'
          ? []
          : [
              {
                ...demand,
                resource: {
                  object: { tenant: 'a', project: '1', ruled: true },
                  kinds: demand.within === 'somewhere' ? (['tenant', 'project'] as const) : [],
                  overriddenBy: undefined,
                },
              },
            ]),
      ];
      for (const each of stricter) expect(decided(world, each)).toBe(false);
    }),
    { numRuns: 2_000 },
  );
});

test('an object whose rule belongs to tenants is granted in the tenant of the request alone, whatever else is said', () => {
  fc.assert(
    fc.property(worlds, demands, (world, demand) => {
      const { resource } = demand;
      if (!resource?.kinds.includes('tenant') || !decided(world, demand)) return;
      expect(resource.object?.tenant).toBe(world.tenant);
    }),
    { numRuns: 2_000 },
  );
});
