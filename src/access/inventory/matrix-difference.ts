import type { AccessMatrixRow } from './access-matrix.js';
import { namedRoutes } from './route-name.js';

/** How one way in differs between two access matrices. */
export interface MatrixChange {
  /** As `namedRoutes` names it. */
  readonly route: string;
  /** `opened`: somebody gets through who did not. `added` and `removed`: a way in that came or went. */
  readonly kind: 'opened' | 'added' | 'removed' | 'tightened';
  readonly what: string;
}

/** From nobody to everybody. */
const OPENNESS = { undeclared: 0, system: 0, permission: 1, authenticated: 2, public: 3 } as const;

/**
 * What changed from one matrix to the next, for reviewers: whatever lets in somebody who was kept out is `opened`, and a
 * new way in counts as that when it asks for no permission, a new task when it holds one. Pure, and the same in whatever order the rows stand.
 */
export function matrixDifference(
  before: readonly AccessMatrixRow[],
  after: readonly AccessMatrixRow[],
): readonly MatrixChange[] {
  const [old, now] = [namedRoutes(before), namedRoutes(after)];
  const changes: MatrixChange[] = [];
  for (const [route, row] of now) {
    const was = old.get(route);
    if (was) changes.push(...changesOf(route, was, row));
    else {
      const isOpen =
        row.policy === 'public' ||
        row.policy === 'authenticated' ||
        row.mode !== undefined ||
        (row.policy === 'system' && row.permissions.length > 0);
      changes.push({ route, kind: isOpen ? 'opened' : 'added', what: `new, ${demandOf(row)}` });
    }
  }
  for (const [route, row] of old) {
    if (!now.has(route)) changes.push({ route, kind: 'removed', what: `gone, was ${demandOf(row)}` });
  }
  return changes.sort((a, b) => (a.route < b.route ? -1 : 1));
}

function changesOf(route: string, was: AccessMatrixRow, is: AccessMatrixRow): readonly MatrixChange[] {
  const opened: string[] = [];
  const tightened: string[] = [];
  // Whatever it demands besides: everybody gets through one that is report-only.
  if (was.mode !== is.mode) {
    const kind = is.mode === undefined ? 'tightened' : 'opened';
    return [{ route, kind, what: `${demandOf(was)} → ${demandOf(is)}` }];
  }
  const openness = OPENNESS[is.policy] - OPENNESS[was.policy];
  if (openness !== 0) (openness > 0 ? opened : tightened).push(`${demandOf(was)} → ${demandOf(is)}`);
  // What a task holds, it may do: the other way round.
  else if (is.policy === 'system') {
    compare(is.permissions, was.permissions, 'now holds', 'no longer holds', opened, tightened);
  } else {
    compare(was.permissions, is.permissions, 'no longer demands', 'now demands', opened, tightened);
  }
  if (was.object !== is.object) {
    // Another rule may be wider or narrower, and nobody can tell by its name: a person looks. One that was added lets in
    // who holds the permission in a scope, where it had to be held everywhere.
    const isNarrower = was.object === undefined && was.policy !== 'permission';
    (isNarrower ? tightened : opened).push(`object ${was.object ?? 'any'} → ${is.object ?? 'any'}`);
  }
  if (was.assurance !== is.assurance) {
    const weaker = strengthOf(is) < strengthOf(was);
    (weaker ? opened : tightened).push(`assurance ${was.assurance ?? 'none'} → ${is.assurance ?? 'none'}`);
  }
  compare(is.roles, was.roles, 'now reached by', 'no longer reached by', opened, tightened);
  return [
    ...opened.map((what): MatrixChange => ({ route, kind: 'opened', what })),
    ...tightened.map((what): MatrixChange => ({ route, kind: 'tightened', what })),
  ];
}

/** What only `first` has opens, what only `second` has tightens. */
function compare(
  first: readonly string[],
  second: readonly string[],
  openingWords: string,
  tighteningWords: string,
  opened: string[],
  tightened: string[],
): void {
  for (const each of first) if (!second.includes(each)) opened.push(`${openingWords} ${each}`);
  for (const each of second) if (!first.includes(each)) tightened.push(`${tighteningWords} ${each}`);
}

/** `aal2/300s` as a number: the level first, then the shorter age. */
function strengthOf({ assurance }: AccessMatrixRow): number {
  const [, level, age] = /^aal(\d)(?:\/(\d+)s)?$/.exec(assurance ?? '') ?? [];
  if (level === undefined) return 0;
  return Number(level) + (age === undefined ? 0 : 1 / (1 + Number(age)));
}

function demandOf({ policy, permissions, assurance, mode }: AccessMatrixRow): string {
  const listed = permissions.length > 0 ? permissions.join(' ') : 'nothing';
  const named =
    policy === 'permission' ? listed : policy === 'system' ? `a task that holds ${listed}` : policy;
  const demand = assurance === undefined ? named : `${named} ${assurance}`;
  return mode === undefined ? demand : `${mode} (${demand})`;
}
