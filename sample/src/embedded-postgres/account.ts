import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Whom PostgreSQL runs as, where that is somebody else than we are. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * PostgreSQL refuses to run as root. Then it runs as whoever owns the existing data, else as `postgres`, else as
 * `nobody`. @returns undefined when we are an ordinary user: it runs as we do.
 */
export async function serverAccount(existingData: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const data = await stat(existingData).catch(() => undefined);
  if (data && data.uid !== 0) return { uid: data.uid, gid: data.gid };
  const passwd = await readFile('/etc/passwd', 'utf8');
  const accounts = passwd.split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', '_postgres', 'nobody']) {
    const [, , uid, gid] = accounts.find(([each]) => each === name) ?? [];
    // macOS writes nobody's as -2.
    if (uid !== undefined) return { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
  }
  throw new TypeError(
    'PostgreSQL does not run as root, and there is neither a postgres nor a nobody account.',
  );
}

/** Whether the account can enter every folder on the way to `path`. */
export async function canReach(account: Account, path: string): Promise<boolean> {
  const { mode, uid, gid } = await stat(path);
  const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
  if ((mode & bit) === 0) return false;
  const parent = dirname(path);
  return parent === path || canReach(account, parent);
}
