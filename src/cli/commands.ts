import { accessCommand } from './access.command.js';
import { accountsCommand } from './accounts.command.js';
import { explainCommand } from './explain.command.js';
import { keysCommand } from './keys.command.js';
import { migrateCommand } from './migrate.command.js';
import { reportCommand } from './report.command.js';
import { routesCommand } from './routes.command.js';
import type { CliCommand } from './run-cli.js';

/** Every command of `zero-trust`, in the order in which its help names them. */
export const COMMANDS: readonly CliCommand[] = [
  migrateCommand,
  keysCommand,
  accessCommand,
  accountsCommand,
  routesCommand,
  reportCommand,
  explainCommand,
];
