import type { DataSource, QueryRunner } from 'typeorm';
import { databaseErrorLine } from './database.errors.js';
import type { DatabaseTlsOptions } from './database-tls.js';
import { parseDatabaseUrl, type DatabaseAddress } from './database-url.js';
import { closeDatabase, ensureGroupRoles, ensureLogin, type GroupRole, type LoginOutcome } from './logins.js';
import { KIT_MIGRATIONS, readMigrations } from './migration-file.js';
import { applyMigrations, pendingMigrations } from './migration-runner.js';
import { openOwner } from './owner-data-source.js';

/** What `migrate` needs to know: the owner, the logins to make, the folders to apply. */
export interface MigrateOptions extends DatabaseTlsOptions {
  /** The login that owns the schema: it needs CREATEROLE and must own the database; no superuser is needed. */
  readonly ownerUrl: string;
  /** Logins to make or to bring up to date, with the passwords in their URLs. */
  readonly logins?: readonly { readonly url: string; readonly role: GroupRole }[];
  /** Folders with the application's own SQL migrations, applied together with the kit's. */
  readonly directories?: readonly string[];
  /** Say what would be applied, change nothing. @default false */
  readonly dryRun?: boolean;
  readonly onProgress?: (line: string) => void;
}

/** What a migration did, or in a dry run would do. */
export interface MigrateReport {
  /** Files applied by this run, in order; in a dry run those that would be. */
  readonly applied: readonly string[];
  readonly alreadyApplied: number;
  readonly logins: readonly LoginOutcome[];
  readonly dryRun: boolean;
}

/** Any fixed number: whoever migrates this database with this kit takes the same lock. */
const ADVISORY_LOCK = '7310868735415348';

/**
 * Brings a database up to date: group roles, schema, logins. Safe to run from several instances at once: one works,
 * the others wait for it and find nothing left to do. Running it again changes nothing but passwords.
 *
 * @throws MigrateError in one line, with the mend where there is one.
 */
export async function migrate(options: MigrateOptions): Promise<MigrateReport> {
  const { dryRun = false, onProgress = () => undefined } = options;
  const owner = addressOf('DATABASE_OWNER_URL', options.ownerUrl);
  const logins = (options.logins ?? []).map(({ url, role }) => ({ role, address: addressOf(role, url) }));
  refuseClashes(
    owner,
    logins.map(({ address }) => address),
  );
  let dataSource: DataSource | undefined;
  try {
    const files = await readMigrations([KIT_MIGRATIONS, ...(options.directories ?? [])]);
    dataSource = await openOwner(options.ownerUrl, options);
    const runner = dataSource.createQueryRunner();
    if (dryRun) {
      const pending = await pendingMigrations(runner, files);
      return reportOf(pending, files.length, [], true);
    }
    await lock(runner, onProgress);
    await ensureGroupRoles(runner);
    await closeDatabase(runner);
    // Only now: while we waited, somebody else may have done everything.
    const pending = await pendingMigrations(runner, files);
    await applyMigrations(dataSource, runner, pending, (file) => {
      onProgress(`applied ${file}`);
    });
    const outcomes: LoginOutcome[] = [];
    for (const { address, role } of logins) {
      outcomes.push(await ensureLogin(runner, address, role).catch(failWith(`the login ${address.user}`)));
      onProgress(`login ${address.user} is a member of ${role}`);
    }
    return reportOf(pending, files.length, outcomes, false);
  } catch (cause) {
    throw cause instanceof MigrateError ? cause : new MigrateError(databaseErrorLine(cause), { cause });
  } finally {
    // Closing the connection gives the advisory lock back.
    if (dataSource?.isInitialized) await dataSource.destroy();
  }
}

/** Why nothing, or not everything, was migrated; each file is applied as a whole or not at all. */
export class MigrateError extends Error {
  override readonly name = 'MigrateError';
}

async function lock(runner: QueryRunner, onProgress: (line: string) => void): Promise<void> {
  const [first] = (await runner.query(`SELECT pg_try_advisory_lock(${ADVISORY_LOCK}) AS got`)) as {
    got: boolean;
  }[];
  if (!first?.got) {
    onProgress('waiting for another migration to finish');
    await runner.query(`SELECT pg_advisory_lock(${ADVISORY_LOCK})`);
  }
  // A migration that waits for a table makes every later query on that table wait behind it.
  await runner.query(`SET lock_timeout = '30s'`);
}

function reportOf(
  applied: readonly { file: string }[],
  total: number,
  logins: readonly LoginOutcome[],
  dryRun: boolean,
): MigrateReport {
  return { applied: applied.map(({ file }) => file), alreadyApplied: total - applied.length, logins, dryRun };
}

function addressOf(name: string, url: string): DatabaseAddress {
  try {
    return parseDatabaseUrl(url);
  } catch (cause) {
    return failWith(name === 'DATABASE_OWNER_URL' ? "the owner's URL" : `the URL of the ${name} login`)(
      cause,
    );
  }
}

function refuseClashes(owner: DatabaseAddress, logins: readonly DatabaseAddress[]): void {
  const users = [owner, ...logins].map(({ user }) => user);
  const twice = users.find((user, index) => users.indexOf(user) !== index);
  if (twice !== undefined) {
    throw new MigrateError(
      `the login ${twice} is named twice; owner, application and audit need a login each`,
    );
  }
}

function failWith(subject: string): (cause: unknown) => never {
  return (cause) => {
    throw new MigrateError(`${subject} ${databaseErrorLine(cause)}`, { cause });
  };
}
