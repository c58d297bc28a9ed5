// A PostgreSQL of the benchmark's own, gone when it ends, with the kit's schema and a table of users for a peer.
import { mkdtemp } from 'node:fs/promises';
import { randomBytes, randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

export async function prepareDatabase(users, onProgress) {
  // Only now: both are built by this very run.
  const { startEmbeddedPostgres } = await import('../sample/dist/embedded-postgres/embedded-postgres.js');
  const { migrate } = await import('nestjs-zero-trust');
  onProgress('starting PostgreSQL');
  const dataDirectory = await mkdtemp(join(tmpdir(), 'zero-trust-bench-'));
  const server = await startEmbeddedPostgres({
    dataDirectory,
    durable: true,
    disposable: true,
    maxConnections: 300,
  });
  try {
    onProgress('migrating');
    const urlOf = (login, password) => {
      const url = new URL(server.superuserUrl);
      Object.assign(url, { username: login, password, pathname: '/bench' });
      return url.href;
    };
    const [owner, app, audit] = ['bench_owner', 'bench_app', 'bench_audit'].map((login) => ({
      login,
      password: randomBytes(18).toString('base64url'),
    }));
    const admin = new pg.Client({ connectionString: server.superuserUrl });
    await admin.connect();
    await admin.query(`CREATE ROLE ${owner.login} LOGIN CREATEROLE PASSWORD '${owner.password}'`);
    await admin.query(`CREATE DATABASE bench OWNER ${owner.login}`);
    await admin.end();
    const urls = {
      ownerUrl: urlOf(owner.login, owner.password),
      appUrl: urlOf(app.login, app.password),
      auditUrl: urlOf(audit.login, audit.password),
    };
    const logins = [
      { url: urls.appUrl, role: 'zt_app' },
      { url: urls.auditUrl, role: 'zt_audit_sequencer' },
    ];
    await migrate({ ownerUrl: urls.ownerUrl, logins });
    return {
      appUrl: urls.appUrl,
      auditUrl: urls.auditUrl,
      peerUrl: urls.ownerUrl,
      users: await makeUsers(urls.ownerUrl, users),
      stop: () => server.stop(),
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** The users that a passport-jwt stack looks up: an indexed primary key, one row each. */
async function makeUsers(ownerUrl, count) {
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  await client.query('CREATE SCHEMA bench');
  await client.query(
    'CREATE TABLE bench.users (id uuid PRIMARY KEY, email text NOT NULL, disabled boolean NOT NULL, roles text[] NOT NULL)',
  );
  const ids = Array.from({ length: count }, () => randomUUID());
  await client.query(
    `INSERT INTO bench.users SELECT id, id || '@example.test', false, ARRAY['reader'] FROM unnest($1::uuid[]) AS id`,
    [ids],
  );
  const stranger = randomUUID();
  await client.query(`INSERT INTO bench.users VALUES ($1, 'stranger@example.test', false, ARRAY['writer'])`, [
    stranger,
  ]);
  // The kit grants roles to accounts that exist; nobody signs in with these.
  await client.query('BEGIN');
  await client.query(`INSERT INTO audit.pending (id, entry) VALUES (gen_random_uuid(), '{}')`);
  await client.query(
    `INSERT INTO identity.account (id, email, canonical_email, display_name, password_hash)
     SELECT id, id || '@example.test', id || '@example.test', 'benchmark', $2 FROM unnest($1::uuid[]) AS id`,
    [[...ids, stranger], `$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`],
  );
  await client.query('COMMIT');
  await client.query('ANALYZE');
  await client.end();
  return { ids, stranger };
}
