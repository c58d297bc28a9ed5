import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
const logins = {} as Record<'app' | 'auditor' | 'owner' | 'superuser', pg.Client>;

beforeAll(async () => {
  database = await createTestDatabase();
  logins.app = new pg.Client({ connectionString: database.appUrl });
  logins.auditor = new pg.Client({ connectionString: database.auditUrl });
  logins.owner = new pg.Client({ connectionString: database.ownerUrl });
  logins.superuser = new pg.Client({ connectionString: database.superuserUrl });
  await Promise.all(Object.values(logins).map((login) => login.connect()));
});
afterAll(async () => {
  await Promise.all(Object.values(logins).map((login) => login.end()));
  await database.drop();
});

const append = (entry: Buffer | string = '{}', login = logins.app): Promise<unknown> =>
  login.query('INSERT INTO audit.pending (id, log_id, entry) VALUES ($1, 1, $2)', [
    randomUUID(),
    Buffer.from(entry),
  ]);
const count = async (): Promise<number> =>
  (await logins.owner.query<{ count: number }>('SELECT count(*)::int AS count FROM audit.pending')).rows[0]!
    .count;

const DENIED = '42501';
const SEAT_BELT = 'ZT002';

beforeEach(() => append());

describe('the login of the application', () => {
  test.each([
    ['reads', 'SELECT entry FROM audit.pending'],
    [
      'reads back what it writes',
      `INSERT INTO audit.pending (id, log_id, entry) VALUES (gen_random_uuid(), 1, '{}') RETURNING entry`,
    ],
    ['updates', `UPDATE audit.pending SET entry = '{}'`],
    ['deletes', 'DELETE FROM audit.pending'],
    ['truncates', 'TRUNCATE audit.pending'],
    ['takes the trigger off', 'ALTER TABLE audit.pending DISABLE TRIGGER append_only'],
    ['drops the table', 'DROP TABLE audit.pending'],
    ['drops the schema', 'DROP SCHEMA audit CASCADE'],
    ['grants itself', 'GRANT SELECT ON audit.pending TO zt_app'],
    ['turns triggers off', 'SET session_replication_role = replica'],
    ['makes a table beside it', 'CREATE TABLE audit.other (id int)'],
    [
      'replaces the function',
      'CREATE OR REPLACE FUNCTION audit.require_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$',
    ],
    [
      'chooses the time',
      `INSERT INTO audit.pending (id, log_id, entry, recorded_at) VALUES (gen_random_uuid(), 1, '{}', '2000-01-01')`,
    ],
    [
      'chooses the transaction',
      `INSERT INTO audit.pending (id, log_id, entry, xid) VALUES (gen_random_uuid(), 1, '{}', '7')`,
    ],
    [
      'overwrites on conflict',
      `INSERT INTO audit.pending (id, log_id, entry) VALUES (gen_random_uuid(), 1, '{}') ON CONFLICT (log_id, id) DO UPDATE SET entry = '{}'`,
    ],
    [
      'becomes the owner',
      `DO $$ BEGIN EXECUTE format('SET ROLE %I', (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'audit.pending'::regclass)); END $$`,
    ],
  ])('AUD-01 is refused when it %s', async (_what, sql) => {
    const before = await count();
    await expect(logins.app.query(sql)).rejects.toMatchObject({ code: DENIED });
    expect(await count()).toBe(before);
  });

  test('AUD-02 neither owns nor administers anything of the log, and is no superuser', async () => {
    const app = new URL(database.appUrl).username;
    const { rows: role } = await logins.owner.query(
      `SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles WHERE rolname = $1`,
      [app],
    );
    expect(role).toEqual([
      {
        rolsuper: false,
        rolbypassrls: false,
        rolcreaterole: false,
        rolcreatedb: false,
        rolreplication: false,
      },
    ]);
    const { rows: owners } = await logins.owner.query<{ owner: string }>(
      `SELECT DISTINCT pg_get_userbyid(owner) AS owner FROM (
         SELECT relowner AS owner FROM pg_class WHERE relnamespace = 'audit'::regnamespace
         UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = 'audit'::regnamespace
         UNION ALL SELECT nspowner FROM pg_namespace WHERE nspname = 'audit') AS owned`,
    );
    expect(owners).toEqual([{ owner: new URL(database.ownerUrl).username }]);
    expect(owners[0]?.owner).not.toBe(app);
  });

  test('AUD-02 has exactly the right to insert three columns, and the public none', async () => {
    const { rows } = await logins.owner.query<{ who: string; what: string }>(
      `SELECT grantee AS who, privilege_type || ' ' || table_name || '.' || column_name AS what
         FROM information_schema.column_privileges WHERE table_schema = 'audit' AND grantee <> current_user
       UNION SELECT grantee, privilege_type || ' ' || routine_name FROM information_schema.routine_privileges
         WHERE routine_schema = 'audit' AND grantee <> current_user
       UNION SELECT coalesce(defaclrole::regrole::text, ''), defaclacl::text FROM pg_default_acl
         WHERE defaclnamespace = 'audit'::regnamespace
       ORDER BY 1, 2`,
    );
    const of = (role: string): string[] => rows.filter(({ who }) => who === role).map(({ what }) => what);
    expect(of('zt_app')).toEqual(['INSERT pending.entry', 'INSERT pending.id', 'INSERT pending.log_id']);
    expect(new Set(of('zt_audit_sequencer').map((what) => what.split(' ')[0]))).toEqual(new Set(['SELECT']));
    expect(new Set(rows.map(({ who }) => who))).toEqual(new Set(['zt_app', 'zt_audit_sequencer']));
  });
});

