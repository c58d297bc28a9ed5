import { Command, Option } from 'commander';
import type { AccessMatrixRow } from '../access/access-matrix.js';
import { AccessSettings } from '../access/access.settings.js';
import { matrixDifference } from '../access/matrix-difference.js';
import { RouteMatrix } from '../access/route-matrix.js';
import {
  APP_OPTION,
  EXPORT_OPTION,
  HOST_HELP,
  kitProvider,
  withHostApplication,
  type HostFlags,
} from './host-application.js';
import { readMatrix, sayDifference } from './routes.diff.js';
import { formatRoutes, ROUTE_FORMATS, type RouteFormat } from './routes.format.js';
import type { CliIo } from './run-cli.js';

interface Flags extends HostFlags {
  readonly format: RouteFormat;
  readonly diff?: string;
}

const HELP = `${HOST_HELP}
Its database is asked which roles reach each way in.

Exit code 1 when something on the list would stop the start: a way in without a policy, or a permission that nobody
declared. The list is printed all the same.

With --diff, the list is compared with one that was printed before with --format json. Exit code 1 when something opened up:
a way in that asks for less, a role that reaches more, a new one that asks for no permission.

Examples:
  zero-trust routes --app dist/app.module.js --format md > access-matrix.md
  zero-trust routes --app dist/app.module.js --diff access-matrix.json`;

/** `zero-trust routes`: the access matrix, as `GET /admin/access/routes` answers it. */
export function routesCommand(io: CliIo): Command {
  return new Command('routes')
    .description('Lists every way into an application: its policy, and the roles that get through.')
    .addOption(APP_OPTION)
    .addOption(EXPORT_OPTION)
    .addOption(new Option('--format <format>', 'how to print it').choices(ROUTE_FORMATS).default('table'))
    .option('--diff <file>', 'compare with an earlier list (--format json) instead of printing it')
    .addHelpText('after', HELP)
    .action(async (flags: Flags) => {
      const before = flags.diff === undefined ? undefined : readMatrix(flags.diff);
      const { rows, catalogue } = await withHostApplication(io, flags, async (app) => ({
        catalogue: kitProvider(app, AccessSettings).catalogue,
        rows: await kitProvider(app, RouteMatrix).rows(),
      }));
      const opened = before ? sayDifference(io, matrixDifference(before, rows), flags.format) : 0;
      if (!before) io.out(formatRoutes(rows, flags.format));
      const refused = rows.filter((row) => wouldStopTheStart(row, catalogue));
      if (refused.length === 0) {
        if (opened === 0) return;
        throw new Error(`${opened} ways in opened up: review them, then keep the new list`);
      }
      const named = refused.map((row) =>
        row.handler === 'adapter' ? `${row.method} ${row.path}` : row.handler,
      );
      throw new Error(`the application would refuse to start: declare ${named.join(', ')}`);
    });
}

function wouldStopTheStart(
  { policy, permissions }: AccessMatrixRow,
  catalogue: ReadonlySet<string>,
): boolean {
  return policy === 'undeclared' || !permissions.every((permission) => catalogue.has(permission));
}
