import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test, vi } from 'vitest';
import { startEmbeddedPostgres } from '../../sample/src/embedded-postgres/embedded-postgres.js';
import { migrate } from '../../src/database/migrate.js';
import { proof, startReplica } from './replica.js';

test('FLT-03 after a crash and restart of the database every replica follows again, and what was revoked stays so', async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'feed-'));
  let server = await startEmbeddedPostgres({ dataDirectory, durable: true });
  const { port } = server;
  const password = randomBytes(12).toString('hex');
  const url = (login: string): string =>
    Object.assign(new URL(server.superuserUrl), { username: login, password, pathname: '/feed' }).href;
  const admin = new pg.Client({ connectionString: server.superuserUrl });
  await admin.connect();
  await admin.query(`CREATE ROLE feed_owner LOGIN CREATEROLE PASSWORD '${password}'`);
  await admin.query('CREATE DATABASE feed OWNER feed_owner');
  await admin.end();
  const appUrl = url('feed_app');
  await migrate({ ownerUrl: url('feed_owner'), logins: [{ url: appUrl, role: 'zt_app' }] });

  const [here, there] = [await startReplica(appUrl), await startReplica(appUrl)];
  try {
    const [before, after] = [randomUUID(), randomUUID()];
    await here.feed.append({ kind: 'session', id: before });
    await server.stop('immediate');
    await vi.waitUntil(() => !there.feed.isFresh(), { timeout: 10_000, interval: 10 });
    await expect(there.feed.confirm()).rejects.toMatchObject({ status: 503 });
    await expect(here.feed.append({ kind: 'session', id: after })).rejects.toThrow();
    expect(here.feed.revoked(proof(after))).toBe(false);

    server = await startEmbeddedPostgres({ dataDirectory, durable: true, port });
    await vi.waitUntil(() => here.feed.isFresh() && there.feed.isFresh(), { timeout: 20_000, interval: 20 });
    expect(there.feed.revoked(proof(before))).toBe(true);
    await here.feed.append({ kind: 'session', id: after });
    await vi.waitUntil(() => there.feed.revoked(proof(after)), { timeout: 5_000, interval: 5 });
  } finally {
    await here.close();
    await there.close();
    await server.stop();
  }
}, 120_000);
