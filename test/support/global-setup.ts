import { randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../sample/src/embedded-postgres/embedded-postgres.js';
import { migrate } from '../../src/database/migrate.js';

/** What the workers get: one server, one template with every migration applied, one set of logins. */
export interface DatabaseServer {
  readonly superuserUrl: string;
  readonly ownerUrl: string;
  readonly appUrl: string;
  readonly auditUrl: string;
  readonly template: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    database: DatabaseServer;
  }
}

const SAMPLE_MIGRATIONS = fileURLToPath(new URL('../../sample/migrations/', import.meta.url));

/** One PostgreSQL a run: `TEST_DATABASE_URL` (a superuser of a server that may be written to), or an embedded one. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  process.env['NODE_ENV'] ??= 'test';
  const given = process.env['TEST_DATABASE_URL'];
  const embedded = given
    ? undefined
    : await startEmbeddedPostgres({
        dataDirectory: await mkdtemp(join(tmpdir(), 'zero-trust-test-')),
        ...{ durable: false, disposable: true, maxConnections: 300 },
      });
  const superuserUrl = given ?? embedded!.superuserUrl;
  const run = `zt_test_${randomBytes(6).toString('hex')}`;
  const admin = new pg.Client({ connectionString: superuserUrl });
  await admin.connect();
  // Tests tamper as a superuser would, to show that it is noticed.
  const { rows } = await admin.query<{ is_superuser: string }>('SHOW is_superuser');
  if (rows[0]?.is_superuser !== 'on')
    throw new TypeError('TEST_DATABASE_URL must be the URL of a superuser.');
  const server = await prepare(admin, superuserUrl, run);
  project.provide('database', server);
  return async () => {
    await dropAll(admin, run);
    await admin.end();
    await embedded?.stop();
  };
}

async function prepare(admin: pg.Client, superuserUrl: string, run: string): Promise<DatabaseServer> {
  const ownerPassword = randomBytes(18).toString('base64url');
  await admin.query(`CREATE ROLE ${run}_owner LOGIN CREATEROLE CREATEDB PASSWORD '${ownerPassword}'`);
  // On a server that is used again the groups are there, made by another run's owner.
  for (const group of ['zt_app', 'zt_audit_sequencer']) {
    await admin.query(
      `DO $$ BEGIN CREATE ROLE ${group} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`,
    );
    await admin.query(`GRANT ${group} TO ${run}_owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`);
  }
  const template = `${run}_template`;
  await admin.query(`CREATE DATABASE ${template} OWNER ${run}_owner`);
  const urlOf = (login: string, password: string): string => {
    const url = new URL(superuserUrl);
    Object.assign(url, { username: `${run}_${login}`, password, pathname: `/${template}` });
    return url.href;
  };
  const randomUrl = (login: string): string => urlOf(login, randomBytes(18).toString('base64url'));
  const urls = {
    ownerUrl: urlOf('owner', ownerPassword),
    appUrl: randomUrl('app'),
    auditUrl: randomUrl('audit'),
  };
  await migrate({
    ownerUrl: urls.ownerUrl,
    logins: [
      { url: urls.appUrl, role: 'zt_app' },
      { url: urls.auditUrl, role: 'zt_audit_sequencer' },
    ],
    directories: [SAMPLE_MIGRATIONS],
  });
  return { superuserUrl, ...urls, template };
}

async function dropAll(admin: pg.Client, run: string): Promise<void> {
  const { rows } = await admin.query<{ name: string }>(
    'SELECT datname AS name FROM pg_database WHERE datname LIKE $1',
    [`${run}%`],
  );
  for (const { name } of rows) await admin.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
  const logins = await admin.query<{ name: string }>(
    'SELECT rolname AS name FROM pg_roles WHERE rolname LIKE $1',
    [`${run}%`],
  );
  // The owner last: it granted the others their group.
  const owner = `${run}_owner`;
  const names = logins.rows.map(({ name }) => name).filter((name) => name !== owner);
  for (const name of [...names, owner]) await admin.query(`DROP ROLE IF EXISTS "${name}"`);
}
