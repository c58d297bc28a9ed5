import { closureOf, type RoleGraph } from './role-graph.js';

/** Roles of which one subject holds one at most, whether granted, inherited or in different scopes (INCITS 359: SSD). */
export interface SeparatedRoles {
  /** What it keeps apart, in a few words for auditors: `who makes invoices does not approve them`. */
  readonly name: string;
  readonly roles: readonly string[];
}

/** The first separation that these roles, held together, break. */
export function brokenBy(
  separations: readonly SeparatedRoles[],
  graph: RoleGraph,
  held: Iterable<string>,
): SeparatedRoles | undefined {
  if (separations.length === 0) return undefined;
  const reached = closureOf(graph, held);
  return separations.find(({ roles }) => roles.filter((role) => reached.has(role)).length > 1);
}

/** What is wrong with declared separations, each with its mend. A misspelt role would keep nothing apart. */
export function separationFaults(
  separations: readonly Partial<SeparatedRoles>[],
  declared: RoleGraph,
): readonly string[] {
  return separations.flatMap(({ name = '', roles = [] }) => {
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
        .filter((role) => brokenBy([{ name, roles }], declared, [role]) !== undefined)
        .map((role) => `role "${role}" holds two roles of ${title} by itself: cut the inheritance`),
    ];
  });
}
