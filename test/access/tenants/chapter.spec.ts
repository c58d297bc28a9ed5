import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask } from '../../support/hostile.application.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { asSuperuser, queryAs, startTenants, type TenantsApplication } from './tenants.application.js';

const chapter = readFileSync(fileURLToPath(new URL('../../../docs/tenants.md', import.meta.url)), 'utf8');
const block = (language: string, containing: string): string => {
  const blocks = [...chapter.matchAll(/^```(\w+)\n([^]*?)^```/gm)];
  const found = blocks.filter(([, of, text]) => of === language && text!.includes(containing));
  expect(found).toHaveLength(1);
  return found[0]![2]!;
};

describe('docs/tenants.md', () => {
  let database: TestDatabase;
  let app: TenantsApplication;
  beforeAll(async () => {
    database = await createTestDatabase();
    // As its migration stands there, by the owner.
    await queryAs(
      database.ownerUrl,
      `CREATE SCHEMA projects; GRANT USAGE ON SCHEMA projects TO zt_app; ${block('sql', 'CREATE POLICY')}`,
    );
    await asSuperuser(
      database,
      `INSERT INTO projects.project SELECT gen_random_uuid(), name, name FROM unnest(ARRAY['acme', 'globex', 'acme']) AS name`,
    );
    app = await startTenants(database);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  test('V8.4.1 the migration of the chapter passes the boot check, and its handler sees the tenant alone', async () => {
    expect(block('ts', '@Get()')).toContain(`@RequirePermission('projects:read', { within: 'tenant' })`);
    expect(block('ts', '@Get()')).toContain('return this.projects.find();');
    app.works.set('list', () => app.projects.find());
    for (const [tenant, names] of [
      ['acme', ['acme', 'acme']],
      ['globex', ['globex']],
    ] as const) {
      const { status, body } = await ask(app, 'GET', '/projects', {
        as: await app.member(`tenant:${tenant}`),
      });
      expect([status, (body as { name: string }[]).map(({ name }) => name)]).toEqual([200, names]);
    }
  });

  test('V8.4.1 a transaction that does not come from TypeORM enters its tenant by hand, once', async () => {
    const statement = /`(SELECT access\.enter_tenant\('acme'\))`/.exec(chapter)?.[1];
    expect(statement).toBeDefined();
    const connection = new pg.Client({ connectionString: database.appUrl });
    await connection.connect();
    try {
      const counted = async (): Promise<unknown> =>
        (await connection.query<{ count: number }>('SELECT count(*)::int FROM projects.project')).rows[0]
          ?.count;
      await connection.query('BEGIN');
      expect(await counted()).toBe(0);
      await connection.query(statement!);
      await connection.query(statement!);
      expect(await counted()).toBe(2);
      await connection.query('SAVEPOINT a');
      await expect(connection.query(`SELECT access.enter_tenant('globex')`)).rejects.toThrow(
        /another tenant/,
      );
      await connection.query('ROLLBACK TO SAVEPOINT a');
      expect(await counted()).toBe(2);
      await connection.query('COMMIT');
      expect(await counted()).toBe(0);
      await connection.query(`SET zero_trust.tenant = 'acme'`);
      expect(await counted()).toBe(0);
    } finally {
      await connection.end();
    }
  });
});
