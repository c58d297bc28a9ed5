import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SecurityEvents } from '../../src/core/security-events.js';
import { uuidV7 } from '../../src/core/uuid-v7.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { SessionStore, type NewRow } from '../../src/sessions/session.store.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { SessionRows } from './session-rows.js';
import { startSessions, type Started } from './sessions-application.js';

const IDLE_SECONDS = 1_800;
const ENDED = `ended_at = clock_timestamp(), ended_reason = 'logout'`;
const EXPIRED = 'expires_at = clock_timestamp()';
const IDLE = `last_seen_at = clock_timestamp() - interval '1800 s'`;

let database: TestDatabase;
let rows: SessionRows;
let started: Started;
let store: SessionStore;
beforeAll(async () => {
  database = await createTestDatabase();
  rows = await SessionRows.connect(database.ownerUrl);
  started = await startSessions({ database });
  store = started.app.get(SessionStore);
});
afterAll(async () => {
  await started.app.close();
  await rows.close();
  await database.drop();
});

const newId = (): string => uuidV7(Date.now());

/** With the event that the database wants of every change. */
function recorded<T>(change: () => Promise<T>): Promise<T> {
  return started.app.get(UnitOfWork).run(async () => {
    const result = await change();
    await started.app.get(SecurityEvents).publish({
      ...{ action: 'session.ended', outcome: 'success', delivery: 'same-transaction', reason: 'a test' },
    });
    return result;
  });
}

/** @param sql what is then as it would be later */
async function add(subject: string, sql?: string, more: Partial<NewRow> = {}): Promise<string> {
  const id = newId();
  await recorded(() =>
    store.add({
      ...{ id, subject, clientId: 'c', delivery: 'token', acr: 'aal1', amr: ['pwd'] },
      ...{
        authTime: 1_800_000_000,
        refreshHash: randomBytes(32),
        clientSealed: null,
        lifetimeSeconds: 3_600,
      },
      ...more,
    }),
  );
  if (sql !== undefined) await rows.alter(sql, id);
  return id;
}

/** Seen so many seconds ago. */
const seen = (seconds: number): string => `last_seen_at = clock_timestamp() - interval '${seconds} s'`;
const reasonOf = async (id: string): Promise<string | null> => (await rows.of(id)).reason;

describe('A row', () => {
  test('says of a session how it stands now', async () => {
    const [living, ended, expired] = [
      await add(newId()),
      await add(newId(), ENDED),
      await add(newId(), EXPIRED),
    ];
    expect(await store.byId(living)).toMatchObject({ id: living, ended: false, authTime: 1_800_000_000 });
    const { secondsLeft } = (await store.byId(living))!;
    expect([secondsLeft > 3_500, secondsLeft <= 3_600]).toEqual([true, true]);
    expect((await store.byId(ended))?.ended).toBe(true);
    expect((await store.byId(expired))!.secondsLeft).toBeLessThanOrEqual(0);
    expect(await store.byId(newId())).toBeUndefined();
  });

  test('carries the number of the feed at that moment', async () => {
    const id = await add(newId());
    const { rows: head } = await rows.client.query<{ seq: number }>(
      'SELECT seq::int AS seq FROM freshness.feed_head',
    );
    await rows.client.query('UPDATE freshness.feed_head SET seq = seq + 7');
    expect((await store.byId(id))?.feedSeq).toBe(head[0]!.seq + 7);
  });

  test('of a session that takes the place of another ends when that one would have ended', async () => {
    const subject = newId();
    const replaced = await add(subject, "expires_at = clock_timestamp() + interval '10 minutes'");
    const id = await add(subject, undefined, { successorOf: replaced });
    expect((await rows.of(id)).expiresAt).toEqual((await rows.of(replaced)).expiresAt);
  });
});

describe('The list of a subject', () => {
  test('REF-22 has its own sessions that are alive, and no other', async () => {
    const subject = newId();
    const [early, late] = [await add(subject, seen(1_700)), await add(subject, seen(10))];
    const middle = await add(subject, seen(500));
    for (const sql of [ENDED, EXPIRED, IDLE]) await add(subject, sql);
    await add(newId());
    expect((await store.listOf(subject, IDLE_SECONDS)).map(({ id }) => id)).toEqual([late, middle, early]);
  });

  test('is never longer than a thousand', async () => {
    const subject = newId();
    await rows.client.query('BEGIN');
    await rows.client.query("INSERT INTO audit.pending (id, entry) VALUES (gen_random_uuid(), '{}')");
    await rows.client.query(
      `INSERT INTO sessions.session (id, subject, client_id, delivery, acr, amr, auth_time, refresh_hash, expires_at)
       SELECT gen_random_uuid(), $1, 'c', 'token', 'aal1', '{pwd}', to_timestamp(1800000000),
              sha256(n::text::bytea), now() + interval '1 hour' FROM generate_series(1, 1001) AS n`,
      [subject],
    );
    await rows.client.query('COMMIT');
    expect((await store.listOf(subject, IDLE_SECONDS)).length).toBe(1_000);
  });
});

