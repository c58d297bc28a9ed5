import fc from 'fast-check';
import { Module } from '@nestjs/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { Scopes } from '../../../src/access/grants/scopes.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { as, emptyAccess, startAccess, type AccessApplication } from '../access.application.js';
import { newSubject } from '../access.fixtures.js';

@Module({})
class ProjectsModule {
  constructor(scopes: Scopes) {
    scopes.knownBy('project', { exists: () => Promise.resolve(true) });
  }
}

let database: TestDatabase;
let app: AccessApplication;
beforeAll(async () => {
  database = await createTestDatabase();
  app = await startAccess(database, { imports: [ProjectsModule], access: { scopes: ['project'] } });
});
afterAll(async () => {
  await app.close();
  await database.drop();
});

const PERMISSIONS = ['documents:read', 'documents:write', 'invoices:approve'] as const;
const NAMES = ['a', 'b', 'c', 'd'] as const;
const SCOPES = [undefined, 'project:7', 'project:8'] as const;
type Name = (typeof NAMES)[number];
interface Definition {
  readonly permissions: string[];
  readonly inherits: Name[];
  readonly mayGrant: Name[];
}

/** Inherits only what comes later in the alphabet: no circles. */
const definitionOf = (name: Name): fc.Arbitrary<Definition> => {
  const later = NAMES.filter((other) => other > name);
  const others = NAMES.filter((other) => other !== name);
  return fc.record({
    permissions: fc.subarray([...PERMISSIONS]),
    inherits: fc.subarray([...later]),
    mayGrant: fc.subarray([...others], { maxLength: 1 }),
  });
};
const roles = fc.record({
  a: definitionOf('a'),
  b: definitionOf('b'),
  c: definitionOf('c'),
  d: definitionOf('d'),
});
const held = fc.uniqueArray(
  fc.record({ role: fc.constantFrom(...NAMES), scope: fc.constantFrom(...SCOPES) }),
  {
    maxLength: 3,
    selector: ({ role, scope }) => `${role} ${String(scope)}`,
  },
);

/** Naively, and written apart from the code: what a role conveys, walked with no memory. */
function says(graph: Record<Name, Definition>, role: Name): Set<string> {
  return new Set([
    ...graph[role].permissions,
    ...graph[role].inherits.flatMap((each) => [...says(graph, each)]),
  ]);
}
function handsOut(graph: Record<Name, Definition>, role: Name): Set<string> {
  const { inherits, mayGrant } = graph[role];
  return new Set([
    ...says(graph, role),
    ...mayGrant.flatMap((each) => [...says(graph, each)]),
    ...inherits.flatMap((each) => [...handsOut(graph, each)]),
  ]);
}

test('RBAC-24 for random roles and grants with scopes, a grant is made exactly where the giver holds all that it conveys', async () => {
  const outcomes = { made: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(
      roles,
      held,
      fc.constantFrom(...NAMES),
      fc.constantFrom(...SCOPES),
      async (graph, own, role, scope) => {
        await emptyAccess(database);
        await app.roles.sync(graph as never, SYSTEM_PRINCIPAL);
        const actor = newSubject();
        for (const each of own) {
          const request = {
            subject: actor,
            role: each.role,
            reason: 'test',
            ...(each.scope && { scope: each.scope }),
          };
          await app.grants.grant(request, SYSTEM_PRINCIPAL);
        }
        const within = own.filter((each) => each.scope === undefined || each.scope === scope);
        const reach = new Set(within.flatMap((each) => [...handsOut(graph, each.role)]));
        const expected = [...handsOut(graph, role)].every((permission) => reach.has(permission));

        const request = { subject: newSubject(), role, reason: 'test', ...(scope && { scope }) };
        const made = await app.grants.grant(request, as(actor)).then(
          ({ id }) => id,
          (error: unknown) => {
            expect(error).toMatchObject({ code: 'permission-denied' });
            return undefined;
          },
        );
        expect(made !== undefined).toBe(expected);
        outcomes[made === undefined ? 'refused' : 'made'] += 1;
        // What one may give one may take, and nothing else.
        const other = made ?? (await app.grants.grant(request, SYSTEM_PRINCIPAL)).id;
        const taken = await app.grants.revoke(other, as(actor)).then(
          () => true,
          () => false,
        );
        expect(taken).toBe(expected);
      },
    ),
    { numRuns: 60, seed: 2401 },
  );
  // Both happened, or nothing was shown.
  expect(Math.min(outcomes.made, outcomes.refused)).toBeGreaterThan(5);
}, 120_000);
