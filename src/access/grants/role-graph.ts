/** A role as it is stored or declared: names only. */
export interface RoleDefinition {
  readonly permissions: readonly string[];
  /** Roles whose permissions this one has too (INCITS 359: role hierarchy). */
  readonly inherits: readonly string[];
  /** Roles that a holder may grant to others without holding what they convey. */
  readonly mayGrant: readonly string[];
}

/** Role name → definition. Names that are pointed at and not there convey nothing. */
export type RoleGraph = ReadonlyMap<string, RoleDefinition>;

/** How far inheritance may reach: bounds what one look-up of permissions costs. */
export const MAX_ROLE_DEPTH = 16;

/** The roles themselves and everything they inherit. Ends on cycles too. */
export function closureOf(graph: RoleGraph, roles: Iterable<string>): ReadonlySet<string> {
  const reached = new Set<string>();
  const open = [...roles];
  for (let role = open.pop(); role !== undefined; role = open.pop()) {
    if (reached.has(role) || !graph.has(role)) continue;
    reached.add(role);
    open.push(...(graph.get(role)?.inherits ?? []));
  }
  return reached;
}

/** What holding these roles lets one do. */
export function permissionsOf(graph: RoleGraph, roles: Iterable<string>): ReadonlySet<string> {
  const held = new Set<string>();
  for (const role of closureOf(graph, roles)) {
    for (const permission of graph.get(role)?.permissions ?? []) held.add(permission);
  }
  return held;
}

/**
 * What holding these roles lets one bring about: what one may do, and what one may hand out through `mayGrant`.
 * Handing out a role conveys at most this (RBAC administration after ARBAC97 `can_assign`).
 */
export function conveyedBy(graph: RoleGraph, roles: Iterable<string>): ReadonlySet<string> {
  const reached = closureOf(graph, roles);
  const grantable = [...reached].flatMap((role) => graph.get(role)?.mayGrant ?? []);
  return permissionsOf(graph, [...reached, ...grantable]);
}

/** A path that leads from the role back to itself, or undefined. */
export function cycleThrough(graph: RoleGraph, role: string): readonly string[] | undefined {
  const seen = new Set<string>();
  const open: (readonly string[])[] = [[role]];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    for (const next of graph.get(path.at(-1) ?? '')?.inherits ?? []) {
      if (next === role) return [...path, role];
      if (seen.has(next)) continue;
      seen.add(next);
      open.push([...path, next]);
    }
  }
  return undefined;
}

/** Whether some chain of inheritance is longer than `MAX_ROLE_DEPTH` steps; a cycle is. */
export function isTooDeep(graph: RoleGraph): boolean {
  let level: ReadonlySet<string> = new Set(graph.keys());
  for (let depth = 0; depth <= MAX_ROLE_DEPTH; depth += 1) {
    const below = new Set<string>();
    for (const role of level) for (const next of graph.get(role)?.inherits ?? []) below.add(next);
    if (below.size === 0) return false;
    level = below;
  }
  return true;
}

/** How one comes from a held role to a permission: `['editor', 'viewer']`. */
export function pathTo(graph: RoleGraph, role: string, permission: string): readonly string[] | undefined {
  const seen = new Set([role]);
  const open: (readonly string[])[] = [[role]];
  for (let path = open.shift(); path !== undefined; path = open.shift()) {
    const definition = graph.get(path.at(-1) ?? '');
    if (definition?.permissions.includes(permission)) return path;
    for (const next of definition?.inherits ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push([...path, next]);
    }
  }
  return undefined;
}
