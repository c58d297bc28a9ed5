import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Above every pid that Linux (2^22) and macOS (99998) hand out. */
const NOBODYS_PID = 2_147_483_646;

/**
 * Clears the way for a start on data whose last server did not stop properly. PostgreSQL does so itself when the pid
 * in `postmaster.pid` is gone, but not when it is a zombie that nobody reaps (containers), or now means another process.
 * A server that was left behind without its supervisor is shut down; one whose supervisor lives is somebody's.
 *
 * @throws TypeError when another service is using the data.
 */
export async function clearStaleLock(home: string): Promise<void> {
  const path = join(home, 'data', 'postmaster.pid');
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return;
  if (await isServer(pid)) {
    const supervisor = Number(await readFile(join(home, 'supervisor.pid'), 'utf8').catch(() => '0'));
    if (supervisor > 0 && (await commandOf(supervisor)) !== undefined) {
      throw new TypeError(
        `The data in ${home} is in use: another process runs PostgreSQL on it (pid ${pid}).`,
      );
    }
    process.kill(pid, 'SIGINT');
    for (let waited = 0; (await isServer(pid)) && waited < 15_000; waited += 50) await pause(50);
  }
  // The rest of the file stays: by its shared memory key PostgreSQL sees whether a backend is still alive.
  if (await isAlive(pid)) await writeFile(path, [NOBODYS_PID, ...lines.slice(1)].join('\n'));
}

async function isServer(pid: number): Promise<boolean> {
  return (await commandOf(pid))?.includes('postgres') ?? false;
}

/** What runs under the pid; undefined when nothing does, or only a zombie. */
async function commandOf(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return (await isAlive(pid)) ? 'postgres' : undefined;
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name is in brackets and may itself hold brackets and blanks; the state follows the last one.
  if (status === undefined || status.slice(status.lastIndexOf(')') + 2, status.lastIndexOf(')') + 3) === 'Z')
    return undefined;
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').join(' ');
}

function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
    return Promise.resolve(true);
  } catch (error) {
    return Promise.resolve((error as NodeJS.ErrnoException).code === 'EPERM');
  }
}
