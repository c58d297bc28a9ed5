import { chmod, lstat, mkdir, mkdtemp, realpath, rmdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { canReach, type Account } from './account.js';

/** Where root may put what an ordinary account must reach; only root writes there, so nobody can squat a name. */
const REACHABLE = '/var/lib/embedded-postgres';

/**
 * The folder that holds data, password and, if need be, binaries. Where the account cannot reach the one that was
 * asked for (a project below /root), a link to one that it can reach stands in its place.
 */
export async function reachableHome(
  directory: string,
  accountOf: (data: string) => Promise<Account | undefined>,
): Promise<{ home: string; account: Account | undefined }> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const home = await realpath(directory);
  const account = await accountOf(join(home, 'data'));
  if (!account) return { home, account };
  if (await canReach(account, home)) return { home, account };
  await chmod(home, 0o711);
  if (await canReach(account, home)) return { home, account };
  // A link that leads nowhere reachable, or a folder with something in it: not ours to replace.
  if ((await lstat(directory)).isSymbolicLink())
    throw new TypeError(`${home} cannot be reached by the database's account.`);
  await rmdir(directory).catch((cause: unknown) => {
    throw new TypeError(
      `${directory} cannot be reached by the database's account, and is not empty; remove it.`,
      { cause },
    );
  });
  await mkdir(REACHABLE, { recursive: true, mode: 0o755 });
  const moved = await mkdtemp(join(REACHABLE, 'home-'));
  await chmod(moved, 0o711);
  await symlink(moved, directory);
  return { home: moved, account };
}
