import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account.js';
import type { Binaries } from './binaries.js';

/** What PostgreSQL gets to see of our environment: no secret of the service, no PG* setting of the user. */
export function serverEnvironment(): Record<string, string> {
  const names = ['PATH', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot', 'TZDIR'];
  const entries = names.flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  );
  return Object.fromEntries(entries) as Record<string, string>;
}

/**
 * Makes the data directory on the first start, whole or not at all, with a random password for the superuser.
 *
 * @returns the superuser's password
 */
export async function initialise(
  home: string,
  binaries: Binaries,
  account: Account | undefined,
  durable: boolean,
): Promise<string> {
  const passwordFile = join(home, 'superuser-password');
  const data = join(home, 'data');
  if (await stat(join(data, 'PG_VERSION')).catch(refuseForeign(data))) {
    return (await readFile(passwordFile, 'utf8')).trim();
  }
  const password = randomBytes(24).toString('base64url');
  const workshop = await mkdtemp(join(home, 'new-'));
  try {
    const half = join(workshop, 'data');
    const secret = join(workshop, 'password');
    await writeFile(secret, password, { mode: 0o600 });
    await mkdir(half, { mode: 0o700 });
    if (account) {
      for (const path of [workshop, half, secret]) await chown(path, account.uid, account.gid);
    }
    await runInitdb(binaries.initdb, half, secret, account, durable);
    // The password first: data without its password would be lost.
    await writeFile(passwordFile, password, { mode: 0o600 });
    await chmod(passwordFile, 0o600);
    await rename(half, data);
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
  return password;
}

function refuseForeign(data: string): (error: NodeJS.ErrnoException) => undefined {
  return ({ code }) => {
    if (code === 'EACCES')
      throw new TypeError(`${data} belongs to another user; start as that user, or remove it.`);
    return undefined;
  };
}

async function runInitdb(
  initdb: string,
  data: string,
  passwordFile: string,
  account: Account | undefined,
  durable: boolean,
): Promise<void> {
  const args = [
    ...['-D', data, '-U', 'postgres', '--pwfile', passwordFile, '--auth=scram-sha-256', '--encoding=UTF8'],
    // Needs no locale of the operating system, and sorts and folds alike everywhere.
    ...['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
    ...(durable ? [] : ['--no-sync']),
  ];
  const child = spawn(initdb, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: serverEnvironment(),
    cwd: data,
    windowsHide: true,
    ...account,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0) throw new TypeError(`PostgreSQL's initdb failed:\n${said.trim()}`);
}
