import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestDatabase } from '../../support/database.js';
import { refusalOf, startHostile } from '../../support/hostile.application.js';
import { Module } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { QueryResultCache } from 'typeorm/cache/QueryResultCache.js';
import type { QueryResultCacheOptions } from 'typeorm/cache/QueryResultCacheOptions.js';
import { resolveAccessOptions } from '../../../src/access/access.settings.js';
import { TenantTables } from '../../../src/access/tenants/tenant-tables.js';
import { UnitOfWork } from '../../../src/database/unit-of-work.js';
import { Scopes } from '../../../src/access/grants/scopes.js';
import { asSuperuser, createTenantDatabase, permissions, queryAs } from './tenants.application.js';

@Module({})
class TenantsModule {
  constructor(scopes: Scopes) {
    scopes.knownBy('tenant', { exists: () => Promise.resolve(true) });
  }
}

const TABLE = `CREATE TABLE projects.note (tenant_id text, body text)`;
const LOCK = `ALTER TABLE projects.note ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`;
const ASKS = `tenant_id = (SELECT access.current_tenant())`;
const POLICY = `CREATE POLICY tenant ON projects.note USING (${ASKS})`;
const GRANT = `GRANT SELECT, INSERT, UPDATE, DELETE ON projects.note TO zt_app`;
/** A note that is kept apart as it should be. */
const SOUND = [TABLE, LOCK, POLICY, GRANT];

/** As the host's migrations run: by the owner, who is no superuser. */
async function prepared(database: TestDatabase, statements: readonly string[]): Promise<void> {
  const sql = ['DROP TABLE IF EXISTS projects.note CASCADE', ...statements].join('; ');
  await queryAs(database.ownerUrl, sql);
}

