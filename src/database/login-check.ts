import type { DataSource } from 'typeorm';
import { KIT_MIGRATIONS, readMigrations } from './migration-file.js';

interface LoginRow {
  name: string;
  superuser: boolean;
  bypassrls: boolean;
  creates: boolean;
  owned: string[];
}

const LOGIN = `
  SELECT current_user AS name, r.rolsuper AS superuser, r.rolbypassrls AS bypassrls,
         r.rolcreaterole OR r.rolcreatedb OR r.rolreplication AS creates,
         ARRAY(
           SELECT 'database ' || datname FROM pg_database
            WHERE datname = current_database() AND pg_has_role(datdba, 'MEMBER')
           UNION ALL
           SELECT 'schema ' || nspname FROM pg_namespace
            WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND pg_has_role(nspowner, 'MEMBER')
           UNION ALL
           SELECT 'table ' || c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_'
              AND n.nspname <> 'information_schema' AND pg_has_role(c.relowner, 'MEMBER')
         ) AS owned
    FROM pg_roles r WHERE r.rolname = current_user`;

/**
 * Least privilege (ASVS 13.2.2): what the login could do beyond its task would be open to whoever takes over the
 * process. @returns one line a fault.
 */
export async function loginFaults(dataSource: DataSource): Promise<string[]> {
  const [login] = await dataSource.query<LoginRow[]>(LOGIN);
  if (!login) return ['the login cannot be looked up in pg_roles.'];
  const mend = "make the application's own login with `zero-trust migrate` and use its URL.";
  // A superuser is a member of everything: the rest would only repeat it.
  if (login.superuser) return [`the login ${login.name} is a superuser; ${mend}`];
  const faults: string[] = [];
  if (login.bypassrls) faults.push(`the login ${login.name} has BYPASSRLS; ${mend}`);
  if (login.creates) {
    faults.push(`the login ${login.name} has CREATEROLE, CREATEDB or REPLICATION; ${mend}`);
  }
  if (login.owned.length > 0) {
    const some = login.owned.slice(0, 3).join(', ') + (login.owned.length > 3 ? ', …' : '');
    faults.push(`the login ${login.name} owns, or may act as the owner of, ${some}; ${mend}`);
  }
  return faults;
}

/** Whether every migration of the kit, and of the host's folders, has been applied. @returns one line a fault. */
export async function schemaFaults(
  dataSource: DataSource,
  directories: readonly string[],
): Promise<string[]> {
  const expected = await readMigrations([KIT_MIGRATIONS, ...directories]);
  const applied = await appliedNames(dataSource);
  const missing = expected.filter(({ name }) => !applied.has(name)).map(({ file }) => file);
  if (missing.length === 0) return [];
  return [`the schema lacks ${missing.join(', ')}; run \`zero-trust migrate\` first.`];
}

async function appliedNames(dataSource: DataSource): Promise<Set<string>> {
  const [there] = await dataSource.query<{ readable: boolean | null }[]>(
    `SELECT has_table_privilege(to_regclass('zero_trust.migration'), 'SELECT') AS readable`,
  );
  // Null: there is no such table; false: this login is not a member of a group that may read it.
  if (there?.readable !== true) return new Set();
  const rows = await dataSource.query<{ name: string }[]>('SELECT name FROM zero_trust.migration');
  return new Set(rows.map(({ name }) => name));
}
