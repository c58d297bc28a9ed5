#!/usr/bin/env node
import { accountsCommand } from './accounts.command.js';
import { migrateCommand } from './migrate.command.js';
import { runCli } from './run-cli.js';

process.exitCode = await runCli([accountsCommand, migrateCommand], process.argv.slice(2));
