import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { SecurityEvent } from '../../src/core/security-events.js';
import { AuditedApplication } from './audited.application.js';

interface Entry {
  readonly id: string;
  readonly recordedAt: string;
  readonly event: { readonly metadata: { readonly event_code: string } };
}
interface Page {
  readonly entries: readonly Entry[];
  readonly next: string | null;
}

let audited: AuditedApplication;

const start = async (): Promise<void> => {
  audited = await AuditedApplication.start({ scanLimit: 100 });
};
const close = (): Promise<void> => audited.close();

async function publish(changes: Partial<SecurityEvent> = {}): Promise<void> {
  const event: SecurityEvent = { action: 'grant.created', outcome: 'success', delivery: 'detached' };
  await audited.events.publish({ ...event, ...changes });
}

async function read(query: Record<string, string> = {}): Promise<Page> {
  const path = `/admin/audit?${new URLSearchParams(query).toString()}`;
  const { status, body } = await audited.get(path, 'auditor');
  expect(status).toBe(200);
  return body as Page;
}

/** Follows `next` until nothing is left but what reading itself leaves behind. */
async function readAll(query: Record<string, string>, between?: () => Promise<void>): Promise<Entry[]> {
  const entries: Entry[] = [];
  let after: string | null = null;
  do {
    const page: Page = await read({ ...query, ...(after === null ? {} : { after }) });
    entries.push(...page.entries);
    after = page.next;
    await between?.();
  } while (after !== null);
  return entries;
}

const actionsOf = (entries: readonly Entry[]): string[] =>
  entries.map(({ event }) => event.metadata.event_code);

describe('who may read the log', () => {
  beforeEach(start);
  afterEach(close);

  test('AUD-25 without the permission nobody reads: 401 for strangers, 403 for the others', async () => {
    expect((await audited.get('/admin/audit')).status).toBe(401);
    expect((await audited.get('/admin/audit', 'viewer')).status).toBe(403);
    expect((await audited.entries()).map(({ event }) => event.metadata.event_code)).toEqual([
      'authentication.refused',
      'access.refused',
    ]);
  });

  test('AUD-25 reading leaves an entry of its own, before anything is shown', async () => {
    const { entries } = await read({ actor: 'alice', limit: '7' });
    expect(entries).toEqual([]);
    const [trace] = await audited.entries();
    expect(trace?.event).toMatchObject({
      metadata: { event_code: 'audit.read' },
      actor: { user: { uid: 'auditor' } },
      class_uid: 6003,
      activity_id: 2,
      unmapped: { detail: { limit: 7, filters: 'actor limit' } },
    });
  });

  test('AUD-25 who cannot be recorded reads nothing', async () => {
    await audited.owner.query('REVOKE INSERT (id, log_id, entry) ON audit.pending FROM zt_app');
    const { status, body } = await audited.get('/admin/audit', 'auditor');
    expect(status).toBe(503);
    expect(body).toEqual({ code: 'temporarily-unavailable' });
  });
});

describe('a page', () => {
  beforeEach(start);
  afterEach(close);

  test('shows entries as they were written, the oldest first', async () => {
    for (const action of ['grant.created', 'grant.revoked', 'role.updated'] as const)
      await publish({ action });
    const { entries, next } = await read();
    expect(actionsOf(entries)).toEqual(['grant.created', 'grant.revoked', 'role.updated', 'audit.read']);
    expect(next).toBeNull();
    const stored = await audited.entries();
    expect(entries.map(({ id, event }) => ({ id, event }))).toEqual(
      stored.map(({ id, event }) => ({ id, event })),
    );
    expect(entries[0]?.recordedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  });

  test('holds 50 entries unless asked for another number up to 100', async () => {
    for (let at = 0; at < 60; at += 1) await publish();
    expect((await read()).entries).toHaveLength(50);
    expect((await read({ limit: '3' })).entries).toHaveLength(3);
    expect((await read({ limit: '100' })).entries).toHaveLength(63);
  });

  test('never shows twice or skips what was there, while others write', async () => {
    for (let at = 0; at < 40; at += 1) await publish({ actor: `before-${String(at)}` });
    const before = (await audited.entries()).map(({ id }) => id);
    const to = new Date(Date.now() + 60_000).toISOString();
    const seen = await readAll({ limit: '7', action: 'grant.created', to }, async () => {
      // Two at a time, in transactions that overlap.
      if ((await audited.entries()).length < 100) {
        await Promise.all([publish({ actor: 'meanwhile' }), publish({ actor: 'meanwhile' })]);
      }
    });
    const ids = seen.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.slice(0, before.length)).toEqual(before);
    expect(seen.map(({ recordedAt }) => recordedAt)).toEqual(
      [...seen.map(({ recordedAt }) => recordedAt)].sort(),
    );
  });

  test('tells entries of the same microsecond apart by their id', async () => {
    await audited.owner.query(
      `INSERT INTO audit.pending (id, recorded_at, entry)
       SELECT gen_random_uuid(), '2020-01-01T00:00:00.000001Z', '{}' FROM generate_series(1, 25)`,
    );
    const seen = await readAll({ limit: '4', to: '2020-01-02T00:00:00Z' });
    expect(seen).toHaveLength(25);
    expect(seen.map(({ id }) => id)).toEqual([...new Set(seen.map(({ id }) => id))].sort());
  });

  test('that found little within what one read looks at says where to go on', async () => {
    await audited.owner.query(
      `INSERT INTO audit.pending (id, recorded_at, entry)
       SELECT gen_random_uuid(), '2020-01-01T00:00:00Z'::timestamptz + n * interval '1 second', '{}'
       FROM generate_series(1, 250) AS n`,
    );
    await publish({ actor: 'needle' });
    const first = await read({ actor: 'needle' });
    expect(first.entries).toEqual([]);
    expect(first.next).not.toBeNull();
    expect(await readAll({ actor: 'needle' })).toHaveLength(1);
  });
});

