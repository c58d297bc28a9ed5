import { Command, CommanderError } from 'commander';
import type { Environment } from '../core/setting.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';

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
  confine(program, io);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has already said its own; --help counts as done.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1;
    io.err(`error: ${lineOf(error)}`);
    return 1;
  }
}

/** No command, however deep, ends the process or writes past `io`. */
function confine(command: Command, io: CliIo): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => {
      io.out(text.trimEnd());
    },
    writeErr: (text) => {
      io.err(text.trimEnd());
    },
  });
  for (const each of command.commands) confine(each, io);
}

/** A list of faults, as modules that refuse to start give it, in one line too: a log keeps lines apart. */
function lineOf(error: unknown): string {
  const text = error instanceof ZeroTrustError ? voiceOf(error) : (error as Partial<Error> | null)?.message;
  return (text ?? String(error))
    .trim()
    .replace(/:\n\s*- /g, ': ')
    .replace(/\n\s*- /g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .join(' ');
}

/** What the operator is told, who is not the caller of a request. */
function voiceOf({ detail, errors }: ZeroTrustError): string {
  if (!errors) return detail;
  return errors.map(({ field, messages }) => `${field} ${messages.join(', ')}`).join('; ');
}
