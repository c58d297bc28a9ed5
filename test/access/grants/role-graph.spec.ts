import { describe, expect, test } from 'vitest';
import {
  closureOf,
  conveyedBy,
  cycleThrough,
  isTooDeep,
  MAX_ROLE_DEPTH,
  pathTo,
  permissionsOf,
  type RoleDefinition,
  type RoleGraph,
} from '../../../src/access/grants/role-graph.js';

const graphOf = (roles: Record<string, Partial<RoleDefinition>>): RoleGraph =>
  new Map(
    Object.entries(roles).map(([name, role]) => [
      name,
      { permissions: [], inherits: [], mayGrant: [], ...role },
    ]),
  );

const chain = (steps: number): RoleGraph =>
  graphOf(
    Object.fromEntries(
      Array.from({ length: steps + 1 }, (_, at) => [
        `c${at}`,
        { inherits: at < steps ? [`c${at + 1}`] : [] },
      ]),
    ),
  );

describe('the hierarchy of roles', () => {
  test('a role has its own permissions and those of everything it inherits', () => {
    const graph = graphOf({
      a: { permissions: ['x:a'], inherits: ['b', 'gone'] },
      b: { permissions: ['x:b'], inherits: ['c'] },
      c: { permissions: ['x:c'] },
      d: { permissions: ['x:d'] },
    });
    expect([...permissionsOf(graph, ['a'])].sort()).toEqual(['x:a', 'x:b', 'x:c']);
    expect([...closureOf(graph, ['b', 'd'])].sort()).toEqual(['b', 'c', 'd']);
    expect(permissionsOf(graph, ['gone'])).toEqual(new Set());
  });

  test('what may be granted is conveyed, one step far and without what it may grant itself', () => {
    const graph = graphOf({
      admin: { permissions: ['x:admin'], mayGrant: ['editor'] },
      editor: { permissions: ['x:edit'], inherits: ['viewer'], mayGrant: ['root'] },
      viewer: { permissions: ['x:view'] },
      root: { permissions: ['x:root'] },
      deputy: { inherits: ['admin'] },
    });
    expect([...conveyedBy(graph, ['admin'])].sort()).toEqual(['x:admin', 'x:edit', 'x:view']);
    expect([...conveyedBy(graph, ['deputy'])].sort()).toEqual(['x:admin', 'x:edit', 'x:view']);
    // Granting editor would hand on the right to grant root: admin does not convey that.
    expect(conveyedBy(graph, ['editor']).has('x:root')).toBe(true);
  });

  test('RBAC-20 a circle is found with its path, from every role on it and from no other', () => {
    const graph = graphOf({
      a: { inherits: ['b'] },
      b: { inherits: ['c'] },
      c: { inherits: ['a'] },
      d: { inherits: ['a'] },
    });
    expect(cycleThrough(graph, 'a')).toEqual(['a', 'b', 'c', 'a']);
    expect(cycleThrough(graph, 'b')).toEqual(['b', 'c', 'a', 'b']);
    expect(cycleThrough(graph, 'd')).toBeUndefined();
    expect(permissionsOf(graph, ['a'])).toEqual(new Set());
    expect(isTooDeep(graph)).toBe(true);
  });

  test('RBAC-20 depth is bounded; 10,000 roles in a row are measured without running out of stack', () => {
    expect(isTooDeep(chain(MAX_ROLE_DEPTH))).toBe(false);
    expect(isTooDeep(chain(MAX_ROLE_DEPTH + 1))).toBe(true);
    const long = chain(10_000);
    expect(isTooDeep(long)).toBe(true);
    expect(cycleThrough(long, 'c0')).toBeUndefined();
    expect(closureOf(long, ['c0']).size).toBe(10_001);
  });

  test('the way to a permission is the shortest one, and ends on circles', () => {
    const graph = graphOf({
      a: { inherits: ['b', 'c'] },
      b: { inherits: ['d', 'a'] },
      c: { permissions: ['x:y'] },
      d: { permissions: ['x:y'] },
    });
    expect(pathTo(graph, 'a', 'x:y')).toEqual(['a', 'c']);
    expect(pathTo(graph, 'a', 'x:z')).toBeUndefined();
    expect(pathTo(graph, 'c', 'x:y')).toEqual(['c']);
  });
});
