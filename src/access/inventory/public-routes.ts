import type { AccessMatrixRow } from './access-matrix.js';
import type { PublicRouteDeclaration } from '../access.options.js';
import { namedRoutes } from './route-name.js';

/** How a reviewed list differs from what anybody reaches; all empty: it says what is so, and why. */
export interface PublicRoutesDifference {
  /** Reached by anybody, and on no list. */
  readonly unlisted: readonly string[];
  /** On the list, and not reached by everybody, or not there at all. */
  readonly stale: readonly string[];
  /** On the list, and nobody has written why. */
  readonly unexplained: readonly string[];
}

/**
 * Compares the ways in that anybody reaches (public handlers, and whatever the HTTP adapter serves by itself) with a
 * reviewed list. Pure: the command line, the check of the start and tests ask the same function.
 */
export function publicRoutesDifference(
  rows: readonly AccessMatrixRow[],
  listed: readonly PublicRouteDeclaration[],
): PublicRoutesDifference {
  const open = new Set(
    [...namedRoutes(rows)].filter(([, row]) => isReachedByAnybody(row)).map(([name]) => name),
  );
  const reviewed = new Set(listed.map(({ route }) => route));
  return {
    unlisted: [...open].filter((route) => !reviewed.has(route)),
    stale: [...reviewed].filter((route) => !open.has(route)),
    unexplained: listed.filter(({ reason }) => reason.trim() === '').map(({ route }) => route),
  };
}

/**
 * What the adapter serves is reached by anybody, reviewed or not: no guard sees it. So is what is report-only, whatever
 * its policy says: nobody is held to it.
 */
function isReachedByAnybody({ policy, handler, mode }: AccessMatrixRow): boolean {
  return policy === 'public' || handler === 'adapter' || mode === 'report-only';
}

/** What is wrong with the shape of a list, each with its mend. An empty reason is no fault of shape. */
export function publicRoutesFaults(list: unknown): readonly string[] {
  if (!Array.isArray(list)) return ['must be a list of { route, reason }'];
  const seen = new Set<string>();
  return (list as unknown[]).flatMap((entry, at): string[] => {
    const { route, reason, ...unknown } = (entry ?? {}) as Partial<Record<string, unknown>>;
    if (typeof route !== 'string' || typeof reason !== 'string' || Object.keys(unknown).length > 0) {
      return [`entry ${String(at + 1)} must be { route, reason }, both texts, and nothing else`];
    }
    if (seen.has(route)) return [`"${route}" is listed twice: remove one`];
    seen.add(route);
    return [];
  });
}

/** The same for a start that is refused, each with its mend. */
export function publicRoutesRefusals(
  rows: readonly AccessMatrixRow[],
  listed: readonly PublicRouteDeclaration[],
): readonly string[] {
  const { unlisted, stale, unexplained } = publicRoutesDifference(rows, listed);
  return [
    ...unlisted.map(
      (route) =>
        `${route} is reached by anybody: demand something of its callers, ` +
        `or review it into AccessModule's "publicRoutes": { route: '${route}', reason: '…' }`,
    ),
    ...stale.map((route) => `publicRoutes names ${route}, which nobody reaches unproved: remove the entry`),
    ...unexplained.map((route) => `publicRoutes: "${route}" needs a reason`),
  ];
}
