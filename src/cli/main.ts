#!/usr/bin/env node
import { migrateCommand } from './migrate.command.js';
import { runCli } from './run-cli.js';

process.exitCode = await runCli([migrateCommand], process.argv.slice(2));
