import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { migrate, MigrateError, type MigrateOptions } from '../../src/database/migrate.js';
import { KIT_MIGRATIONS, readMigrations } from '../../src/database/migration-file.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

const SAMPLE_MIGRATIONS = fileURLToPath(new URL('../../sample/migrations/', import.meta.url));
const { ownerUrl: templateOwnerUrl, superuserUrl } = inject('database');
const used: string[] = [];

async function query<Row extends pg.QueryResultRow>(
  url: string,
  sql: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<Row>(sql, values);
    return rows;
  } finally {
    await client.end();
  }
}

/** An empty database and three logins that nobody made yet, but for the owner. */
interface Empty {
  readonly name: string;
  readonly ownerUrl: string;
  readonly appUrl: string;
  readonly auditUrl: string;
  readonly options: MigrateOptions;
}

async function emptyDatabase(): Promise<Empty> {
  const owner = new URL(templateOwnerUrl);
  const name = `${owner.username.replace(/_owner$/, '')}_${randomBytes(4).toString('hex')}`;
  owner.pathname = '/postgres';
  await query(owner.href, `CREATE DATABASE ${name}`);
  used.push(name);
  const urlOf = (login: string): string => {
    const url = new URL(owner.href);
    return Object.assign(url, {
      pathname: `/${name}`,
      username: `${name}_${login}`,
      password: `pass%25-${login}`,
    }).href;
  };
  owner.pathname = `/${name}`;
  const ownerUrl = owner.href;
  const [appUrl, auditUrl] = [urlOf('app'), urlOf('audit')];
  const logins = [
    { url: appUrl, role: 'zt_app' as const },
    { url: auditUrl, role: 'zt_audit_sequencer' as const },
  ];
  return {
    name,
    ownerUrl,
    appUrl,
    auditUrl,
    options: { ownerUrl, logins, directories: [SAMPLE_MIGRATIONS] },
  };
}

async function filesOf(directories: readonly string[]): Promise<string[]> {
  return (await readMigrations(directories)).map(({ file }) => file);
}

/** What a database holds, down to each grant and trigger. */
async function fingerprint(url: string): Promise<unknown> {
  const objects = await query(
    url,
    `SELECT n.nspname, c.relname, c.relkind, c.relacl::text AS acl,
            ARRAY(SELECT attname || coalesce(attacl::text, '') FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 ORDER BY attnum) AS columns,
            ARRAY(SELECT tgname::text FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal ORDER BY 1) AS triggers
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2`,
  );
  const schemas = await query(
    url,
    `SELECT nspname, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_t' ORDER BY 1`,
  );
  return { objects, schemas };
}

async function directoryWith(files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'migrations-'));
  for (const [name, sql] of Object.entries(files)) await writeFile(join(directory, name), sql);
  return directory;
}

afterAll(async () => {
  const owner = Object.assign(new URL(templateOwnerUrl), { pathname: '/postgres' }).href;
  for (const name of used) {
    await query(owner, `DROP DATABASE ${name} WITH (FORCE)`);
    for (const login of ['app', 'audit']) await query(superuserUrl, `DROP ROLE IF EXISTS ${name}_${login}`);
  }
});

