import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { HeldTable, placesOf } from '../../../src/access/decision/held.js';
import { HeldPermissions } from '../../../src/access/decision/held-permissions.js';
import {
  RememberedPermissions,
  type ReadPermissions,
} from '../../../src/access/decision/remembered-permissions.js';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { RequestContext } from '../../../src/core/request-context.js';
import { UnitOfWork } from '../../../src/database/unit-of-work.js';
import { FreshnessFeed } from '../../../src/freshness/freshness.feed.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { startFaultProxy } from '../../support/fault-proxy.js';
import { startAccess, type AccessApplication } from '../access.application.js';
import { asOwner } from '../access.fixtures.js';

const soon = { timeout: 1_000, interval: 2 };

describe('what a subject holds is remembered', () => {
  let database: TestDatabase;
  /** `here` changes, `there` hears of it. */
  let here: AccessApplication;
  let there: AccessApplication;
  beforeAll(async () => {
    database = await createTestDatabase();
    [here, there] = [await startAccess(database), await startAccess(database)];
    await here.roles.put('reader', { permissions: ['documents:read'] }, SYSTEM_PRINCIPAL);
  });
  afterAll(async () => {
    await here.close();
    await there.close();
    await database.drop();
  });

  const knownTo = (app: AccessApplication, subject: string): string[] | undefined => {
    const held = app.app.get(HeldPermissions).known({ kind: 'account', subject });
    return held && [...held.permissions()];
  };
  const learn = async (app: AccessApplication, subject: string): Promise<string[]> => {
    const context = new RequestContext({ transport: 'http', receivedAtMs: 0 });
    const held = await app.app.get(HeldPermissions).ofRequest(context, { kind: 'account', subject });
    return [...held.permissions()];
  };

  test('a grant, its end and a change of its role are felt here at once and there within a second', async () => {
    const subject = await here.somebody();
    expect([await learn(here, subject), await learn(there, subject)]).toEqual([[], []]);
    const id = await here.give(subject, 'reader');
    expect(knownTo(here, subject)).toBeUndefined();
    await vi.waitUntil(() => knownTo(there, subject) === undefined, soon);
    expect([await learn(here, subject), await learn(there, subject)]).toEqual([
      ['documents:read'],
      ['documents:read'],
    ]);

    await here.roles.put('reader', { permissions: ['documents:read', 'documents:write'] }, SYSTEM_PRINCIPAL);
    await vi.waitUntil(() => knownTo(there, subject) === undefined, soon);
    expect(await learn(there, subject)).toEqual(['documents:read', 'documents:write']);
    await here.roles.put('reader', { permissions: ['documents:read'] }, SYSTEM_PRINCIPAL);

    await here.grants.revoke(id, SYSTEM_PRINCIPAL);
    await vi.waitUntil(() => knownTo(there, subject) === undefined, soon);
    expect(await learn(there, subject)).toEqual([]);
  });

  test('RBAC-13 what lasts hears of it too, in the context that it was let in with', async () => {
    const subject = await here.somebody();
    const id = await here.give(subject, 'reader');
    const held = there.app.get(HeldPermissions);
    const principal = { kind: 'account', subject } as const;
    const stream = new RequestContext({ transport: 'graphql', receivedAtMs: 0 });
    const now = async (): Promise<readonly string[]> =>
      (await held.ofRequest(stream, principal)).permissions();
    await there.app.get(FreshnessFeed).confirm();
    expect(await now()).toEqual(['documents:read']);
    await here.grants.revoke(id, SYSTEM_PRINCIPAL);
    await vi.waitUntil(async () => (await now()).length === 0, soon);
  });

  test('RBAC-13 what lasts is read again after a second where memory may not be trusted, and not for each question', async () => {
    const subject = await here.somebody('reader');
    const held = there.app.get(HeldPermissions);
    const principal = { kind: 'account', subject } as const;
    const stream = new RequestContext({ transport: 'graphql', receivedAtMs: 0 });
    const begun = performance.now();
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => begun);
    const stale = vi.spyOn(there.app.get(FreshnessFeed), 'isFresh').mockReturnValue(false);
    try {
      const first = held.ofRequest(stream, principal);
      clock.mockImplementation(() => begun + 999);
      expect(held.ofRequest(stream, principal)).toBe(first);
      clock.mockImplementation(() => begun + 1_000);
      expect(held.ofRequest(stream, principal)).not.toBe(first);
      await first;
    } finally {
      clock.mockRestore();
      stale.mockRestore();
    }
  });

  test('a change by hand is told by the database, one entry a transaction and subject', async () => {
    const subject = await here.somebody('reader');
    expect(await learn(there, subject)).toEqual(['documents:read']);
    const before = await asOwner(
      database,
      `SELECT count(*)::int AS n FROM freshness.feed WHERE kind = 'grants'`,
    );
    await asOwner(database, `UPDATE access."grant" SET not_before = NULL WHERE subject = $1`, [subject]);
    await vi.waitUntil(() => knownTo(there, subject) === undefined, soon);
    const after = await asOwner(
      database,
      `SELECT count(*)::int AS n FROM freshness.feed WHERE kind = 'grants'`,
    );
    expect(after[0]!['n']).toBe(Number(before[0]!['n']) + 1);
  });

  test('a grant that is moved to somebody else by hand is told of both', async () => {
    const [from, to] = [await here.somebody('reader'), await here.somebody()];
    await there.app.get(FreshnessFeed).confirm();
    expect([await learn(there, from), await learn(there, to)]).toEqual([['documents:read'], []]);
    await asOwner(database, `UPDATE access."grant" SET subject = $2 WHERE subject = $1`, [from, to]);
    await vi.waitUntil(() => [from, to].every((each) => knownTo(there, each) === undefined), soon);
    expect([await learn(there, from), await learn(there, to)]).toEqual([[], ['documents:read']]);
  });

  test('a subject that the authenticator writes in capitals loses a revoked grant like everybody', async () => {
    const subject = await here.somebody();
    const id = await here.give(subject, 'reader');
    const capitals = subject.toUpperCase();
    await there.app.get(FreshnessFeed).confirm();
    expect(await learn(there, capitals)).toEqual(['documents:read']);
    await here.grants.revoke(id, SYSTEM_PRINCIPAL);
    await vi.waitUntil(() => knownTo(there, capitals) === undefined, soon);
    expect(await learn(there, capitals)).toEqual([]);
  });

  test('a grant that is seen inside of its own transaction, and rolled back, is not remembered', async () => {
    const subject = await here.somebody();
    const rolledBack = here.app.get(UnitOfWork).run(async () => {
      await here.give(subject, 'reader');
      expect(await learn(here, subject)).toEqual(['documents:read']);
      throw new Error('changed my mind');
    });
    await expect(rolledBack).rejects.toThrow('changed my mind');
    expect(await learn(here, subject)).toEqual([]);
  });

  test('a replica that was cut off for longer than entries are kept remembers no grant that was revoked', async () => {
    const proxy = await startFaultProxy(database.appUrl);
    const away = await startAccess({ ...database, appUrl: proxy.through(database.appUrl) });
    try {
      const subject = await here.somebody();
      const id = await here.give(subject, 'reader');
      await away.app.get(FreshnessFeed).confirm();
      expect(await learn(away, subject)).toEqual(['documents:read']);
      proxy.cut();
      await here.grants.revoke(id, SYSTEM_PRINCIPAL);
      await here.give(subject, 'reader', { notBefore: new Date(Date.now() + 3_600_000) });
      await asOwner(database, `UPDATE freshness.feed SET created_at = now() - interval '80 minutes'`);
      await asOwner(database, 'SELECT freshness.purge()');
      proxy.pass();
      await vi.waitFor(() => away.app.get(FreshnessFeed).confirm(), { timeout: 10_000, interval: 20 });
      expect(await learn(away, subject)).toEqual([]);
    } finally {
      await away.close();
      await proxy.close();
    }
  });

  test('a grant that ends by itself is not remembered beyond its end', async () => {
    const subject = await here.somebody();
    await here.give(subject, 'reader', { expiresAt: new Date(Date.now() + 3_600_000) });
    await there.app.get(FreshnessFeed).confirm();
    expect(await learn(there, subject)).toEqual(['documents:read']);
    const jumped = vi.spyOn(performance, 'now');
    const begun = performance.now();
    // The feed has a clock of its own to be late by: here it is the grant that ends.
    vi.spyOn(there.app.get(FreshnessFeed), 'isFresh').mockReturnValue(true);
    try {
      jumped.mockImplementation(() => begun + 500);
      expect(knownTo(there, subject)).toEqual(['documents:read']);
      jumped.mockImplementation(() => begun + 3_601_000);
      expect(knownTo(there, subject)).toBeUndefined();
    } finally {
      vi.restoreAllMocks();
    }
  });

  test('without a confirmed feed nothing is known', async () => {
    const subject = await here.somebody('reader');
    await learn(here, subject);
    const stale = vi.spyOn(here.app.get(FreshnessFeed), 'isFresh').mockReturnValue(false);
    expect(knownTo(here, subject)).toBeUndefined();
    stale.mockRestore();
  });
});

