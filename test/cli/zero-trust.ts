import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from '../../src/cli/commands.js';
import { runCli } from '../../src/cli/run-cli.js';

export interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
export const host = (file: string): string => fileURLToPath(new URL(`hosts/${file}`, import.meta.url));
export const sample = (file: string): string =>
  fileURLToPath(new URL(`../../sample/${file}`, import.meta.url));

/** One command line, in this process. */
export async function zeroTrust(...argv: readonly string[]): Promise<Run> {
  const lines = { out: [] as string[], err: [] as string[] };
  const code = await runCli(COMMANDS, argv, {
    environment: process.env,
    out: (line) => void lines.out.push(line),
    err: (line) => void lines.err.push(line),
  });
  return { code, out: lines.out.join('\n'), err: lines.err.join('\n') };
}

/** One command line as it is installed, in a process of its own that has to end by itself within `timeout`. */
export function spawned(
  environment: Readonly<Record<string, string>>,
  ...argv: readonly string[]
): Promise<Run> {
  const env = { PATH: process.env['PATH'], ...environment };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, ...argv], { env, timeout: 60_000 }, (_, out, err) => {
      resolve({ code: child.exitCode, out: out.trimEnd(), err: err.trimEnd() });
    });
  });
}
