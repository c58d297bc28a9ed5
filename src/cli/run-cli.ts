import { Command, CommanderError } from 'commander';
import type { Environment } from '../core/setting.js';

/** What a command touches of its process. */
export interface CliIo {
  readonly environment: Environment;
  /** Results. */
  readonly out: (line: string) => void;
  /** Progress beside machine-readable results, and errors. */
  readonly err: (line: string) => void;
}

export type CliCommand = (io: CliIo) => Command;

const PROCESS: CliIo = { environment: process.env, out: console.log, err: console.error };

/** Runs one command line. Whatever goes wrong is one clear line. @returns the exit code: 0, or 1. */
export async function runCli(
  commands: readonly CliCommand[],
  argv: readonly string[],
  io: CliIo = PROCESS,
): Promise<number> {
  const program = new Command('zero-trust')
    .description('Operates nestjs-zero-trust: schema, logins, and what else needs no running service.')
    .helpCommand(false);
  for (const command of commands) program.addCommand(command(io));
  for (const each of [program, ...program.commands]) {
    each.exitOverride().configureOutput({
      writeOut: (text) => {
        io.out(text.trimEnd());
      },
      writeErr: (text) => {
        io.err(text.trimEnd());
      },
    });
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has already said its own; --help counts as done.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1;
    io.err(`error: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}