describe('V8.4.1 tables of tenants at boot', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTenantDatabase();
  });
  afterAll(() => database.drop());

  const options = () => ({
    databaseUrl: database.appUrl,
    auditUrl: database.auditUrl,
    imports: [TenantsModule],
    access: { permissions, scopes: ['tenant'], tenants: {} },
  });

  test.each<[string, readonly string[]]>([
    ['a policy for everything', SOUND],
    ['a table that the login may not use', [TABLE]],
    [
      'a policy each for what is read and what is written',
      [
        TABLE,
        LOCK,
        GRANT,
        `CREATE POLICY reads ON projects.note FOR SELECT USING (${ASKS})`,
        `CREATE POLICY writes ON projects.note FOR INSERT WITH CHECK (${ASKS})`,
      ],
    ],
    [
      'a restrictive policy beside one that lets everything through',
      [
        TABLE,
        LOCK,
        GRANT,
        `CREATE POLICY everything ON projects.note USING (true)`,
        `CREATE POLICY tenant ON projects.note AS RESTRICTIVE USING (${ASKS})`,
      ],
    ],
    [
      'an open policy for another role',
      [...SOUND, `CREATE POLICY reports ON projects.note TO zt_audit_sequencer USING (true)`],
    ],
    [
      'a view with the rights of whoever asks',
      [
        ...SOUND,
        `CREATE VIEW projects.titles WITH (security_invoker = true) AS SELECT body FROM projects.note`,
        `GRANT SELECT ON projects.titles TO zt_app`,
      ],
    ],
    [
      'a view that the login may not read',
      [...SOUND, `CREATE VIEW projects.titles AS SELECT body FROM projects.note`],
    ],
    [
      'a partitioned table with sound partitions',
      [
        `CREATE TABLE projects.note (tenant_id text, body text) PARTITION BY LIST (tenant_id)`,
        LOCK,
        POLICY,
        GRANT,
        `CREATE TABLE projects.note_acme PARTITION OF projects.note FOR VALUES IN ('acme')`,
      ],
    ],
  ])('the start is allowed with %s', async (_what, statements) => {
    await prepared(database, statements);
    const started = await startHostile(options());
    await started.close();
  });

  test.each<[string, readonly string[], readonly RegExp[]]>([
    [
      'no row-level security',
      [TABLE, GRANT],
      [
        /projects\.note has "tenant_id" and no forced row-level security: ALTER TABLE projects\.note ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY/,
        /projects\.note has "tenant_id" and no policy: CREATE POLICY tenant ON projects\.note USING/,
      ],
    ],
    [
      'row-level security that is not forced',
      [TABLE, `ALTER TABLE projects.note ENABLE ROW LEVEL SECURITY`, POLICY, GRANT],
      [/no forced/],
    ],
    ['no policy', [TABLE, LOCK, GRANT], [/no policy/]],
    [
      'a policy for others alone',
      [TABLE, LOCK, GRANT, `CREATE POLICY tenant ON projects.note TO zt_audit_sequencer USING (${ASKS})`],
      [/no policy/],
    ],
    [
      'a restrictive policy alone',
      [TABLE, LOCK, GRANT, `CREATE POLICY tenant ON projects.note AS RESTRICTIVE USING (${ASKS})`],
      [/no policy/],
    ],
    [
      'a policy that lets everything through',
      [TABLE, LOCK, GRANT, `CREATE POLICY everything ON projects.note USING (true)`],
      [/projects\.note has the policy everything, which lets rows through/],
    ],
    [
      'one open policy among sound ones',
      [...SOUND, `CREATE POLICY "All of it" ON projects.note FOR SELECT USING (true)`],
      [/the policy "All of it"/],
    ],
    [
      'a policy that lets everything be written',
      [TABLE, LOCK, GRANT, `CREATE POLICY tenant ON projects.note USING (${ASKS}) WITH CHECK (true)`],
      [/the policy tenant/],
    ],
    [
      'a policy that asks for a tenant of its own',
      [
        TABLE,
        LOCK,
        GRANT,
        `CREATE POLICY tenant ON projects.note USING (tenant_id = current_setting('zero_trust.tenant', true))`,
      ],
      [/the policy tenant/],
    ],
    [
      'a restrictive policy that covers reading alone',
      [
        TABLE,
        LOCK,
        GRANT,
        `CREATE POLICY everything ON projects.note USING (true)`,
        `CREATE POLICY tenant ON projects.note AS RESTRICTIVE FOR SELECT USING (${ASKS})`,
      ],
      [/the policy everything/],
    ],
    [
      'TRUNCATE, which asks no policy',
      [...SOUND, `GRANT TRUNCATE ON projects.note TO zt_app`],
      [/REVOKE TRUNCATE ON projects\.note/],
    ],
    [
      'one column that may be read',
      [TABLE, `GRANT SELECT (body) ON projects.note TO zt_app`],
      [/no forced/, /no policy/],
    ],
    ['DELETE alone', [TABLE, `GRANT DELETE ON projects.note TO zt_app`], [/no forced/, /no policy/]],
    ['rights of everybody', [TABLE, `GRANT SELECT ON projects.note TO PUBLIC`], [/no forced/, /no policy/]],
    [
      'a partition that can be asked past its table',
      [
        `CREATE TABLE projects.note (tenant_id text, body text) PARTITION BY LIST (tenant_id)`,
        LOCK,
        POLICY,
        GRANT,
        `CREATE TABLE projects.note_acme PARTITION OF projects.note FOR VALUES IN ('acme')`,
        `GRANT SELECT ON projects.note_acme TO zt_app`,
      ],
      [
        /projects\.note_acme has "tenant_id" and no forced/,
        /projects\.note_acme has "tenant_id" and no policy/,
      ],
    ],
    [
      'a view with the rights of its owner',
      [
        ...SOUND,
        `CREATE VIEW projects.titles AS SELECT body FROM projects.note`,
        `GRANT SELECT ON projects.titles TO zt_app`,
      ],
      [
        /projects\.titles reads a table of tenants with the rights of its owner: ALTER VIEW projects\.titles SET \(security_invoker = true\)/,
      ],
    ],
    [
      'a view of a view',
      [
        ...SOUND,
        `CREATE VIEW projects.titles WITH (security_invoker = true) AS SELECT body FROM projects.note`,
        `CREATE VIEW projects.counted AS SELECT count(*) FROM projects.titles`,
        `GRANT SELECT ON projects.counted TO zt_app`,
      ],
      [/projects\.counted reads/],
    ],
    [
      'a materialized view',
      [
        ...SOUND,
        `CREATE MATERIALIZED VIEW projects.kept AS SELECT body FROM projects.note`,
        `GRANT SELECT ON projects.kept TO zt_app`,
      ],
      [/projects\.kept keeps rows of all tenants.*REVOKE ALL ON projects\.kept/],
    ],
  ])('the start is refused with %s', async (_what, statements, faults) => {
    await prepared(database, statements);
    const refusal = await refusalOf(options());
    expect(refusal).toMatch(/^AccessModule refuses to start/);
    for (const fault of faults) expect(refusal).toMatch(fault);
    expect(refusal.match(/\n {2}- /g)).toHaveLength(faults.length);
  });

  test('the start is refused with a foreign table, which has no row-level security', async () => {
    await prepared(database, []);
    await asSuperuser(
      database,
      `CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
       CREATE FOREIGN TABLE projects.far (tenant_id text) SERVER far; GRANT SELECT ON projects.far TO zt_app`,
    );
    expect(await refusalOf(options())).toMatch(/projects\.far has "tenant_id" and is a foreign table/);
    await asSuperuser(database, 'DROP FOREIGN DATA WRAPPER nowhere CASCADE');
  });

  test('the column that names a tenant is an option, and without tenants nothing is looked at', async () => {
    await prepared(database, [`CREATE TABLE projects.note (customer text)`, GRANT]);
    const access = { permissions, scopes: ['tenant'], tenants: { column: 'customer' } };
    expect(await refusalOf({ ...options(), access })).toMatch(/projects\.note has "customer"/);
    const started = await startHostile({ ...options(), imports: [], access: { permissions } });
    await started.close();
  });

  test.each(['SUPERUSER', 'BYPASSRLS'])(
    'a login with %s, which no policy binds, is refused',
    async (attribute) => {
      await prepared(database, SOUND);
      const login = new URL(database.appUrl);
      login.username = `exempt_${attribute.toLowerCase()}_${database.name.slice(-8)}`;
      login.password = 'exempt';
      try {
        await asSuperuser(
          database,
          `CREATE ROLE ${login.username} LOGIN ${attribute} PASSWORD 'exempt' IN ROLE zt_app;
         GRANT CONNECT ON DATABASE ${database.name} TO ${login.username}`,
        );
        expect(await refusalOf({ ...options(), databaseUrl: login.href })).toMatch(/superuser|BYPASSRLS/);
      } finally {
        await asSuperuser(database, `DROP OWNED BY ${login.username}; DROP ROLE ${login.username}`);
      }
    },
  );
});

test('V8.4.1 a data source that keeps results of queries, by a text that all tenants share, stops the start', async () => {
  const database = await createTenantDatabase();
  const kept = new Map<string, QueryResultCacheOptions>();
  const nothing = (): Promise<void> => Promise.resolve();
  const cache: QueryResultCache = {
    ...{ connect: nothing, disconnect: nothing, synchronize: nothing, clear: nothing, remove: nothing },
    getFromCache: ({ query = '' }) => Promise.resolve(kept.get(query)),
    storeInCache: (result) => Promise.resolve(void kept.set(result.query ?? '', result)),
    isExpired: () => false,
  };
  const dataSource = new DataSource({
    ...{ type: 'postgres', url: database.appUrl, cache: { provider: () => cache } },
    invalidWhereValuesBehavior: { null: 'throw', undefined: 'throw' },
  });
  try {
    await dataSource.initialize();
    const tables = new TenantTables(
      new UnitOfWork({ dataSource }),
      resolveAccessOptions({ scopes: ['tenant'], tenants: {} }),
    );
    await expect(tables.onApplicationBootstrap()).rejects.toThrow(
      "the data source has a cache of results, which would show one tenant another's",
    );
  } finally {
    await dataSource.destroy();
    await database.drop();
  }
});
