import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeldTable, placesOf } from '../../../src/access/decision/held.js';

/** More than two words of bits, with the first and the last bit of each. */
const CATALOGUE = Array.from({ length: 70 }, (_none, at) => `things:do-${at}`);
const AT_THE_EDGES = [0, 1, 30, 31, 32, 33, 62, 63, 64, 69].map((at) => CATALOGUE[at]!);
const places = placesOf(CATALOGUE);
const holding = (scopes: Readonly<Record<string, readonly string[]>>): HeldTable =>
  new HeldTable(places, new Map(Object.entries(scopes)));

test('each permission of the catalogue has a place of its own, in the order of the catalogue', () => {
  expect([...placesOf(['a:b', 'a:c'])]).toEqual([
    ['a:b', 0],
    ['a:c', 1],
  ]);
});

describe('what is held', () => {
  test('RBAC-20 is said as a plain set says it, for any permissions in any scopes', () => {
    const permissions = fc.subarray([...AT_THE_EDGES, 'ghosts:summon']);
    const scopes = ['project:7', 'tenant:acme', 'tenant:beta'] as const;
    const held = fc.dictionary(fc.constantFrom('', ...scopes), permissions);
    fc.assert(
      fc.property(held, fc.subarray([...scopes, 'project:8']), (given, asked) => {
        const table = holding(given);
        const isHeld = (scope: string, permission: string): boolean =>
          places.has(permission) && (given[scope] ?? []).includes(permission);
        for (const permission of [...CATALOGUE, 'ghosts:summon']) {
          const where = scopes.filter((scope) => isHeld(scope, permission));
          const everywhere = isHeld('', permission);
          expect(table.holds(permission, asked)).toBe(
            everywhere || where.some((scope) => asked.includes(scope)),
          );
          expect(table.holdsSomewhere(permission)).toBe(everywhere || where.length > 0);
          expect([...table.scopesOf(permission)].sort()).toEqual([...where].sort());
        }
        expect(table.permissions()).toEqual(
          CATALOGUE.filter((each) => ['', ...scopes].some((scope) => isHeld(scope, each))).sort(),
        );
      }),
      { numRuns: 50 },
    );
  });

  test('RBAC-20 of one permission is not of its neighbour, at the edge of a word either', () => {
    for (const permission of AT_THE_EDGES) {
      const table = holding({ '': [permission], 'project:7': [permission] });
      expect(table.permissions()).toEqual([permission]);
      expect(CATALOGUE.filter((each) => table.holds(each, []))).toEqual([permission]);
      expect(CATALOGUE.filter((each) => table.scopesOf(each).length > 0)).toEqual([permission]);
    }
  });

  test('nowhere is nothing: no permission, no scope, no tenant', () => {
    for (const table of [holding({}), holding({ '': [] }), holding({ 'tenant:acme': [], '': [] })]) {
      expect(table.permissions()).toEqual([]);
      expect(table.tenants()).toEqual([]);
      expect(table.scopesOf(CATALOGUE[0]!)).toEqual([]);
      expect(table.holdsSomewhere(CATALOGUE[0]!)).toBe(false);
      expect(table.holds(CATALOGUE[0]!, ['', 'tenant:acme'])).toBe(false);
    }
  });

  test('everywhere is no scope: it is listed as none, and is of no tenant', () => {
    const table = holding({ '': [CATALOGUE[0]!] });
    expect(table.scopesOf(CATALOGUE[0]!)).toEqual([]);
    expect(table.tenants()).toEqual([]);
    expect(table.holds(CATALOGUE[0]!, [])).toBe(true);
    // What is held in a scope is not found under the name of everywhere.
    expect(holding({ 'project:7': [CATALOGUE[0]!] }).holds(CATALOGUE[0]!, [''])).toBe(false);
  });

  test('of a permission that nobody declared is nothing, wherever it stands', () => {
    const table = holding({ '': ['ghosts:summon'], 'tenant:acme': ['ghosts:summon'] });
    expect(table.permissions()).toEqual([]);
    expect(table.tenants()).toEqual([]);
    const other = holding({ 'project:7': [CATALOGUE[0]!] });
    expect(other.scopesOf('ghosts:summon')).toEqual([]);
    expect(other.holds('ghosts:summon', ['project:7'])).toBe(false);
  });

  test('permissions are listed by name, whatever their places', () => {
    const table = new HeldTable(placesOf(['b:b', 'c:c', 'a:a']), new Map([['', ['c:c', 'a:a', 'b:b']]]));
    expect(table.permissions()).toEqual(['a:a', 'b:b', 'c:c']);
  });
});

test('V8.4.1 the tenants are the scopes of this kind, and none whose kind only begins alike', () => {
  const held = [CATALOGUE[0]!];
  expect(
    holding({
      'tenant:acme': held,
      'tenants:none': held,
      'project:tenant': held,
      'tenant:with:colon': held,
      'tenant:empty': [],
    }).tenants(),
  ).toEqual(['acme', 'with:colon']);
});