describe('zero-trust migrate', () => {
  test('makes schema and logins from nothing, as an owner that is no superuser', async () => {
    const { options, ownerUrl, appUrl, auditUrl } = await emptyDatabase();
    const [owner] = await query<{ rolsuper: boolean }>(
      ownerUrl,
      'SELECT rolsuper FROM pg_roles WHERE rolname = current_user',
    );
    expect(owner?.rolsuper).toBe(false);
    const lines: string[] = [];
    const report = await migrate({ ...options, onProgress: (line) => lines.push(line) });
    expect(report.applied).toEqual(await filesOf([KIT_MIGRATIONS, SAMPLE_MIGRATIONS]));
    expect(report.logins.map(({ role, outcome }) => [role, outcome])).toEqual([
      ['zt_app', 'created'],
      ['zt_audit_sequencer', 'created'],
    ]);
    expect(lines[0]).toBe('applied 1764000000001-database');
    for (const url of [appUrl, auditUrl]) {
      const rows = await query(url, 'SELECT name FROM zero_trust.migration');
      expect(rows).toHaveLength(report.applied.length);
    }
  });

  test('changes nothing when it runs again, but brings back what a login must be', async () => {
    const { options, appUrl, ownerUrl } = await emptyDatabase();
    await migrate(options);
    const login = new URL(appUrl).username;
    const before = await fingerprint(ownerUrl);
    await query(superuserUrl, `ALTER ROLE ${login} CREATEDB CREATEROLE PASSWORD 'other'`);
    const report = await migrate(options);
    expect(report.applied).toEqual([]);
    expect(report.alreadyApplied).toBe((await filesOf([KIT_MIGRATIONS, SAMPLE_MIGRATIONS])).length);
    expect(report.logins[0]?.outcome).toBe('updated');
    expect(await fingerprint(ownerUrl)).toEqual(before);
    const [row] = await query(
      appUrl,
      'SELECT rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user',
    );
    expect(row).toEqual({ rolcreatedb: false, rolcreaterole: false });
  });

  test('refuses, with the mend, a login that it may not strip of its powers', async () => {
    const { options, appUrl } = await emptyDatabase();
    const login = new URL(appUrl).username;
    await query(superuserUrl, `CREATE ROLE ${login} LOGIN BYPASSRLS`);
    await expect(migrate(options)).rejects.toThrow(
      /^the login .*_app could not be made: .*The owner needs CREATEROLE/,
    );
  });

  test('keeps no password: PostgreSQL gets a SCRAM verifier', async () => {
    const { options, appUrl } = await emptyDatabase();
    await migrate(options);
    const [row] = await query<{ rolpassword: string }>(
      superuserUrl,
      'SELECT rolpassword FROM pg_authid WHERE rolname = $1',
      [new URL(appUrl).username],
    );
    expect(row?.rolpassword).toMatch(/^SCRAM-SHA-256\$4096:/);
    expect(await query(appUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('a dry run says what it would do, and does nothing', async () => {
    const { options, ownerUrl } = await emptyDatabase();
    const before = await fingerprint(ownerUrl);
    const report = await migrate({ ...options, dryRun: true });
    expect(report).toEqual({
      applied: await filesOf([KIT_MIGRATIONS, SAMPLE_MIGRATIONS]),
      alreadyApplied: 0,
      logins: [],
      dryRun: true,
    });
    expect(await fingerprint(ownerUrl)).toEqual(before);
  });

  test('refuses an applied file that was changed afterwards, whatever else waits', async () => {
    const { options } = await emptyDatabase();
    const directory = await directoryWith({ '1764000001100-first.sql': 'CREATE SCHEMA first;' });
    const mine = { ...options, directories: [directory] };
    await migrate(mine);
    await writeFile(join(directory, '1764000001100-first.sql'), 'CREATE SCHEMA first; CREATE SCHEMA second;');
    await writeFile(join(directory, '1764000001101-next.sql'), 'CREATE SCHEMA next;');
    await expect(migrate(mine)).rejects.toThrow(/changed afterwards: 1764000001100-first/);
    // Another line end is no change.
    await writeFile(join(directory, '1764000001100-first.sql'), 'CREATE SCHEMA first;');
    expect((await migrate(mine)).applied).toEqual(['1764000001101-next']);
    await rm(directory, { recursive: true });
  });

  test('a file that fails leaves nothing of itself, and everything before it', async () => {
    const { options, ownerUrl } = await emptyDatabase();
    const directory = await directoryWith({
      '1764000001100-good.sql': 'CREATE SCHEMA good;',
      '1764000001101-bad.sql': 'CREATE SCHEMA half; SELECT 1 / 0;',
    });
    const mine = { ...options, directories: [directory] };
    const failing = migrate(mine);
    await expect(failing).rejects.toThrow(MigrateError);
    await expect(failing).rejects.toThrow('1764000001101-bad failed: division by zero (22012)');
    const schemas = await query<{ nspname: string }>(
      ownerUrl,
      `SELECT nspname FROM pg_namespace WHERE nspname IN ('good', 'half')`,
    );
    expect(schemas).toEqual([{ nspname: 'good' }]);
    await writeFile(join(directory, '1764000001101-bad.sql'), 'CREATE SCHEMA half;');
    expect((await migrate(mine)).applied).toEqual(['1764000001101-bad']);
    await rm(directory, { recursive: true });
  });

  test.each([
    ['a name without timestamp', { 'first.sql': '' }, /first\.sql is not named/],
    [
      'two files with one timestamp',
      { '1764000001100-a.sql': '', '1764000001100-b.sql': '' },
      /same timestamp/,
    ],
    ['a timestamp of the kit', { '1764000000001-mine.sql': '' }, /same timestamp/],
  ])('refuses %s', async (_, files, message) => {
    const { options } = await emptyDatabase();
    const directory = await directoryWith(files);
    await expect(migrate({ ...options, directories: [directory] })).rejects.toThrow(message);
    await rm(directory, { recursive: true });
  });

  test('refuses a folder that is not there, one login for two purposes, and a password that clients read differently', async () => {
    const { options, ownerUrl, appUrl } = await emptyDatabase();
    await expect(migrate({ ...options, directories: ['/nowhere/at/all'] })).rejects.toThrow(/cannot be read/);
    await expect(migrate({ ...options, logins: [{ url: ownerUrl, role: 'zt_app' }] })).rejects.toThrow(
      /named twice/,
    );
    const umlaut = Object.assign(new URL(appUrl), { password: 'geheim-ä-wort' }).href;
    const refused = migrate({ ...options, logins: [{ url: umlaut, role: 'zt_app' }] });
    await expect(refused).rejects.toThrow(/printable ASCII/);
    await expect(refused).rejects.not.toThrow(/geheim/);
  });

  test('FLT-16 says in one line that the database cannot be reached, without the password', async () => {
    const refused = migrate({ ownerUrl: 'postgres://owner:secret-word@127.0.0.1:1/portal' });
    await expect(refused).rejects.toThrow(/^the database cannot be reached as the owner: [^\n]+$/);
    await expect(refused).rejects.not.toThrow(/secret-word/);
  });
});

describe('FLT-13 two instances migrate at once', () => {
  test('FLT-13 on an empty database one migrates, the others wait; grants and triggers are those of a single run', async () => {
    const reference = await createTestDatabase();
    const { options, ownerUrl } = await emptyDatabase();
    const waited: string[] = [];
    const onProgress = (line: string): number => (line.startsWith('waiting') ? waited.push(line) : 0);
    const reports = await Promise.all([1, 2, 3].map(() => migrate({ ...options, onProgress })));
    const applied = reports.map((report) => report.applied).filter((each) => each.length > 0);
    expect(applied).toEqual([await filesOf([KIT_MIGRATIONS, SAMPLE_MIGRATIONS])]);
    expect(waited).toHaveLength(2);
    expect(await fingerprint(ownerUrl)).toEqual(await fingerprint(reference.ownerUrl));
    await reference.drop();
  });

  test('FLT-13 with one migration missing it is applied once', async () => {
    const { options, ownerUrl } = await emptyDatabase();
    await migrate({ ...options, directories: [] });
    const reports = await Promise.all([1, 2].map(() => migrate(options)));
    expect(reports.map(({ applied }) => applied).sort((a, b) => a.length - b.length)).toEqual([
      [],
      await filesOf([SAMPLE_MIGRATIONS]),
    ]);
    const [row] = await query(
      ownerUrl,
      'SELECT count(*)::int = count(DISTINCT name)::int AS once FROM zero_trust.migration',
    );
    expect(row).toEqual({ once: true });
  });

  test('two databases of one cluster make the same roles at once', async () => {
    const databases = await Promise.all([emptyDatabase(), emptyDatabase(), emptyDatabase()]);
    const reports = await Promise.all(databases.map(({ options }) => migrate(options)));
    for (const report of reports) expect(report.applied).not.toEqual([]);
  });
});

describe('OPS-07 the rights that migrate leaves behind', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => database.drop());

  test('OPS-07 PUBLIC has no right on database, schemas, tables, columns, sequences or functions, now and by default', async () => {
    const { options, ownerUrl } = await emptyDatabase();
    await migrate(options);
    for (const url of [ownerUrl, database.ownerUrl]) {
      const rows = await query(
        url,
        `WITH ours AS (SELECT * FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
         acls (what, acl) AS (
           SELECT 'database ' || datname, coalesce(datacl, acldefault('d', datdba)) FROM pg_database WHERE datname = current_database()
           UNION ALL SELECT 'schema ' || nspname, coalesce(nspacl, acldefault('n', nspowner)) FROM ours
           UNION ALL SELECT 'relation ' || c.oid::regclass, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
             FROM pg_class c JOIN ours n ON n.oid = relnamespace WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
           UNION ALL SELECT 'column ' || attname || ' of ' || attrelid::regclass, attacl
             FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN ours n ON n.oid = relnamespace
           UNION ALL SELECT 'function ' || p.oid::regprocedure, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc p JOIN ours n ON n.oid = pronamespace
           UNION ALL SELECT 'default for ' || defaclobjtype::text, defaclacl FROM pg_default_acl
         )
         SELECT what, privilege_type FROM acls, aclexplode(acl) AS each WHERE grantee = 0`,
      );
      expect(rows).toEqual([]);
      const [later] = await query(
        url,
        `SELECT count(*)::int AS defaults FROM pg_default_acl WHERE defaclobjtype IN ('f', 'T')`,
      );
      expect(later).toEqual({ defaults: 2 });
    }
  });

  test.each(['appUrl', 'auditUrl'] as const)(
    'OPS-07 AUD-02 the login of %s owns nothing, is nobody special, and is in one group only',
    async (login) => {
      const rows = await query(
        database[login],
        `SELECT r.rolsuper OR r.rolbypassrls OR r.rolcreatedb OR r.rolcreaterole OR r.rolreplication AS special,
              (SELECT count(*)::int FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = r.oid AND deptype = 'o') AS owned,
              ARRAY(SELECT roleid::regrole::text FROM pg_auth_members WHERE member = r.oid) AS groups
         FROM pg_roles r WHERE rolname = current_user`,
      );
      expect(rows).toEqual([
        { special: false, owned: 0, groups: [login === 'appUrl' ? 'zt_app' : 'zt_audit_sequencer'] },
      ]);
    },
  );

  test.each(['appUrl', 'auditUrl'] as const)(
    'OPS-07 the login of %s can neither make objects nor touch what migrations record',
    async (login) => {
      for (const sql of [
        'CREATE TABLE public.mine (id int)',
        'CREATE TEMP TABLE mine (id int)',
        'CREATE SCHEMA mine',
        'CREATE TABLE zero_trust.mine (id int)',
        'DELETE FROM zero_trust.migration',
        `INSERT INTO zero_trust.migration (timestamp, name) VALUES (1, 'x')`,
        'SELECT checksum FROM zero_trust.migration_checksum',
        'DROP SCHEMA zero_trust CASCADE',
        'GRANT zt_app TO zt_audit_sequencer',
        'SET ROLE zt_nobody',
        `ALTER ROLE current_user SUPERUSER`,
        'CREATE EXTENSION pgcrypto',
        `COPY (SELECT 1) TO PROGRAM 'true'`,
      ]) {
        await expect(query(database[login], sql), sql).rejects.toThrow(
          /permission denied|must be|does not exist|not permitted/,
        );
      }
    },
  );

  test('OPS-07 a login of one database cannot enter another of the same cluster', async () => {
    const { options, name, appUrl } = await emptyDatabase();
    await migrate(options);
    const elsewhere = Object.assign(new URL(appUrl), { pathname: `/${database.name}` }).href;
    await expect(query(elsewhere, 'SELECT 1')).rejects.toThrow(/permission denied for database/);
    const here = Object.assign(new URL(database.appUrl), { pathname: `/${name}` }).href;
    await expect(query(here, 'SELECT 1')).rejects.toThrow(/permission denied for database/);
  });

  test('OPS-07 no schema in the search path can be written to', async () => {
    const { options, appUrl } = await emptyDatabase();
    await migrate(options);
    const [row] = await query<{ path: string; writable: string[] }>(
      appUrl,
      `SELECT current_setting('search_path') AS path,
              ARRAY(SELECT nspname::text FROM pg_namespace WHERE has_schema_privilege(oid, 'CREATE')) AS writable`,
    );
    expect(row).toEqual({ path: 'pg_catalog, public, pg_temp', writable: [] });
  });
});
