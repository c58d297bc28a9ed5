import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { serverEnvironment } from './initialise.js';
import { supervise, type SupervisorOrder } from './supervisor.js';

const READY = 'database system is ready to accept connections';
/** Recovery after a crash can take a while; a start that hangs must still end. */
const START_DEADLINE_MS = 60_000;

/** `immediate` is a crash: sessions are cut, nothing is written down, the next start recovers. */
export type StopMode = 'fast' | 'immediate';

export interface ServerProcess {
  readonly stop: (mode?: StopMode) => Promise<void>;
}

/** Starts the supervisor, which starts PostgreSQL. @returns the last lines of its log when it did not become ready. */
export async function launch(
  order: SupervisorOrder,
  home: string,
  onLog: ((line: string) => void) | undefined,
): Promise<ServerProcess | { log: string[] }> {
  const script = `(${supervise.toString()})(require('node:child_process').spawn, require('node:fs').rmSync, ${JSON.stringify(order)})`;
  const child = spawn(process.execPath, ['--eval', script], {
    // Not our environment: no secret of the service, and no setting of `node --watch` or of a debugger.
    ...{
      detached: true,
      env: serverEnvironment(),
      cwd: home,
      windowsHide: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  });
  const exited = new Promise<void>((resolve) =>
    child
      .once('exit', () => {
        resolve();
      })
      .once('error', () => {
        resolve();
      }),
  );
  await writeFile(join(home, 'supervisor.pid'), String(child.pid ?? ''), { mode: 0o600 });
  const log: string[] = [];
  const ready = new Promise<boolean>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        log.push(line);
        if (log.length > 100) log.shift();
        onLog?.(line);
        if (line.includes(READY)) resolve(true);
      });
    }
    void exited.then(() => {
      resolve(false);
    });
    setTimeout(resolve, START_DEADLINE_MS, false).unref();
  });
  // A supervisor that is gone already is no fault.
  child.stdin.on('error', () => undefined);
  const stop = async (mode: StopMode = 'fast'): Promise<void> => {
    // Now there is something to wait for: without this an empty event loop ends the process in the middle of it.
    child.ref();
    child.stdin.end(mode === 'immediate' ? mode : undefined);
    await exited;
  };
  if (!(await ready)) {
    await stop();
    return { log };
  }
  // The database alone must not keep a service running that has nothing left to do.
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr])
    (stream as unknown as { unref(): void }).unref();
  return { stop };
}