describe('To end', () => {
  test('one is to end that one alone, once, and only of whom it is said to be', async () => {
    const subject = newId();
    const [mine, other] = [await add(subject), await add(subject)];
    const end = (id: string, of?: string): Promise<string | undefined> =>
      recorded(() => store.end(id, 'ended-by-subject', of));
    expect(await end(mine, newId())).toBeUndefined();
    expect(await reasonOf(mine)).toBe(null);
    expect(await end(mine, subject)).toBe(subject);
    expect([await reasonOf(mine), await reasonOf(other)]).toEqual(['ended-by-subject', null]);
    expect(await recorded(() => store.end(mine, 'logout'))).toBeUndefined();
    expect(await reasonOf(mine)).toBe('ended-by-subject');
    expect(await recorded(() => store.end(other, 'logout'))).toBe(subject);
  });

  test('REF-12 all is to end those of the subject that are left, but for one', async () => {
    const subject = newId();
    const [first, second, kept] = [await add(subject), await add(subject, IDLE), await add(subject)];
    const [ended, expired, foreign] = [
      await add(subject, ENDED),
      await add(subject, EXPIRED),
      await add(newId()),
    ];
    expect((await recorded(() => store.endAllOf(subject, 'password-changed', kept))).sort()).toEqual(
      [first, second].sort(),
    );
    for (const id of [first, second]) expect(await reasonOf(id)).toBe('password-changed');
    for (const id of [kept, expired, foreign]) expect(await reasonOf(id)).toBe(null);
    expect(await reasonOf(ended)).toBe('logout');
    expect(await recorded(() => store.endAllOf(subject, 'account-disabled', undefined))).toEqual([kept]);
    expect(await reasonOf(foreign)).toBe(null);
  });

  test('REF-12 all holds the rows in the order of their ids, whatever order they lie in', async () => {
    const subject = newId();
    const ids = [await add(subject), await add(subject), await add(subject)].sort();
    // Written anew, the first lies last: an unordered walk would begin with the second.
    await rows.alter('client_sealed = NULL', ids[0]!);
    const other = new pg.Client({ connectionString: database.superuserUrl });
    await other.connect();
    const free = (id: string): Promise<boolean> =>
      other
        .query('SELECT FROM sessions.session WHERE id = $1 FOR UPDATE NOWAIT', [id])
        .then(() => true)
        .catch((error: unknown) => (error as { code?: string }).code !== '55P03');
    try {
      await rows.client.query('BEGIN');
      await rows.client.query('SELECT FROM sessions.session WHERE id = $1 FOR UPDATE', [ids[1]]);
      const ending = recorded(() => store.endAllOf(subject, 'account-disabled', undefined));
      // It holds the first, waits for the second, and has not touched the third.
      await expect.poll(() => free(ids[0]!), { timeout: 5_000, interval: 5 }).toBe(false);
      expect(await free(ids[2]!)).toBe(true);
      await rows.client.query('ROLLBACK');
      expect((await ending).sort()).toEqual(ids);
    } finally {
      await other.end();
    }
  });
});

