import type { ChildProcess, spawn as Spawn } from 'node:child_process';
import type { rmSync as RemoveSync } from 'node:fs';

export interface SupervisorOrder {
  readonly postgres: string;
  readonly pgCtl: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly dataDirectory: string;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Removed once PostgreSQL has stopped. */
  readonly disposable: string | undefined;
}

/**
 * Runs in a process of its own, outside of our process group: so Ctrl+C reaches the service alone, which can drain
 * before it stops the database. Its standard input is the lifeline: it ends when the service says so or is gone, also
 * by SIGKILL, and then PostgreSQL is shut down.
 *
 * The function is handed over as text (`node --eval`), so it also works where this file is TypeScript that Node.js
 * cannot run: it must use nothing but its arguments.
 */
export function supervise(spawn: typeof Spawn, rmSync: typeof RemoveSync, order: SupervisorOrder): void {
  const { postgres, pgCtl, args, env, dataDirectory, uid, gid, disposable } = order;
  const as = { env, ...(uid !== undefined && { uid }), ...(gid !== undefined && { gid }) };
  const server: ChildProcess = spawn(postgres, args, {
    ...as,
    stdio: ['ignore', 'inherit', 'inherit'],
    windowsHide: true,
  });
  let stopping = false;
  let immediate = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    if (process.platform === 'win32') {
      spawn(pgCtl, ['stop', '-D', dataDirectory, '-m', immediate ? 'immediate' : 'fast'], {
        ...as,
        stdio: 'ignore',
        windowsHide: true,
      });
      return;
    }
    // Fast shutdown: ends sessions, writes a checkpoint. If that hangs, immediate: the next start recovers.
    server.kill(immediate ? 'SIGQUIT' : 'SIGINT');
    setTimeout(() => server.kill('SIGQUIT'), 10_000).unref();
  };
  // Whatever is written into it means: at once.
  process.stdin
    .on('data', () => {
      immediate = true;
    })
    .on('end', stop)
    .on('error', stop);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  server.on('error', (error) => {
    process.stderr.write(`cannot run ${postgres}: ${error.message}\n`);
    process.exit(1);
  });
  server.on('exit', (code) => {
    if (disposable !== undefined) rmSync(disposable, { recursive: true, force: true });
    process.exit(code ?? 1);
  });
}