describe('the audit login', () => {
  test('reads, and changes nothing', async () => {
    expect((await logins.auditor.query('SELECT * FROM audit.pending')).rowCount).toBeGreaterThan(0);
    for (const sql of [
      `UPDATE audit.pending SET entry = '{}'`,
      'DELETE FROM audit.pending',
      'TRUNCATE audit.pending',
      `INSERT INTO audit.pending (id, log_id, entry) VALUES (gen_random_uuid(), 1, '{}')`,
    ]) {
      await expect(logins.auditor.query(sql)).rejects.toMatchObject({ code: DENIED });
    }
  });
});

describe('the seat belt', () => {
  const changes = [
    `UPDATE audit.pending SET entry = '{}'`,
    'DELETE FROM audit.pending',
    'TRUNCATE audit.pending',
  ];

  test.each(changes)('stops the owner: %s', async (sql) => {
    await expect(logins.owner.query(sql)).rejects.toMatchObject({ code: SEAT_BELT });
  });

  test.each(changes)('stops a superuser with replication role replica: %s', async (sql) => {
    await logins.superuser.query('BEGIN');
    await logins.superuser.query('SET LOCAL session_replication_role = replica');
    await expect(logins.superuser.query(sql)).rejects.toMatchObject({ code: SEAT_BELT });
    await logins.superuser.query('ROLLBACK');
  });
});

describe('an entry', () => {
  const padded = (bytes: number): string => `{"x":"${'a'.repeat(bytes - 8)}"}`;

  test('is 2 to 65,535 bytes', async () => {
    await append(padded(65_535));
    await expect(append(padded(65_536))).rejects.toMatchObject({ code: '23514' });
    for (const tooShort of ['', '1'])
      await expect(append(tooShort)).rejects.toMatchObject({ code: /23514|22P02/ });
  });

  test.each([
    ['no JSON', '{"half":'],
    ['no object', '[1]'],
    ['a text that no reader could show', String.raw`{"x":"\u0000"}`],
    ['half a surrogate pair', String.raw`{"x":"\ud800"}`],
  ])('that would blind its readers is refused: %s', async (_what, entry) => {
    await expect(append(entry)).rejects.toMatchObject({ code: expect.stringMatching(/^(22|23)/) as string });
  });

  test('that is no UTF-8 is refused', async () => {
    await expect(
      logins.app.query(
        `INSERT INTO audit.pending (id, log_id, entry) VALUES (gen_random_uuid(), 1, '\\x22ff22')`,
      ),
    ).rejects.toMatchObject({ code: '22021' });
  });

  test('stands once: the same id a second time is refused', async () => {
    const id = randomUUID();
    const twice = (): Promise<unknown> =>
      logins.app.query(`INSERT INTO audit.pending (id, log_id, entry) VALUES ($1, 1, '{}')`, [id]);
    await twice();
    await expect(twice()).rejects.toMatchObject({ code: '23505' });
  });

  test('AUD-29 that was rolled back leaves nothing that a verifier could take for tampering', async () => {
    const before = await count();
    await logins.app.query('BEGIN');
    await append();
    await logins.app.query('ROLLBACK');
    await append();
    // Ids are random and nothing is numbered: there is no gap that could be missing.
    expect(await count()).toBe(before + 1);
  });
});