describe('a filter', () => {
  const alice = '0190b1a0-0000-7000-8000-000000000001';

  afterAll(close);
  beforeAll(async () => {
    await start();
    await publish({ actor: alice, target: { type: 'grant', id: '1' } });
    await publish({ actor: 'bob', action: 'grant.revoked', target: { type: 'grant', id: '2' } });
    await publish({ actor: 'bob', action: 'role.updated', target: { type: 'role', id: 'editor:1' } });
  });

  test.each<[Record<string, string>, string[]]>([
    [{ actor: alice }, ['grant.created']],
    [{ action: 'grant.revoked' }, ['grant.revoked']],
    [{ resource: 'grant' }, ['grant.created', 'grant.revoked']],
    [{ resource: 'grant:2' }, ['grant.revoked']],
    [{ resource: 'role:editor:1' }, ['role.updated']],
    [{ actor: 'bob', resource: 'role' }, ['role.updated']],
    [{ actor: alice, action: 'grant.revoked' }, []],
    [{ actor: "bob'OR'1'='1" }, []],
    [{ from: '2999-01-01T00:00:00Z' }, []],
    [{ to: '2000-01-01T00:00:00.5Z' }, []],
  ])('%o finds exactly what it names', async (query, actions) => {
    expect(actionsOf((await read(query)).entries)).toEqual(actions);
  });

  test('of a time takes its beginning in and leaves its end out', async () => {
    await audited.owner.query(
      `INSERT INTO audit.pending (id, recorded_at, entry)
       SELECT gen_random_uuid(), '2020-01-01T00:00:00Z'::timestamptz + n * interval '1 hour', '{}'
       FROM generate_series(0, 3) AS n`,
    );
    const { entries } = await read({ from: '2020-01-01T01:00:00Z', to: '2020-01-01T03:00:00Z' });
    expect(entries.map(({ recordedAt }) => recordedAt.slice(11, 13))).toEqual(['01', '02']);
  });

  test.each([
    'limit=0',
    'limit=101',
    'limit=-1',
    'limit=1e2',
    'limit=0x10',
    'limit=%2010',
    'limit=',
    'limit=1&limit=2',
    'limit[]=1',
    'after=',
    'after=garbage',
    'after=MjAyNi0wMi0zMVQxMjowMDowMC4wMDAwMDBaLzAxOTBiMWEwLTAwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMQ',
    'from=2026-02-31T00:00:00Z',
    'from=yesterday',
    'from=0000-01-01T00:00:00Z',
    'from=2026-01-31',
    'to=2026-01-31T00:00:00%2B02:00',
    'to=infinity',
    'actor=',
    'actor=a%20b',
    'actor=%00',
    `actor=${'a'.repeat(129)}`,
    'action=grant',
    "action=grant.created';--",
    'resource=Grant',
    'resource=grant:',
    'sort=id',
    'tenant=other',
  ])('%s is refused with 400, and nothing is read', async (query) => {
    const before = (await audited.entries()).length;
    const { status } = await audited.get(`/admin/audit?${query}`, 'auditor');
    expect(status).toBe(400);
    expect(await audited.entries()).toHaveLength(before);
  });
});

describe('the login that reads', () => {
  beforeEach(start);
  afterEach(close);

  test('can be lost at any moment: 503 while it is gone, and reading goes on when it is back', async () => {
    await publish();
    expect((await read()).entries).toHaveLength(2);
    const auditor = new URL(audited.database.auditUrl).username;
    await audited.owner.query(`REVOKE SELECT ON audit.pending FROM zt_audit_sequencer`);
    expect((await audited.get('/admin/audit', 'auditor')).status).toBe(503);
    await audited.owner.query(`GRANT SELECT ON audit.pending TO zt_audit_sequencer`);
    await audited.owner.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()`,
      [auditor],
    );
    // The pool may hand out the dead connection once, if its end has not been heard of yet.
    const answers = [
      await audited.get('/admin/audit', 'auditor'),
      await audited.get('/admin/audit', 'auditor'),
    ];
    expect(answers.at(-1)?.status).toBe(200);
    expect([200, 503]).toContain(answers[0]?.status);
  });
});
