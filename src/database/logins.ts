import type { QueryRunner } from 'typeorm';
import { databaseErrorLine } from './database.errors.js';
import type { DatabaseAddress } from './database-url.js';
import { scramVerifier } from './scram-verifier.js';

/** What a login may do: member of one of these groups, to which the migrations grant. */
export const GROUP_ROLES = ['zt_app', 'zt_audit_sequencer'] as const;
export type GroupRole = (typeof GROUP_ROLES)[number];

export interface LoginOutcome {
  readonly login: string;
  readonly role: GroupRole;
  readonly outcome: 'created' | 'updated';
}

interface RoleRow {
  superuser: boolean;
  bypassrls: boolean;
  createdb: boolean;
  createrole: boolean;
  replication: boolean;
}

const ATTRIBUTES = {
  superuser: 'SUPERUSER',
  bypassrls: 'BYPASSRLS',
  createdb: 'CREATEDB',
  createrole: 'CREATEROLE',
  replication: 'REPLICATION',
} as const;

/**
 * Makes the group roles. Roles belong to the whole cluster and advisory locks to one database, so two databases may
 * do this at once: whoever comes second finds them made.
 */
export async function ensureGroupRoles(runner: QueryRunner): Promise<void> {
  for (const role of GROUP_ROLES) {
    const there = (await runner.query('SELECT FROM pg_roles WHERE rolname = $1', [role])) as unknown[];
    if (there.length === 0) await unlessAlreadyDone(runner.query(`CREATE ROLE ${role} NOLOGIN`));
  }
}

/** Nothing for PUBLIC on the database itself, and no schema in the search path that others could write to. */
export async function closeDatabase(runner: QueryRunner): Promise<void> {
  const database = await databaseOf(runner);
  await again(() => runner.query(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`));
  await again(() => runner.query(`ALTER DATABASE ${database} SET search_path = pg_catalog, public, pg_temp`));
  const [left] = (await runner.query(
    `SELECT has_database_privilege('public', current_database(), 'CONNECT') AS open`,
  )) as { open: boolean }[];
  if (left?.open !== false) {
    throw new TypeError(
      `everybody may connect to the database: its owner must be the login in DATABASE_OWNER_URL`,
    );
  }
}

/** Lets a login in, here and nowhere else: its group reaches every database of the cluster, CONNECT does not. */
export async function admitLogin(runner: QueryRunner, login: string): Promise<void> {
  const database = await databaseOf(runner);
  await again(() => runner.query(`GRANT CONNECT ON DATABASE ${database} TO ${quote(login)}`));
}

/**
 * Makes a login, or brings it back to what it may be: its password, no attribute, one group, this database.
 *
 * @throws TypeError with the mend when the owner may not do that.
 */
export async function ensureLogin(
  runner: QueryRunner,
  address: DatabaseAddress,
  role: GroupRole,
): Promise<LoginOutcome> {
  const { user: login, password } = address;
  if (password === undefined) throw new TypeError('names no password');
  const verifier = await scramVerifier(password);
  const name = quote(login);
  const [before] = (await runner.query(
    `SELECT rolsuper AS superuser, rolbypassrls AS bypassrls, rolcreatedb AS createdb,
            rolcreaterole AS createrole, rolreplication AS replication FROM pg_roles WHERE rolname = $1`,
    [login],
  )) as RoleRow[];
  try {
    // Attributes only where they differ: an owner that is no superuser may not even mention some of them.
    const excess = Object.entries(ATTRIBUTES).filter(([each]) => before?.[each as keyof RoleRow]);
    const without = excess.map(([, attribute]) => `NO${attribute}`).join(' ');
    const verb = before ? 'ALTER' : 'CREATE';
    await again(() => runner.query(`${verb} ROLE ${name} LOGIN ${without} PASSWORD '${verifier}'`));
    const [member] = (await runner.query('SELECT pg_has_role($1, $2, $3) AS already', [
      login,
      role,
      'MEMBER',
    ])) as {
      already: boolean;
    }[];
    if (!member?.already) await again(() => runner.query(`GRANT ${role} TO ${name}`));
    await admitLogin(runner, login);
  } catch (cause) {
    throw new TypeError(
      `could not be made: ${databaseErrorLine(cause)}. The owner needs CREATEROLE, and ADMIN on ${login} and ${role} where others made them`,
      { cause },
    );
  }
  return { login, role, outcome: before ? 'updated' : 'created' };
}

async function databaseOf(runner: QueryRunner): Promise<string> {
  const [row] = (await runner.query('SELECT current_database() AS name')) as { name: string }[];
  return quote(row?.name ?? '');
}

/** Identifiers cannot be parameters of DDL. */
export function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** Two sessions changed the same catalogue row; the second is told so instead of waiting. */
async function again<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 20; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0 || !(error instanceof Error) || !error.message.includes('tuple concurrently updated'))
        throw error;
    }
  }
}

async function unlessAlreadyDone(attempt: Promise<unknown>): Promise<void> {
  try {
    await attempt;
  } catch (error) {
    const { code } = error as { code?: string };
    // duplicate_object, or the unique index when both got past the check.
    if (code !== '42710' && code !== '23505') throw error;
  }
}
