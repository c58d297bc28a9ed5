import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface MigrationFile {
  /** As the file is called, without `.sql`: `1764000000001-database`. */
  readonly file: string;
  /** As TypeORM wants it: words first, timestamp last. */
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the text, in hex: what was applied is never edited. */
  readonly checksum: string;
}

/** The kit's own; the same two steps up from `src/database` and from `dist/database`. */
export const KIT_MIGRATIONS = fileURLToPath(new URL('../../migrations/', import.meta.url));

const FILE_NAME = /^(\d{13})-([a-z0-9]+(?:-[a-z0-9]+)*)$/;

/**
 * Reads every `.sql` file of the folders, in the order of their timestamps.
 *
 * @throws TypeError when a folder cannot be read, a name is not `<13 digits>-<words>.sql`, or two clash.
 */
export async function readMigrations(directories: readonly string[]): Promise<MigrationFile[]> {
  const files = await Promise.all(directories.map(readDirectory));
  const sorted = files.flat().sort((a, b) => (a.file < b.file ? -1 : 1));
  const stamps = new Map<string, string>();
  for (const { file } of sorted) {
    const stamp = file.slice(0, 13);
    const other = stamps.get(stamp);
    if (other) throw new TypeError(`migrations ${other} and ${file} have the same timestamp; change one.`);
    stamps.set(stamp, file);
  }
  return sorted;
}

async function readDirectory(directory: string): Promise<MigrationFile[]> {
  const names = await readdir(directory).catch((cause: unknown) => {
    throw new TypeError(`the migrations folder ${directory} cannot be read.`, { cause });
  });
  const sqlFiles = names.filter((name) => name.endsWith('.sql'));
  return Promise.all(sqlFiles.map((name) => readMigration(join(directory, name))));
}

async function readMigration(path: string): Promise<MigrationFile> {
  const file = basename(path, '.sql');
  const [, stamp, words] = FILE_NAME.exec(file) ?? [];
  if (stamp === undefined || words === undefined) {
    throw new TypeError(`the migration ${file}.sql is not named <13 digits>-<words>.sql; rename it.`);
  }
  // A checkout may have turned the line ends: that is no other migration.
  const sql = (await readFile(path, 'utf8')).replaceAll('\r\n', '\n');
  const name = words.replace(/(?:^|-)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()) + stamp;
  return { file, name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
}