describe('The cap', () => {
  const cap = (subject: string, opened: string, most: number): Promise<string[]> =>
    recorded(() => store.cap(subject, opened, most, IDLE_SECONDS));

  test('REF-21 ends those that were seen longest ago, and counts only what is alive', async () => {
    const subject = newId();
    const [old, older, oldest] = [
      await add(subject, seen(100)),
      await add(subject, seen(200)),
      await add(subject, seen(300)),
    ];
    // What is over takes no room, also where it was seen last; what others have takes none either.
    const ended = await add(subject, ENDED);
    const expired = await add(subject, EXPIRED);
    const idle = await add(subject, IDLE);
    const foreign = await add(newId());
    const opened = await add(subject, seen(50));
    expect(await cap(subject, opened, 4)).toEqual([]);
    expect(await cap(subject, opened, 3)).toEqual([oldest]);
    expect(await cap(subject, opened, 2)).toEqual([older]);
    expect([await reasonOf(oldest), await reasonOf(older)]).toEqual([
      ...['too-many-sessions', 'too-many-sessions'],
    ]);
    for (const id of [old, opened, expired, idle, foreign]) expect(await reasonOf(id)).toBe(null);
    expect(await reasonOf(ended)).toBe('logout');
  });

  test('REF-21 leaves the one that was just opened, however lately the others were seen', async () => {
    const subject = newId();
    const opened = await add(subject, seen(900));
    const others = [await add(subject, seen(1)), await add(subject, seen(2))];
    expect((await cap(subject, opened, 1)).sort()).toEqual(others.sort());
    expect(await reasonOf(opened)).toBe(null);
  });

  test('of two that were seen in the same moment ends the one that was opened first', async () => {
    const subject = newId();
    const at = "last_seen_at = date_trunc('minute', clock_timestamp() - interval '2 minutes')";
    const [one, two] = [await add(subject, at), await add(subject, at)].sort();
    const opened = await add(subject);
    expect(await cap(subject, opened, 2)).toEqual([one]);
    expect(await reasonOf(two!)).toBe(null);
  });

  test('ends no session a second time that somebody else ended meanwhile', async () => {
    const subject = newId();
    const [old, opened] = [await add(subject, seen(100)), await add(subject)];
    await rows.client.query('BEGIN');
    await rows.client.query("INSERT INTO audit.pending (id, entry) VALUES (gen_random_uuid(), '{}')");
    await rows.client.query(`UPDATE sessions.session SET ${ENDED} WHERE id = $1`, [old]);
    const capping = cap(subject, opened, 1);
    const waits = `SELECT count(*)::int AS n FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    const watcher = new pg.Client({ connectionString: database.superuserUrl });
    await watcher.connect();
    try {
      await expect
        .poll(async () => (await watcher.query<{ n: number }>(waits)).rows[0]!.n, {
          timeout: 5_000,
          interval: 5,
        })
        .toBe(1);
    } finally {
      await watcher.end();
      await rows.client.query('COMMIT');
    }
    expect(await capping).toEqual([]);
    expect(await reasonOf(old)).toBe('logout');
  });
});

describe('A sighting', () => {
  const secondsSinceSeen = async (id: string): Promise<number> => {
    const { rows: found } = await rows.client.query<{ ago: number }>(
      `SELECT extract(epoch FROM clock_timestamp() - last_seen_at)::float8 AS ago FROM sessions.session WHERE id = $1`,
      [id],
    );
    return found[0]!.ago;
  };
  const write = (...sightings: [string, number][]): Promise<void> =>
    store.seen(
      sightings.map(([id]) => id),
      sightings.map(([, ago]) => ago),
      IDLE_SECONDS,
    );

  test('is written for each session as long ago as it was', async () => {
    const [one, two, other] = [
      await add(newId(), seen(600)),
      await add(newId(), seen(600)),
      await add(newId(), seen(600)),
    ];
    await write([one, 10], [two, 300]);
    expect(Math.round((await secondsSinceSeen(one)) / 30)).toBe(0);
    expect(Math.round((await secondsSinceSeen(two)) / 30)).toBe(10);
    expect(Math.round((await secondsSinceSeen(other)) / 30)).toBe(20);
  });

  test('REF-10 neither makes a session older, nor brings back one that has ended or was idle', async () => {
    const cases: [string, number][] = [
      [await add(newId(), seen(10)), 600],
      [await add(newId(), `${ENDED}, ${seen(600)}`), 1],
      // Idle when it was used, although by now it would be no longer.
      [await add(newId(), seen(2_000)), 100],
    ];
    const before = await Promise.all(cases.map(([id]) => rows.of(id)));
    const agoBefore = [10, 600, 2_000];
    await write(...cases);
    for (const [at, [id]] of cases.entries()) {
      expect((await secondsSinceSeen(id)) - agoBefore[at]!).toBeGreaterThanOrEqual(0);
      expect((await secondsSinceSeen(id)) - agoBefore[at]!).toBeLessThan(60);
      expect(await rows.of(id)).toEqual(before[at]);
    }
  });

  test('REF-10 keeps a session that was used just in time', async () => {
    const id = await add(newId(), seen(1_850));
    await write([id, 100]);
    expect(await secondsSinceSeen(id)).toBeLessThan(160);
  });

  test('waits for nobody who holds a session: that one is left out', async () => {
    const [held, free] = [await add(newId(), seen(600)), await add(newId(), seen(600))];
    await rows.client.query('BEGIN');
    try {
      await rows.client.query('SELECT FROM sessions.session WHERE id = $1 FOR UPDATE', [held]);
      await started.app.get(UnitOfWork).run(async () => {
        await started.app.get(UnitOfWork).query("SET LOCAL lock_timeout = '2s'");
        await write([held, 10], [free, 10]);
      });
      expect(await secondsSinceSeen(held)).toBeGreaterThan(590);
      expect(await secondsSinceSeen(free)).toBeLessThan(100);
    } finally {
      await rows.client.query('ROLLBACK');
    }
  });
});
