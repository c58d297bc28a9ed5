import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let owner: pg.Client;
let app: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  owner = new pg.Client({ connectionString: database.ownerUrl });
  app = new pg.Client({ connectionString: database.appUrl });
  await Promise.all([owner.connect(), app.connect()]);
  await owner.query(`
    CREATE SCHEMA shop;
    CREATE TABLE shop.item (name text NOT NULL);
    GRANT USAGE ON SCHEMA shop TO zt_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON shop.item TO zt_app;
    CREATE CONSTRAINT TRIGGER must_audit AFTER INSERT OR UPDATE OR DELETE ON shop.item
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit.require_event();`);
});
afterAll(async () => {
  await Promise.all([owner.end(), app.end()]);
  await database.drop();
});
beforeEach(async () => {
  await app.query('ROLLBACK');
  await transaction(`INSERT INTO shop.item VALUES ('lamp')`, event());
});

const UNRECORDED = { code: 'ZT001' };

const event = (): string =>
  `INSERT INTO audit.pending (id, log_id, entry) VALUES ('${randomUUID()}', 1, '{}')`;

async function transaction(...statements: string[]): Promise<void> {
  await app.query('BEGIN');
  for (const statement of statements) await app.query(statement);
  await app.query('COMMIT');
}

const items = async (): Promise<number> =>
  (await owner.query<{ count: number }>('SELECT count(*)::int AS count FROM shop.item')).rows[0]!.count;

describe('a table that must never change silently', () => {
  test.each([
    ['INSERT', `INSERT INTO shop.item VALUES ('chair')`],
    ['UPDATE', `UPDATE shop.item SET name = 'desk'`],
    ['DELETE', 'DELETE FROM shop.item'],
  ])('refuses to commit a bare %s', async (_what, sql) => {
    const before = await items();
    await expect(transaction(sql)).rejects.toMatchObject(UNRECORDED);
    await expect(app.query(sql)).rejects.toMatchObject(UNRECORDED);
    expect(await items()).toBe(before);
  });

  test('takes a change whose event comes before it, or after it', async () => {
    const before = await items();
    await transaction(`INSERT INTO shop.item VALUES ('chair')`, event());
    await transaction(event(), `INSERT INTO shop.item VALUES ('desk')`);
    expect(await items()).toBe(before + 2);
  });

  test('does not take the event of another transaction', async () => {
    await transaction(event());
    await expect(transaction(`INSERT INTO shop.item VALUES ('chair')`)).rejects.toMatchObject(UNRECORDED);
  });

  test('does not take an event that a savepoint rolled back', async () => {
    const change = `INSERT INTO shop.item VALUES ('chair')`;
    await expect(
      transaction(change, 'SAVEPOINT half', event(), 'ROLLBACK TO SAVEPOINT half'),
    ).rejects.toMatchObject(UNRECORDED);
    await transaction('SAVEPOINT half', change, 'RELEASE SAVEPOINT half', event());
  });

  test('cannot be tricked by checking at once', async () => {
    await expect(
      transaction('SET CONSTRAINTS ALL IMMEDIATE', `INSERT INTO shop.item VALUES ('chair')`),
    ).rejects.toMatchObject(UNRECORDED);
  });

  test('is not fooled by a table of the same name in front of the real one', async () => {
    await app
      .query('CREATE TEMPORARY TABLE pending (xid xid8 DEFAULT pg_current_xact_id())')
      .catch(() => undefined);
    await app.query('SET search_path = pg_temp, public');
    await expect(transaction(`INSERT INTO shop.item VALUES ('chair')`)).rejects.toMatchObject(UNRECORDED);
    await app.query('ROLLBACK');
    await app.query('RESET search_path');
  });
});

describe('rights, sessions and accounts', () => {
  const [subject, grant, session] = [randomUUID(), randomUUID(), randomUUID()];
  const hash = `$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`;

  const made = [
    `INSERT INTO access.role (name) VALUES ('reader'), ('chief')`,
    `INSERT INTO access.role_permission (role, permission) VALUES ('reader', 'documents:read')`,
    `INSERT INTO access.role_inherits (role, inherits) VALUES ('chief', 'reader')`,
    `INSERT INTO access.role_may_grant (role, grantable) VALUES ('chief', 'reader')`,
    `INSERT INTO access."grant" (id, subject, role, reason, granted_by) VALUES ('${grant}', '${subject}', 'reader', 'a test', 'test')`,
    `INSERT INTO sessions.session (id, subject, client_id, delivery, acr, amr, auth_time, expires_at, refresh_hash)
     VALUES ('${session}', '${subject}', 'web', 'token', 'aal1', '{pwd}', date_trunc('second', now()), now() + interval '1 hour', sha256('1'))`,
    `INSERT INTO identity.account (id, email, canonical_email, display_name, password_hash)
     VALUES ('${subject}', 'a@example.test', 'a@example.test', 'A', '${hash}')`,
  ];

  beforeAll(() => transaction(event(), ...made));

  test.each([
    `INSERT INTO access.role (name) VALUES ('intruder')`,
    `INSERT INTO access.role_permission (role, permission) VALUES ('reader', 'documents:write')`,
    'DELETE FROM access.role_permission',
    `INSERT INTO access.role_inherits (role, inherits) VALUES ('reader', 'chief')`,
    'DELETE FROM access.role_may_grant',
    `INSERT INTO access."grant" (id, subject, role, reason, granted_by) VALUES ('${randomUUID()}', '${subject}', 'chief', 'a test', 'test')`,
    `UPDATE access."grant" SET revoked_at = now(), revoked_by = 'test'`,
    `INSERT INTO sessions.session (id, subject, client_id, delivery, acr, amr, auth_time, expires_at, refresh_hash)
     VALUES ('${randomUUID()}', '${subject}', 'web', 'token', 'aal3', '{pwd}', date_trunc('second', now()), now() + interval '1 year', sha256('2'))`,
    `UPDATE sessions.session SET ended_at = now(), ended_reason = 'logout'`,
    `UPDATE identity.account SET state = 'disabled', disabled_at = now()`,
    `UPDATE identity.account SET password_hash = replace(password_hash, 'A', 'B')`,
  ])('do not change without an event: %s', async (sql) => {
    await expect(app.query(sql)).rejects.toMatchObject(UNRECORDED);
  });

  test('change with one', async () => {
    await transaction(event(), `UPDATE sessions.session SET ended_at = now(), ended_reason = 'logout'`);
    const { rows } = await owner.query('SELECT ended_reason FROM sessions.session');
    expect(rows).toEqual([{ ended_reason: 'logout' }]);
  });

  test('are watched on every table that conveys them', async () => {
    const { rows } = await owner.query<{ watched: string }>(
      `SELECT tgrelid::regclass::text AS watched FROM pg_trigger
       WHERE tgname = 'must_audit' AND tgenabled = 'O' AND tgdeferrable AND tginitdeferred
         AND tgtype & 28 = 28 AND tgrelid <> 'shop.item'::regclass ORDER BY 1`,
    );
    expect(rows.map(({ watched }) => watched)).toEqual([
      'access."grant"',
      'access.role',
      'access.role_inherits',
      'access.role_may_grant',
      'access.role_permission',
      'identity.account',
      'identity.recovery_code',
      'identity.totp',
      'sessions.session',
      'sessions.signing_key',
    ]);
  });
});
