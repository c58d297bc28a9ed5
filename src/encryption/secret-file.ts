import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/**
 * Writes a new file that its owner alone may read (mode 0600), whole or not at all.
 *
 * @returns false when something stands there already, which is never overwritten: of two processes one wins.
 */
export function createSecretFile(file: string, text: string): boolean {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  // Written under another name and then linked: nobody ever reads half a key, and link(2) does not replace.
  const draft = `${file}.${randomUUID()}`;
  try {
    const descriptor = openSync(draft, 'wx', 0o600);
    try {
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    linkSync(draft, file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** What is wrong with a secret file: others may read it, or it is not a plain file of ours. */
export class ExposedFileError extends Error {}

/** @throws ExposedFileError when anybody but its owner may read or write it. Windows has no modes to look at. */
export function readSecretFile(file: string): string {
  // The descriptor that is checked is the one that is read: the file cannot be swapped in between.
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { mode, uid } = fstatSync(descriptor);
    if (process.platform !== 'win32') {
      if ((mode & 0o077) !== 0) throw new ExposedFileError('is readable by others: chmod 600 it');
      if (uid !== process.geteuid?.()) throw new ExposedFileError('belongs to another user: chown it');
    }
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}
