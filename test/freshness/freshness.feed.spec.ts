import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { CONTROL_DEADLINE_MS } from '../../src/database/control-connection.js';
import { TRUSTED_FOR_MS } from '../../src/freshness/freshness.feed.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startFaultProxy } from '../support/fault-proxy.js';
import { proof, startReplica, type Replica } from './replica.js';

const soon = { timeout: 5_000, interval: 5 };

describe('the ordered feed', () => {
  let database: TestDatabase;
  const running: { close(): Promise<void> }[] = [];
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterEach(async () => {
    for (const each of running.splice(0).reverse()) await each.close();
  });
  afterAll(() => database.drop());

  async function replica(url = database.appUrl): Promise<Replica> {
    const started = await startReplica(url);
    running.push(started);
    return started;
  }
  async function asOwner<T extends object>(
    sql: string,
    values: unknown[] = [],
    url = database.superuserUrl,
  ): Promise<T[]> {
    const client = new Client({ connectionString: url });
    await client.connect();
    return client
      .query<T>(sql, values)
      .then(({ rows }) => rows)
      .finally(() => client.end());
  }

  test('what is revoked is revoked here as soon as it is committed, and not before', async () => {
    const { feed, unitOfWork } = await replica();
    const id = randomUUID();
    await unitOfWork.run(async () => {
      await feed.append({ kind: 'session', id });
      expect(feed.revoked(proof(id))).toBe(false);
    });
    expect(feed.revoked(proof(id))).toBe(true);
  });

  test('what is rolled back is revoked nowhere', async () => {
    const [first, second] = [await replica(), await replica()];
    const id = randomUUID();
    const rolledBack = first.unitOfWork.run(async () => {
      await first.feed.append({ kind: 'session', id });
      throw new Error('changed my mind');
    });
    await expect(rolledBack).rejects.toThrow('changed my mind');
    await second.feed.confirm();
    expect([first, second].map(({ feed }) => feed.revoked(proof(id)))).toEqual([false, false]);
  });

  test('other replicas feel it, with every entry and in order, however many write at once', async () => {
    const writers = [await replica(), await replica()];
    const reader = await replica();
    const seen: string[] = [];
    reader.feed.on('session', ({ id }) => seen.push(id));
    const before = reader.feed.seq;
    await Promise.all(
      Array.from({ length: 60 }, (_, at) =>
        writers[at % 2]!.feed.append({ kind: 'session', id: `s-${at}` }, { kind: 'subject', id: `a-${at}` }),
      ),
    );
    await vi.waitUntil(() => reader.feed.seq === before + 120, soon);
    expect(new Set(seen)).toEqual(new Set(Array.from({ length: 60 }, (_, at) => `s-${at}`)));
    const rows = await asOwner<{ seq: string; id: string }>(
      'SELECT seq, id FROM freshness.feed WHERE seq > $1 ORDER BY seq',
      [before],
    );
    expect(rows.map(({ seq }) => Number(seq))).toEqual(
      Array.from({ length: 120 }, (_, at) => before + 1 + at),
    );
  });

  test('of a subject and a client only what was minted before is dead; a session stays dead', async () => {
    const { feed } = await replica();
    const [subject, session] = [randomUUID(), randomUUID()];
    await feed.append({ kind: 'subject', id: subject }, { kind: 'session', id: session });
    await feed.confirm();
    expect(feed.revoked(proof('other', subject, feed.seq - 2))).toBe(true);
    expect(feed.revoked(proof('other', subject, feed.seq))).toBe(false);
    expect(feed.revoked(proof(session, 'other', feed.seq + 100))).toBe(true);
    await feed.append({ kind: 'client', id: 'first-party' });
    await feed.confirm();
    expect(feed.revoked(proof('other', 'other', feed.seq - 1, 'first-party'))).toBe(true);
    expect(feed.revoked(proof('other', 'other', feed.seq, 'first-party'))).toBe(false);
  });

  test('a replica that starts later has loaded everything that a living token may have to know', async () => {
    const first = await replica();
    const [late, early] = [randomUUID(), randomUUID()];
    await first.feed.append({ kind: 'session', id: early }, { kind: 'session', id: late });
    await asOwner(`UPDATE freshness.feed SET created_at = now() - interval '20 minutes' WHERE id = $1`, [
      early,
    ]);
    const second = await replica();
    expect(second.feed.isFresh()).toBe(true);
    expect(second.feed.revoked(proof(late))).toBe(true);
    // Older than the longest life of a token: nobody can present one any more.
    expect(second.feed.revoked(proof(early))).toBe(false);
  });

  test('FLT-06 a feed that cannot be read is trusted for a second, then nothing is said: 503, until it is back', async () => {
    const proxy = await startFaultProxy(database.appUrl);
    const { feed } = await replica(proxy.through(database.appUrl));
    running.unshift(proxy);
    proxy.blackHole();
    await vi.waitUntil(() => !feed.isFresh(), { timeout: TRUSTED_FOR_MS + 500, interval: 5 });
    const askedAt = performance.now();
    await expect(feed.confirm()).rejects.toMatchObject({ code: 'temporarily-unavailable', status: 503 });
    expect(performance.now() - askedAt).toBeLessThan(CONTROL_DEADLINE_MS * 2 + 200);
    proxy.cut();
    await expect(feed.confirm()).rejects.toMatchObject({ status: 503 });
    proxy.pass();
    await vi.waitUntil(() => feed.isFresh(), soon);
  });

  test('FLT-03 without the listening connection polling goes on; a cut one comes back by itself', async () => {
    const [writer, reader] = [await replica(), await replica()];
    const id = randomUUID();
    await asOwner(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'LISTEN%'`,
      [database.name],
    );
    await writer.feed.append({ kind: 'session', id });
    await vi.waitUntil(() => reader.feed.revoked(proof(id)), { timeout: 1_000, interval: 5 });
    await vi.waitUntil(
      async () => {
        const [row] = await asOwner<{ n: string }>(
          `SELECT count(*) AS n FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'LISTEN%'`,
          [database.name],
        );
        return row?.n === '2';
      },
      { timeout: 10_000, interval: 50 },
    );
  });

  test('FLT-09 a stepped wall clock changes nothing', async () => {
    const { feed } = await replica();
    const id = randomUUID();
    await feed.append({ kind: 'session', id });
    for (const step of [3_600_000, -3_600_000]) {
      const stepped = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + step);
      try {
        await feed.confirm();
        expect(feed.isFresh()).toBe(true);
        expect(feed.revoked(proof(id))).toBe(true);
      } finally {
        stepped.mockRestore();
      }
    }
  });

  test('a feed that has gone back, as after a restore, makes everybody forget what they remember', async () => {
    const { feed } = await replica();
    const id = randomUUID();
    await feed.append({ kind: 'session', id });
    await feed.confirm();
    let resets = 0;
    feed.onReset(() => (resets += 1));
    await asOwner('UPDATE freshness.feed_head SET seq = seq - 1');
    try {
      await feed.confirm();
      expect(resets).toBe(1);
      expect(feed.revoked(proof(id))).toBe(true);
    } finally {
      await asOwner('UPDATE freshness.feed_head SET seq = seq + 1');
    }
  });

  test('after a failover that lost commits, others using their numbers again, nothing that was said since is missed', async () => {
    const { feed } = await replica();
    const [lost, said] = [randomUUID(), randomUUID()];
    await feed.append({ kind: 'session', id: randomUUID() }, { kind: 'session', id: lost });
    await feed.confirm();
    let resets = 0;
    feed.onReset(() => (resets += 1));
    // Another entry under the very same number.
    await asOwner('UPDATE freshness.feed SET id = $2, created_at = clock_timestamp() WHERE id = $1', [
      lost,
      said,
    ]);
    await vi.waitUntil(() => resets > 0, soon);
    await feed.confirm();
    expect(feed.revoked(proof(said))).toBe(true);
    expect(resets).toBe(1);
  });

  test('whoever was away for longer than entries are kept forgets, and knows all that is recent', async () => {
    const proxy = await startFaultProxy(database.appUrl);
    const [writer, away] = [await replica(), await replica(proxy.through(database.appUrl))];
    running.unshift(proxy);
    let resets = 0;
    away.feed.onReset(() => (resets += 1));
    proxy.cut();
    const [old, recent] = [randomUUID(), randomUUID()];
    await writer.feed.append({ kind: 'session', id: old });
    await asOwner(`UPDATE freshness.feed SET created_at = now() - interval '80 minutes' WHERE id = $1`, [
      old,
    ]);
    await writer.feed.append({ kind: 'session', id: recent });
    await asOwner('SELECT freshness.purge()', [], database.appUrl);
    proxy.pass();
    await vi.waitFor(() => away.feed.confirm(), { timeout: 10_000, interval: 5 });
    expect([resets, away.feed.revoked(proof(recent))]).toEqual([1, true]);
  });

  test('quiet for however long, a replica goes on remembering: the newest entry is never purged', async () => {
    const { feed } = await replica();
    await feed.append({ kind: 'session', id: 'newest' });
    await asOwner(`UPDATE freshness.feed SET created_at = now() - interval '2 hours'`);
    const follower = await replica();
    let resets = 0;
    follower.feed.onReset(() => (resets += 1));
    await asOwner('SELECT freshness.purge()', [], database.appUrl);
    await follower.feed.confirm();
    await feed.append({ kind: 'session', id: 'next' });
    await follower.feed.confirm();
    expect([resets, follower.feed.revoked(proof('next'))]).toEqual([0, true]);
  });

  test('the application can add to the feed, and neither change it nor take anything back', async () => {
    const { feed } = await replica();
    await feed.append({ kind: 'session', id: 'kept' });
    for (const statement of [
      `DELETE FROM freshness.feed`,
      `UPDATE freshness.feed SET id = 'x'`,
      `TRUNCATE freshness.feed`,
      `UPDATE freshness.feed_head SET seq = 0`,
      `INSERT INTO freshness.feed (seq, kind, id) VALUES (0, 'session', 'x')`,
    ]) {
      await expect(asOwner(statement, [], database.appUrl), statement).rejects.toMatchObject({
        code: '42501',
      });
    }
    await feed.append({ kind: 'session', id: 'newer' });
    await asOwner(`UPDATE freshness.feed SET created_at = now() - interval '2 hours' WHERE id = 'kept'`);
    await asOwner('SELECT freshness.purge()', [], database.appUrl);
    expect(await asOwner(`SELECT FROM freshness.feed WHERE id = 'kept'`)).toEqual([]);
  });
});
