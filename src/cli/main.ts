#!/usr/bin/env node
import { accessCommand } from './access.command.js';
import { accountsCommand } from './accounts.command.js';
import { explainCommand } from './explain.command.js';
import { keysCommand } from './keys.command.js';
import { migrateCommand } from './migrate.command.js';
import { routesCommand } from './routes.command.js';
import { runCli } from './run-cli.js';

const commands = [migrateCommand, keysCommand, accessCommand, accountsCommand, routesCommand, explainCommand];
process.exitCode = await runCli(commands, process.argv.slice(2));

// A timer or a socket of the application that was loaded must not keep a finished command waiting. What was printed
// goes out first; a reader that has had enough (`| head`) is no failure.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => process.exit());
process.stdout.write('', () => process.stderr.write('', () => process.exit()));