/** A table that holds these, and these alone, everywhere. */
const heldOf = (...permissions: string[]): HeldTable =>
  new HeldTable(placesOf(permissions), new Map([['', permissions]]));

describe('the memory', () => {
  const holding = (permission: string): Promise<ReadPermissions> =>
    Promise.resolve({ held: heldOf(permission), secondsToChange: undefined });

  test('does not keep what was read while something changed', async () => {
    const memory = new RememberedPermissions(10);
    let finish: (value: ReadPermissions) => void = () => undefined;
    const reading = memory.read('a', () => new Promise((resolve) => (finish = resolve)));
    memory.forget('b');
    finish({ held: heldOf('x'), secondsToChange: undefined });
    expect((await reading).permissions()).toEqual(['x']);
    expect(memory.get('a')).toBeUndefined();
  });

  test('does not keep it either where several things changed, whatever they were', async () => {
    type Change = 'b' | 'all';
    for (const changes of [['b'], ['all'], ['b', 'all'], ['all', 'b']] as Change[][]) {
      const memory = new RememberedPermissions(10);
      await memory.read('c', () => holding('y'));
      await memory.read('a', () => {
        for (const change of changes) {
          if (change === 'all') memory.forgetAll();
          else memory.forget(change);
        }
        return holding('x');
      });
      expect(memory.get('a'), changes.join()).toBeUndefined();
      expect(memory.get('c') === undefined, changes.join()).toBe(changes.includes('all'));
    }
  });

  test('keeps a grant that ends by itself until that very moment, counted from when it was asked for', async () => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(1_000);
    try {
      const memory = new RememberedPermissions(10);
      await memory.read('a', () => {
        now.mockReturnValue(5_000);
        return Promise.resolve({ held: heldOf('x'), secondsToChange: 60 });
      });
      now.mockReturnValue(60_999);
      expect(memory.get('a')?.held.permissions()).toEqual(['x']);
      now.mockReturnValue(61_000);
      expect([memory.get('a'), memory.size]).toEqual([undefined, 0]);
    } finally {
      now.mockRestore();
    }
  });

  test('keeps no more subjects than it may, and the newest of them', async () => {
    const memory = new RememberedPermissions(2);
    for (const subject of ['a', 'b', 'c']) await memory.read(subject, () => holding(subject));
    expect([memory.size, memory.get('a'), memory.get('c')?.held.permissions()]).toEqual([
      2,
      undefined,
      ['c'],
    ]);
  });

  test('whoever has kept what was read sees by the version that something changed, whatever it was', async () => {
    const memory = new RememberedPermissions(1);
    await memory.read('a', () => holding('x'));
    const versions = [memory.version];
    const changes = [
      () => {
        memory.forget('a');
      },
      () => {
        memory.forget('somebody who was never read');
      },
      () => {
        memory.forgetAll();
      },
    ];
    for (const change of changes) {
      change();
      versions.push(memory.version);
    }
    expect(new Set(versions).size).toBe(4);
    // What took its room, or was read once more, changed nothing of what it says.
    const before = memory.version;
    await memory.read('b', () => holding('y'));
    await memory.read('b', () => holding('y'));
    expect([memory.get('a'), memory.version]).toEqual([undefined, before]);
  });

  test('keeps nothing that failed to be read', async () => {
    const memory = new RememberedPermissions(2);
    await expect(memory.read('a', () => Promise.reject(new Error('down')))).rejects.toThrow('down');
    expect(memory.size).toBe(0);
  });
});
