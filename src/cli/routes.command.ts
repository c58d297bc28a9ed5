import { Command, Option } from 'commander';
import type { AccessMatrixRow } from '../access/inventory/access-matrix.js';
import { AccessSettings } from '../access/access.settings.js';
import { matrixDifference } from '../access/inventory/matrix-difference.js';
import { readPublicRoutes } from '../access/inventory/public-routes.file.js';
import { RouteMatrix } from '../access/inventory/route-matrix.js';
import {
  APP_OPTION,
  EXPORT_OPTION,
  HOST_HELP,
  kitProvider,
  withHostApplication,
  type HostFlags,
} from './host-application.js';
import { publicRoutesFile, sayPublicRoutes, writePublicRoutes } from './routes.check.js';
import { readMatrix, sayDifference } from './routes.diff.js';
import { formatRoutes, ROUTE_FORMATS, type RouteFormat } from './routes.format.js';
import type { CliIo } from './run-cli.js';

interface Flags extends HostFlags {
  readonly format: RouteFormat;
  readonly diff?: string;
  /** `true`: the file is not named. */
  readonly check?: string | true;
  readonly write?: true;
}

const HELP = `${HOST_HELP}
Its database is asked which roles reach each way in.

Exit code 1 when something on the list would stop the start: a way in without a policy, or a permission that nobody
declared. The list is printed all the same.

With --diff, the list is compared with one that was printed before with --format json. Exit code 1 when something opened up:
a way in that asks for less, a role that reaches more, a new one that asks for no permission.

With --check, what anybody reaches is compared with the reviewed list in zero-trust.routes.json, which holds
{ "public": [{ "route": "GET /health/live", "reason": "…" }] }. Exit code 1 when a way in is not listed, when the list
names one that is not open to anybody, or when a reason is empty. --write brings the list up to date, keeps the reasons
that stand, and leaves the new ones for you to write.

Examples:
  zero-trust routes --app dist/app.module.js --format md > access-matrix.md
  zero-trust routes --app dist/app.module.js --diff access-matrix.json
  zero-trust routes --app dist/app.module.js --check`;

/** `zero-trust routes`: the access matrix, as `GET /admin/access/routes` answers it. */
export function routesCommand(io: CliIo): Command {
  return new Command('routes')
    .description('Lists every way into an application: its policy, and the roles that get through.')
    .addOption(APP_OPTION)
    .addOption(EXPORT_OPTION)
    .addOption(new Option('--format <format>', 'how to print it').choices(ROUTE_FORMATS).default('table'))
    .option('--diff <file>', 'compare with an earlier list (--format json) instead of printing it')
    .addOption(
      new Option('--check [file]', 'compare what anybody reaches with the reviewed list').conflicts('diff'),
    )
    .addOption(
      new Option('--write', 'bring the list of --check up to date first')
        .implies({ check: true })
        .conflicts('diff'),
    )
    .addHelpText('after', HELP)
    .action(async (flags: Flags) => {
      const before = flags.diff === undefined ? undefined : readMatrix(flags.diff);
      const { rows, catalogue } = await withHostApplication(io, flags, async (app) => ({
        catalogue: kitProvider(app, AccessSettings).catalogue,
        rows: await kitProvider(app, RouteMatrix).rows(),
      }));
      const fault = judge(io, flags, rows, before);
      const refused = rows.filter((row) => wouldStopTheStart(row, catalogue));
      if (refused.length === 0) {
        if (fault === undefined) return;
        throw new Error(fault);
      }
      const named = refused.map((row) =>
        row.handler === 'adapter' ? `${row.method} ${row.path}` : row.handler,
      );
      throw new Error(`the application would refuse to start: declare ${named.join(', ')}`);
    });
}

/** Prints what was asked for. @returns what is to be reviewed, in one line. */
function judge(
  io: CliIo,
  { app, format, check, write }: Flags,
  rows: readonly AccessMatrixRow[],
  before: readonly AccessMatrixRow[] | undefined,
): string | undefined {
  if (check !== undefined) {
    const file = check === true ? publicRoutesFile(app) : check;
    const listed = write ? writePublicRoutes(io, file, rows) : readPublicRoutes(file);
    const fault = sayPublicRoutes(io, rows, listed, format);
    return fault === undefined
      ? undefined
      : `${file}: ${fault}; review each, write why it is open, or close it`;
  }
  if (before) {
    const opened = sayDifference(io, matrixDifference(before, rows), format);
    return opened === 0 ? undefined : `${opened} ways in opened up: review them, then keep the new list`;
  }
  io.out(formatRoutes(rows, format));
  return undefined;
}

function wouldStopTheStart(
  { policy, permissions, mode }: AccessMatrixRow,
  catalogue: ReadonlySet<string>,
): boolean {
  // Listed at the start, and let be: `zero-trust report` says what enforcing it would do.
  if (mode === 'report-only') return false;
  return policy === 'undeclared' || !permissions.every((permission) => catalogue.has(permission));
}
