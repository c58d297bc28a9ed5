import { readFileSync } from 'node:fs';

const SHELLS: ReadonlySet<string> = new Set(['sh', 'dash', 'ash', 'bash', 'busybox', 'zsh', 'ksh']);
const EVERY_MS = 250;

/**
 * npm that is killed cannot pass the signal on: a service whose npm is gone has nobody who would stop it. Between the
 * two may stand a shell that npm started and that outlives it; Linux says whose child it is.
 */
export function whenNpmIsGone(end: () => void): void {
  if (process.env.npm_lifecycle_event !== 'start') return;
  const parent = process.ppid;
  const shell = processOf(parent);
  // The shell of a terminal is not npm's: it is watched only as long as it stands between.
  const above = shell && SHELLS.has(shell.name) ? shell.parent : undefined;
  setInterval(() => {
    if (process.ppid !== parent || (above !== undefined && processOf(parent)?.parent !== above)) end();
  }, EVERY_MS).unref();
}

function processOf(pid: number): { readonly name: string; readonly parent: number } | undefined {
  try {
    // pid (name) state parent …: a name may hold brackets and blanks.
    const found = /^\d+ \((.*)\) \S (\d+) /s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    return found ? { name: found[1] ?? '', parent: Number(found[2]) } : undefined;
  } catch {
    return undefined;
  }
}
