#!/usr/bin/env node
import { COMMANDS } from './commands.js';
import { runCli } from './run-cli.js';

process.exitCode = await runCli(COMMANDS, process.argv.slice(2));

// A timer or a socket of the application that was loaded must not keep a finished command waiting. What was printed
// goes out first; a reader that has had enough (`| head`) is no failure.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => process.exit());
process.stdout.write('', () => process.stderr.write('', () => process.exit()));
