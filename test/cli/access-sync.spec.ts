import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { host, sample, zeroTrust, type Run } from './zero-trust.js';

let database: TestDatabase;
const APP = host('guarded.module.ts');
const sync = (...argv: string[]): Promise<Run> => zeroTrust('access', 'sync', '--app', APP, ...argv);

beforeEach(async () => {
  database = await createTestDatabase();
  vi.stubEnv('DATABASE_URL', database.appUrl);
  vi.stubEnv('DATABASE_AUDIT_URL', database.auditUrl);
  vi.stubEnv('ZERO_TRUST_MASTER_KEY', randomBytes(32).toString('base64'));
  vi.stubEnv('PUBLIC_URL', 'https://portal.example.test');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await database.drop();
});

async function rows<T extends object>(text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: database.superuserUrl });
  await client.connect();
  const { rows: found } = await client.query<T>(text).finally(() => client.end());
  return found;
}

const permissionsOf = (role: string): Promise<{ permission: string }[]> =>
  rows(`SELECT permission FROM access.role_permission WHERE role = '${role}' ORDER BY 1`);
const changesInLog = async (): Promise<number> =>
  (await rows(`SELECT FROM audit.pending WHERE convert_from(entry, 'UTF8') LIKE '%role.changed%'`)).length;
/** Connections of the kit that a command has left behind. */
const connections = (): Promise<object[]> =>
  rows(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'nestjs%'`);

describe('zero-trust access sync', () => {
  test('--dry-run says what would change, and changes nothing', async () => {
    expect(await sync('--dry-run')).toEqual({
      code: 0,
      out: [
        'reader: new, with documents:read',
        'author: new, with documents:write +reader >reader',
        'dry run: 2 roles would change, 0 as declared',
      ].join('\n'),
      err: '',
    });
    expect(await rows('SELECT FROM access.role')).toEqual([]);
    expect(await changesInLog()).toBe(0);
  });

  test('makes the roles that code declares, and finds nothing to do the second time', async () => {
    const first = await sync();
    expect(first).toMatchObject({ code: 0, err: '' });
    expect(first.out.split('\n').at(-1)).toBe('done: 2 roles changed, 0 as declared');
    expect(await permissionsOf('author')).toEqual([{ permission: 'documents:write' }]);
    expect(await changesInLog()).toBe(2);

    const second = await sync();
    expect(second).toEqual({ code: 0, out: 'done: 0 roles changed, 2 as declared', err: '' });
    expect(await changesInLog()).toBe(2);
    expect(await connections()).toEqual([]);
  });

  test('two runs at once make each role once', async () => {
    const runs = await Promise.all([sync(), sync()]);
    expect(runs.map(({ code }) => code)).toEqual([0, 0]);
    expect(await changesInLog()).toBe(2);
  });

  test('brings a role back to what code says, in words, and leaves others alone', async () => {
    await sync();
    await rows(`BEGIN; SET LOCAL session_replication_role = replica;
      INSERT INTO access.role_permission (role, permission) VALUES ('reader', 'documents:write');
      DELETE FROM access.role_permission WHERE role = 'reader' AND permission = 'documents:read';
      INSERT INTO access.role (name) VALUES ('guest'); COMMIT`);
    const { code, out } = await sync();
    expect({ code, out }).toEqual({
      code: 0,
      out: 'reader: gains documents:read; loses documents:write\ndone: 1 roles changed, 1 as declared',
    });
    expect(await permissionsOf('reader')).toEqual([{ permission: 'documents:read' }]);
    expect(await rows(`SELECT name FROM access.role WHERE name = 'guest'`)).toEqual([{ name: 'guest' }]);
  });

  test('--json prints one object, with what each role was and is', async () => {
    const { code, out } = await sync('--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      dryRun: false,
      changes: [
        { role: 'reader', after: { permissions: ['documents:read'], inherits: [], mayGrant: [] } },
        {
          role: 'author',
          after: { permissions: ['documents:write'], inherits: ['reader'], mayGrant: ['reader'] },
        },
      ],
      unchanged: 0,
      violations: { count: 0, subjects: [] },
    });
  });

  test('AUD-18 a role that cannot be recorded is not written, and one line says so', async () => {
    await rows('REVOKE INSERT ON audit.pending FROM zt_app');
    const { code, out, err } = await sync();
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toBe('error: a security event could not be recorded');
    expect(await rows('SELECT FROM access.role')).toEqual([]);
    expect(await connections()).toEqual([]);
  });

  test('takes the application that a function makes, and the roles of the sample', async () => {
    expect(await sync('--export', 'createApplication', '--dry-run')).toMatchObject({ code: 0, err: '' });
    const { code, out } = await zeroTrust('access', 'sync', '--app', sample('src/app.module.ts'));
    expect(code).toBe(0);
    expect(out).toContain('editor: new, with documents:share documents:write +viewer');
  });

  test('after it an account can be given the role, and before it the refusal names this command', async () => {
    vi.stubEnv('NODE_ENV', 'test');
    const create = ['accounts', 'create', '--email', 'a@example.test', '--name', 'A', '--role', 'reader'];
    const before = await zeroTrust(...create);
    expect(before.code).toBe(1);
    expect(before.err).toMatch(/^error: there is no role "reader" .*`zero-trust access sync`/);
    await sync();
    expect(await zeroTrust(...create)).toMatchObject({ code: 0, err: '' });
  });

  test('--help explains the words, the audit entry and running it twice', async () => {
    const { code, out } = await zeroTrust('access', 'sync', '--help');
    expect(code).toBe(0);
    for (const word of [
      '--app <file>',
      '--export <name>',
      '--dry-run',
      '--json',
      '+inherited-role',
      'audit',
    ]) {
      expect(out).toContain(word);
    }
  });
});
