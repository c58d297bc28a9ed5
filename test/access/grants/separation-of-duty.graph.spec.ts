import { describe, expect, test } from 'vitest';
import type { RoleGraph } from '../../../src/access/grants/role-graph.js';
import {
  brokenBy,
  brokenByAdding,
  joinedIn,
  newlyBrokenBy,
  separationFaults,
  type SeparatedRoles,
} from '../../../src/access/grants/separation-of-duty.js';

const graphOf = (inherits: Readonly<Record<string, readonly string[]>>): RoleGraph =>
  new Map(
    Object.entries(inherits).map(([name, above]) => [
      name,
      { permissions: [], inherits: above, mayGrant: [] },
    ]),
  );

const GRAPH = graphOf({
  clerk: [],
  approver: [],
  auditor: [],
  reader: [],
  'senior-clerk': ['clerk'],
  head: ['approver'],
});
const INVOICES: SeparatedRoles = { name: 'invoices', roles: ['clerk', 'approver'] };
const AUDIT: SeparatedRoles = { name: 'audit', roles: ['auditor', 'clerk', 'approver'] };
const BOTH = [INVOICES, AUDIT];

describe('a separation', () => {
  test('V8.2.1 is broken by two of its roles, however they are reached, and says which', () => {
    expect(joinedIn(INVOICES, GRAPH, ['clerk', 'approver'])).toEqual(['clerk', 'approver']);
    expect(joinedIn(INVOICES, GRAPH, ['head', 'senior-clerk'])).toEqual(['clerk', 'approver']);
    expect(joinedIn(AUDIT, GRAPH, ['auditor', 'head', 'reader'])).toEqual(['auditor', 'approver']);
  });

  test('is not broken by one of its roles, however often it is reached, nor by others', () => {
    for (const held of [[], ['clerk'], ['clerk', 'senior-clerk'], ['reader', 'auditor', 'clerk']]) {
      expect(joinedIn(INVOICES, GRAPH, held)).toEqual([]);
    }
  });

  test('is found where it is the first that is broken, and none where none is', () => {
    expect(brokenBy(BOTH, GRAPH, ['clerk', 'head'])).toBe(INVOICES);
    expect(brokenBy(BOTH, GRAPH, ['clerk', 'auditor'])).toBe(AUDIT);
    expect(brokenBy(BOTH, GRAPH, ['clerk', 'reader'])).toBeUndefined();
    expect(brokenBy([], GRAPH, ['clerk', 'head'])).toBeUndefined();
  });
});

describe('a change of the roles', () => {
  const after = graphOf({ clerk: [], approver: [], auditor: [], reader: ['approver'] });
  const further = graphOf({ clerk: ['auditor'], approver: [], auditor: [], reader: [] });

  test('breaks what it joins anew', () => {
    expect(newlyBrokenBy(BOTH, GRAPH, after, ['clerk', 'reader'])).toBe(INVOICES);
    expect(newlyBrokenBy([AUDIT], GRAPH, further, ['clerk', 'approver'])).toBe(AUDIT);
  });

  test('may leave broken what was broken before, or mend it', () => {
    expect(newlyBrokenBy(BOTH, GRAPH, GRAPH, ['clerk', 'approver'])).toBeUndefined();
    expect(newlyBrokenBy(BOTH, after, GRAPH, ['clerk', 'reader'])).toBeUndefined();
    expect(newlyBrokenBy(BOTH, GRAPH, after, ['clerk'])).toBeUndefined();
  });
});

describe('one more role', () => {
  test('breaks a separation that it completes, itself or by what it inherits', () => {
    expect(brokenByAdding(BOTH, GRAPH, ['clerk'], 'approver')).toBe(INVOICES);
    expect(brokenByAdding(BOTH, GRAPH, ['senior-clerk'], 'head')).toBe(INVOICES);
    expect(brokenByAdding(BOTH, GRAPH, ['auditor'], 'senior-clerk')).toBe(AUDIT);
  });

  test('is refused while a separation is broken in which it has a part, and no other is', () => {
    expect(brokenByAdding(BOTH, GRAPH, ['clerk', 'approver'], 'auditor')).toBe(AUDIT);
    expect(brokenByAdding([INVOICES], GRAPH, ['clerk', 'approver'], 'head')).toBe(INVOICES);
    expect(brokenByAdding(BOTH, GRAPH, ['clerk', 'approver'], 'reader')).toBeUndefined();
    expect(brokenByAdding(BOTH, GRAPH, [], 'clerk')).toBeUndefined();
    expect(brokenByAdding(BOTH, GRAPH, ['reader'], 'clerk')).toBeUndefined();
  });
});

describe('what is wrong with a declared separation is said with its mend', () => {
  const UNNAMED = 'separationOfDuty: each needs a name that says what it keeps apart';
  const few = (name: string): string => `separationOfDuty "${name}" needs two different roles or more`;

  test.each<[string, object, readonly string[]]>([
    ['nothing, where it is as it should be', INVOICES, []],
    ['no name', { roles: ['clerk', 'approver'] }, [UNNAMED]],
    ['a name of blanks', { ...INVOICES, name: ' ' }, [UNNAMED]],
    ['no roles', { name: 'a' }, [few('a')]],
    ['roles that are no list', { name: 'a', roles: 'clerk' }, [few('a')]],
    ['one role', { name: 'a', roles: ['clerk'] }, [few('a')]],
    ['one role twice', { name: 'a', roles: ['clerk', 'clerk'] }, [few('a')]],
    ['two roles, one of them twice', { name: 'a', roles: ['clerk', 'approver', 'clerk'] }, [few('a')]],
    [
      'roles that nobody declared',
      { name: 'a', roles: ['clerk', 'aprover', 'boss'] },
      ['aprover', 'boss'].map(
        (role) =>
          `separationOfDuty "a" names "${role}", which is no declared role: add it to roles or correct it`,
      ),
    ],
    ['nothing at all', {}, [UNNAMED, few('')]],
  ])('%s', (_name, separation, faults) => {
    const declared = graphOf({ clerk: [], approver: [] });
    expect(separationFaults([separation], declared)).toEqual(faults);
  });

  test('a declared role that holds both by itself, each of them', () => {
    const declared = graphOf({ clerk: [], approver: [], boss: ['clerk', 'approver'], chief: ['boss'] });
    expect(separationFaults([INVOICES], declared)).toEqual(
      ['boss', 'chief'].map(
        (role) =>
          `role "${role}" holds two roles of separationOfDuty "invoices" by itself: cut the inheritance`,
      ),
    );
  });

  test('of each of several', () => {
    expect(separationFaults([INVOICES, { name: 'a' }, {}], GRAPH)).toEqual([few('a'), UNNAMED, few('')]);
    expect(separationFaults([], GRAPH)).toEqual([]);
  });
});
