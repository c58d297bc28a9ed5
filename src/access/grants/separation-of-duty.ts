import { closureOf, type RoleGraph } from './role-graph.js';

/** Roles of which one subject holds one at most, whether granted, inherited or in different scopes (INCITS 359: SSD). */
export interface SeparatedRoles {
  /** What it keeps apart, in a few words for auditors: `who makes invoices does not approve them`. */
  readonly name: string;
  readonly roles: readonly string[];
}

/** Which of its roles these convey together, where that is more than one may hold. */
export function joinedIn(
  { roles }: SeparatedRoles,
  graph: RoleGraph,
  held: Iterable<string>,
): readonly string[] {
  const reached = closureOf(graph, held);
  const joined = roles.filter((role) => reached.has(role));
  return joined.length > 1 ? joined : [];
}

/** The first separation that these roles, held together, break. */
export function brokenBy(
  separations: readonly SeparatedRoles[],
  graph: RoleGraph,
  held: readonly string[],
): SeparatedRoles | undefined {
  return separations.find((separation) => joinedIn(separation, graph, held).length > 0);
}

/**
 * The first separation that a change of the roles breaks for who holds these, or breaks further. What was broken before it
 * was declared must not stand in the way of every other change.
 */
export function newlyBrokenBy(
  separations: readonly SeparatedRoles[],
  before: RoleGraph,
  after: RoleGraph,
  held: readonly string[],
): SeparatedRoles | undefined {
  return separations.find((separation) => {
    const was = joinedIn(separation, before, held);
    return joinedIn(separation, after, held).some((role) => !was.includes(role));
  });
}

/** The first separation that one more role breaks, or that it has a part in while it is broken. */
export function brokenByAdding(
  separations: readonly SeparatedRoles[],
  graph: RoleGraph,
  held: readonly string[],
  role: string,
): SeparatedRoles | undefined {
  const added = closureOf(graph, [role]);
  return separations.find((separation) =>
    joinedIn(separation, graph, [...held, role]).some((joined) => added.has(joined)),
  );
}

/** What is wrong with declared separations, each with its mend. A misspelt role would keep nothing apart. */
export function separationFaults(
  separations: readonly Partial<SeparatedRoles>[],
  declared: RoleGraph,
): readonly string[] {
  return separations.flatMap(({ name = '', roles: given = [] }) => {
    // The compiler says so too; JavaScript knows none.
    const roles = Array.isArray(given) ? (given as readonly string[]) : [];
    const title = `separationOfDuty "${name}"`;
    const distinct = new Set(roles);
    return [
      ...(name.trim() === '' ? ['separationOfDuty: each needs a name that says what it keeps apart'] : []),
      ...(distinct.size < 2 || distinct.size < roles.length
        ? [`${title} needs two different roles or more`]
        : []),
      ...roles
        .filter((role) => !declared.has(role))
        .map((role) => `${title} names "${role}", which is no declared role: add it to roles or correct it`),
      ...[...declared.keys()]
        .filter((role) => brokenBy([{ name, roles: [...distinct] }], declared, [role]) !== undefined)
        .map((role) => `role "${role}" holds two roles of ${title} by itself: cut the inheritance`),
    ];
  });
}
