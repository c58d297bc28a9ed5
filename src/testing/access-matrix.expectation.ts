import { AssertionError } from 'node:assert';
import { accessMatrix, type AccessMatrixRow } from '../access/inventory/access-matrix.js';
import { AccessSettings } from '../access/access.settings.js';
import { BootCheck } from '../access/inventory/boot.check.js';
import { RouteInventory } from '../access/inventory/route-inventory.js';
import { namedRoutes } from '../access/inventory/route-name.js';
import { kitProvider, type TestedApplication } from './kit-provider.js';

/** Who gets through: exactly these roles, everybody who is authenticated, or anybody. */
export type Reach = readonly string[] | 'authenticated' | 'public';

/** Who gets through one way in, and how surely and lately they must have authenticated: `aal2/600s`. */
export type ExpectedAccess = Reach | { readonly by: Reach; readonly assurance: string };

/** Each way in by its name (`GET /documents/:id`, as `zero-trust routes --check` names it), and who gets through. */
export type ExpectedMatrix = Readonly<Record<string, ExpectedAccess>>;

/** Which part of the application is compared. */
export interface MatrixOptions {
  /** HTTP routes whose path is this one or lies below it, and nothing else: `/documents`. @default every way in */
  readonly under?: string;
}

/**
 * Every way in, what it demands, and which of the roles that code declares get through (ASVS 8.1.1). Asks no database and
 * needs no `init()`.
 */
export function accessMatrixOf(app: TestedApplication): readonly AccessMatrixRow[] {
  const { adapterRoutes, roles, reportOnly } = kitProvider(app, AccessSettings);
  const undeclared = kitProvider(app, BootCheck).undeclaredRoutes();
  const entries = kitProvider(app, RouteInventory).entries();
  return accessMatrix(entries, adapterRoutes, roles, undeclared, reportOnly.adapterRoutes);
}

/**
 * Expects the access matrix to be exactly this table: a way in that it does not name, a role more or less, and another
 * assurance fail.
 *
 * ```ts
 * expectMatrix(app, {
 *   'GET /documents': ['editor', 'viewer'],
 *   'DELETE /documents/:id': { by: ['editor'], assurance: 'aal2/600s' },
 *   'GET /health/live': 'public',
 * });
 * ```
 *
 * What is decided on an object is beyond a table of roles: ask with `actingAs`.
 *
 * @throws AssertionError that shows each line which differs, as it was expected (-) and as it is (+).
 */
export function expectMatrix(
  app: TestedApplication,
  expected: ExpectedMatrix,
  { under }: MatrixOptions = {},
): void {
  const is = new Map(
    [...namedRoutes(accessMatrixOf(app))]
      .filter(([, row]) => under === undefined || isUnder(row, under))
      .map(([route, row]) => [route, lineOf(reachOf(row), row.assurance)]),
  );
  const should = new Map(
    Object.entries(expected).map(([route, access]) => [
      route,
      typeof access === 'object' && 'by' in access
        ? lineOf(access.by, access.assurance)
        : lineOf(access, undefined),
    ]),
  );
  const routes = [...new Set([...should.keys(), ...is.keys()])].sort();
  const differing = routes.filter((route) => is.get(route) !== should.get(route));
  if (differing.length === 0) return;
  const shown = (sign: string, route: string, line: string | undefined): readonly string[] =>
    line === undefined ? [] : [`${sign} ${route}: ${line}`];
  throw new AssertionError({
    message: [
      'The access matrix is another than expected (- expected, + as it is):',
      ...differing.flatMap((route) => [
        ...shown('-', route, should.get(route)),
        ...shown('+', route, is.get(route)),
      ]),
    ].join('\n'),
    actual: Object.fromEntries(is),
    expected: Object.fromEntries(should),
    operator: 'expectMatrix',
    stackStartFn: expectMatrix,
  });
}

function isUnder({ transport, path }: AccessMatrixRow, prefix: string): boolean {
  return transport === 'http' && (path === prefix || path.startsWith(`${prefix.replace(/\/$/, '')}/`));
}

function reachOf({ policy, roles, mode }: AccessMatrixRow): Reach | 'undeclared' {
  // Nobody is held to what it demands.
  if (mode === 'report-only') return 'public';
  // A task asks nobody: no role gets through.
  return policy === 'permission' || policy === 'system' ? roles : policy;
}

function lineOf(reach: Reach | 'undeclared', assurance: string | undefined): string {
  // In brackets: a role may be called "public" too.
  const who = typeof reach === 'string' ? reach : `[${[...reach].sort().join(', ')}]`;
  return assurance === undefined ? who : `${who} (${assurance})`;
}
