import type { DataSource, MigrationInterface, QueryRunner } from 'typeorm';
import { MigrationExecutor } from 'typeorm';
import { databaseErrorLine } from './database.errors.js';
import type { MigrationFile } from './migration-file.js';

const TABLES = `
  CREATE SCHEMA IF NOT EXISTS zero_trust;
  CREATE TABLE IF NOT EXISTS zero_trust.migration (
    id serial PRIMARY KEY, "timestamp" bigint NOT NULL, name varchar NOT NULL UNIQUE
  );
  CREATE TABLE IF NOT EXISTS zero_trust.migration_checksum (
    name varchar PRIMARY KEY, checksum char(64) NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
  );`;

/** What is applied, and which files still wait. @throws TypeError when an applied file was edited afterwards. */
export async function pendingMigrations(
  runner: QueryRunner,
  files: readonly MigrationFile[],
): Promise<MigrationFile[]> {
  const applied = await appliedChecksums(runner);
  const changed = files.filter(({ name, checksum }) => (applied.get(name) ?? checksum) !== checksum);
  if (changed.length > 0) {
    const names = changed.map(({ file }) => file).join(', ');
    throw new TypeError(
      `applied migrations were changed afterwards: ${names}. Restore them, and write what is new into a new file`,
    );
  }
  return files.filter(({ name }) => !applied.has(name));
}

/** Applies what waits, each file in a transaction of its own together with its entry. */
export async function applyMigrations(
  dataSource: DataSource,
  runner: QueryRunner,
  pending: readonly MigrationFile[],
  onApplied: (file: string) => void,
): Promise<void> {
  await runner.query(TABLES);
  const executor = new MigrationExecutor(dataSource, runner);
  executor.transaction = 'each';
  const classes = pending.map((file) => migrationClass(file, onApplied));
  Object.assign(dataSource, { migrations: classes.map((Each) => new Each()) });
  await executor.executePendingMigrations();
}

function migrationClass(
  file: MigrationFile,
  onApplied: (file: string) => void,
): new () => MigrationInterface {
  return class implements MigrationInterface {
    readonly name = file.name;

    async up(runner: QueryRunner): Promise<void> {
      await runner.query(file.sql).catch((cause: unknown) => {
        throw new TypeError(`the migration ${file.file} failed: ${databaseErrorLine(cause)}`, { cause });
      });
      await runner.query('INSERT INTO zero_trust.migration_checksum (name, checksum) VALUES ($1, $2)', [
        file.name,
        file.checksum,
      ]);
      onApplied(file.file);
    }

    down(): Promise<void> {
      return Promise.reject(new TypeError('Migrations only go forward: write a new one.'));
    }
  };
}

async function appliedChecksums(runner: QueryRunner): Promise<Map<string, string>> {
  const [table] = (await runner.query(`SELECT to_regclass('zero_trust.migration_checksum') AS id`)) as {
    id: string | null;
  }[];
  if (!table?.id) return new Map();
  const rows = (await runner.query('SELECT name, checksum FROM zero_trust.migration_checksum')) as {
    name: string;
    checksum: string;
  }[];
  return new Map(rows.map(({ name, checksum }) => [name, checksum]));
}
