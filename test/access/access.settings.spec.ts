import { describe, expect, test } from 'vitest';
import type { AccessOptions } from '../../src/access/access.options.js';
import { isRoleName, resolveAccessOptions } from '../../src/access/access.settings.js';
import { MAX_ROLE_DEPTH } from '../../src/access/grants/role-graph.js';
import { BootError } from '../../src/core/zero-trust-error.js';

const permissions = { documents: ['read', 'write'] } as const;

/** The faults that an option is refused with, each with its mend. */
function faultsOf(options: unknown): readonly string[] {
  try {
    resolveAccessOptions(options as AccessOptions);
  } catch (error) {
    expect(error).toBeInstanceOf(BootError);
    return (error as BootError).faults;
  }
  return [];
}

describe('the options of the access room', () => {
  test('left out, nothing is declared but what the kit itself needs', () => {
    const { catalogue, roles, adapterRoutes } = resolveAccessOptions({});
    expect([...catalogue].sort()).toEqual([
      'access:explain',
      'access:read',
      'accounts:disable',
      'accounts:end-sessions',
      'accounts:read',
      'audit:read',
      'grants:read',
      'grants:write',
      'roles:read',
      'roles:write',
    ]);
    expect(roles.size).toBe(0);
    expect(adapterRoutes).toEqual([]);
  });

  test('declared roles are taken over, each list sorted and without doubles', () => {
    const { roles } = resolveAccessOptions({
      permissions,
      roles: {
        writer: {
          permissions: ['documents:write', 'documents:read', 'documents:write'],
          inherits: ['reader'],
        },
        reader: { mayGrant: ['writer'] },
      },
    });
    expect(roles.get('writer')).toEqual({
      permissions: ['documents:read', 'documents:write'],
      inherits: ['reader'],
      mayGrant: [],
    });
  });

  test.each<[string, unknown, string]>([
    [
      'an unknown option',
      { permission: permissions },
      'unknown option "permission": remove it or correct its spelling',
    ],
    [
      'a resource of the kit',
      { permissions: { grants: ['read'] } },
      'permissions: definePermissions: "grants" belongs to the kit',
    ],
    [
      'a resource without actions',
      { permissions: { documents: [] } },
      'permissions: definePermissions: "documents" has no action',
    ],
    ['a permission of a third part', { permissions: { documents: ['read:own'] } }, 'is not resource:action'],
    [
      'a name of a role',
      { roles: { Admin: {} } },
      'roles: "Admin" is not a role name: use lower-case words joined by "-"',
    ],
    ['a name in letters that look alike', { roles: { аdmin: {} } }, 'is not a role name'],
    [
      'an undeclared permission',
      { roles: { a: { permissions: ['documents:read'] } } },
      'roles: "a" names "documents:read", which nobody declared',
    ],
    [
      'an undeclared role',
      { roles: { a: { inherits: ['b'] } } },
      'roles: "a" points at "b", which is no declared role',
    ],
    [
      'an undeclared role to grant',
      { roles: { a: { mayGrant: ['b'] } } },
      'roles: "a" points at "b", which is no declared role',
    ],
    [
      'a role that inherits itself',
      { roles: { a: { inherits: ['a'] } } },
      'roles: "a" inherits itself (a → a): cut the circle',
    ],
    [
      'a circle',
      { roles: { a: { inherits: ['b'] }, b: { inherits: ['a'] } } },
      'roles: "a" inherits itself (a → b → a): cut the circle',
    ],
    ['a role that is null', { roles: { a: null } }, 'roles: "a" must be an object of lists of names'],
    [
      'a role that is a list',
      { roles: { a: { permissions: 'documents:read' } } },
      'roles: "a" must be an object of lists of names',
    ],
    [
      'a method in lower case',
      { adapterRoutes: [{ method: 'get', path: '/x', reason: 'y' }] },
      'adapterRoutes: method of "/x" must be upper case',
    ],
    [
      'a path without "/"',
      { adapterRoutes: [{ method: 'GET', path: 'x', reason: 'y' }] },
      'adapterRoutes: path "x" must begin with "/"',
    ],
    [
      'no reason',
      { adapterRoutes: [{ method: 'GET', path: '/x', reason: ' ' }] },
      'adapterRoutes: "GET /x" needs a reason',
    ],
    ['a route that says nothing', { adapterRoutes: [{}] }, 'adapterRoutes: " " needs a reason'],
  ])('RBAC-01 %s is refused with its mend', (_what, options, fault) => {
    expect(faultsOf(options).join('\n')).toContain(fault);
  });

  test('RBAC-20 a chain that is too long is refused', () => {
    const chain = (steps: number): unknown => ({
      roles: Object.fromEntries(
        Array.from({ length: steps + 1 }, (_, at) => [
          `c${at}`,
          { inherits: at < steps ? [`c${at + 1}`] : [] },
        ]),
      ),
    });
    expect(faultsOf(chain(MAX_ROLE_DEPTH))).toEqual([]);
    expect(faultsOf(chain(MAX_ROLE_DEPTH + 1))).toEqual([
      `roles: a chain of inheritance is longer than ${MAX_ROLE_DEPTH}: flatten it`,
    ]);
  });

  test('all faults are named at once', () => {
    expect(
      faultsOf({
        nonsense: 1,
        roles: { Admin: {} },
        adapterRoutes: [{ method: 'get', path: 'x', reason: '' }],
      }),
    ).toHaveLength(5);
  });

  test('a name of a role is 1 to 64 characters', () => {
    expect(isRoleName('a'.repeat(64))).toBe(true);
    expect(isRoleName('a'.repeat(65))).toBe(false);
    expect(isRoleName('')).toBe(false);
  });
});
