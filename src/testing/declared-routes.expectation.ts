import { AssertionError } from 'node:assert';
import type { PublicRouteDeclaration } from '../access/access.options.js';
import { BootCheck } from '../access/inventory/boot.check.js';
import { readPublicRoutes } from '../access/inventory/public-routes.file.js';
import { publicRoutesFaults, publicRoutesRefusals } from '../access/inventory/public-routes.js';
import { accessMatrixOf } from './access-matrix.expectation.js';
import { kitProvider, type TestedApplication } from './kit-provider.js';

/** What else is compared. */
export interface DeclaredRoutesOptions {
  /**
   * The reviewed list of what anybody reaches, or the path of its file (`zero-trust.routes.json`). What is open and not
   * listed fails, and so do entries that are stale or give no reason. @default not compared
   */
  readonly publicRoutes?: readonly PublicRouteDeclaration[] | string;
}

/**
 * Expects that nobody forgot a way in: every handler of every transport has one policy that can be met, and nothing
 * bypasses the pipeline that was not reviewed. The application need not be initialised, so that one which would refuse to
 * start can be asked what for; routes of the HTTP adapter are seen as far as they were added by now.
 *
 * @throws AssertionError that names every fault and its mend.
 */
export function expectEveryRouteDeclared(app: TestedApplication, options: DeclaredRoutesOptions = {}): void {
  const faults = [
    ...kitProvider(app, BootCheck).faults(),
    // Named and undefined is an import that went wrong, not a list that was left out.
    ...('publicRoutes' in options ? publicFaults(app, options.publicRoutes) : []),
  ];
  if (faults.length === 0) return;
  throw new AssertionError({
    message: ['Not every way in is declared:', ...faults.map((fault) => `  - ${fault}`)].join('\n'),
    actual: faults,
    expected: [],
    operator: 'expectEveryRouteDeclared',
    stackStartFn: expectEveryRouteDeclared,
  });
}

function publicFaults(
  app: TestedApplication,
  given: DeclaredRoutesOptions['publicRoutes'],
): readonly string[] {
  const listed = typeof given === 'string' ? readPublicRoutes(given) : given;
  const malformed = publicRoutesFaults(listed);
  if (listed === undefined || malformed.length > 0) return malformed.map((fault) => `publicRoutes: ${fault}`);
  // What nobody declared is a fault already, unless it is let through.
  const rows = accessMatrixOf(app).filter(({ policy, mode }) => policy !== 'undeclared' || mode);
  return publicRoutesRefusals(rows, listed);
}
