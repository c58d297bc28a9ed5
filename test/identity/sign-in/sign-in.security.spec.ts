import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { GcraStorage } from '../../../src/throttler/gcra.storage.js';
import { parametersOf, unmatchableHash } from '../../../src/identity/passwords/phc-string.js';
import { IdentityDatabase, PASSWORD, type IdentityServices } from '../identity.services.js';

/** Wide enough to be out of the way where something else is tested. */
const WIDE = { sourceAttempts: 1_000, accountAttempts: 10_000 };

let db: IdentityDatabase;
beforeAll(async () => (db = await IdentityDatabase.create()));
afterAll(() => db.close());

describe('signing in', () => {
  let identity: IdentityServices;
  let disabledId: string;
  beforeAll(async () => {
    identity = await db.start(WIDE);
    await identity.create('alice@example.test');
    disabledId = (await identity.create('disabled@example.test')).id;
    await identity.accounts.disable(disabledId, SYSTEM_PRINCIPAL);
  });
  beforeEach(() => {
    identity.events.length = 0;
    identity.engine.verified.length = 0;
  });

  const refusalOf = async (email: string, password: string): Promise<unknown> =>
    identity.signInAs(email, password).then(
      () => undefined,
      (error: unknown) => error,
    );

  test('opens a session with its event in one transaction', async () => {
    const { sessionId } = await identity.signInAs('alice@example.test', PASSWORD);
    expect(identity.events).toMatchObject([
      {
        action: 'session.opened',
        delivery: 'same-transaction',
        target: { id: sessionId },
        detail: { acr: 'aal1', amr: 'pwd' },
      },
    ]);
    expect(await db.rows('SELECT FROM sessions.session WHERE id = $1', [sessionId])).toHaveLength(1);
  });

  test('PWD-11 works in every letter case of the address', async () => {
    for (const email of ['alice@example.test', 'Alice@Example.Test', 'ALICE@EXAMPLE.TEST']) {
      await expect(identity.signInAs(email, PASSWORD)).resolves.toBeDefined();
    }
  });

  test('PWD-01 an unknown account, a wrong password and a disabled account get one and the same refusal', async () => {
    const refusals = [
      await refusalOf('nobody@example.test', PASSWORD),
      await refusalOf('alice@example.test', 'not her password'),
      await refusalOf('disabled@example.test', PASSWORD),
      await refusalOf('disabled@example.test', 'not the password'),
    ];
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({
        code: 'invalid-credentials',
        status: 401,
        headers: { 'WWW-Authenticate': 'Bearer' },
      });
      expect({ ...(refusal as object), stack: '' }).toEqual({ ...(refusals[0] as object), stack: '' });
    }
    // Only the log knows which was which.
    expect(identity.events.map(({ action, reason }) => [action, reason])).toEqual([
      ['authentication.failed', 'the account is unknown'],
      ['authentication.failed', 'the password is wrong'],
      ['authentication.failed', 'the account is disabled'],
      ['authentication.failed', 'the password is wrong'],
    ]);
    expect(identity.events.map(({ target }) => target?.type)).toEqual([
      'address',
      'account',
      'account',
      'account',
    ]);
    expect(identity.events.every(({ delivery }) => delivery === 'detached')).toBe(true);
    expect(JSON.stringify(identity.events)).not.toMatch(/example\.test|password"|not her/);
  });

  test('PWD-02 each of them costs exactly one verification with equal parameters', async () => {
    for (const email of ['nobody@example.test', 'alice@example.test', 'disabled@example.test']) {
      await refusalOf(email, 'not the password');
    }
    const costs = identity.engine.verified.map(parametersOf);
    expect(costs).toEqual(
      Array.from({ length: 3 }, () => ({ memoryKib: 19_456, iterations: 2, parallelism: 1 })),
    );
  });

  test('PWD-02 the time of a refusal does not tell known from unknown', async () => {
    const samples: Record<string, number[]> = { known: [], unknown: [] };
    const measure = async (kind: string, email: string): Promise<void> => {
      const started = process.hrtime.bigint();
      await refusalOf(email, 'not the password');
      samples[kind]!.push(Number(process.hrtime.bigint() - started));
    };
    for (let round = 0; round < 25; round += 1) {
      await measure('known', 'alice@example.test');
      await measure('unknown', `nobody-${round}@example.test`);
    }
    const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
    // Coarse, so that a busy machine does not fail it; without the dummy the unknown would take a tenth.
    const ratio = median(samples['unknown']!) / median(samples['known']!);
    expect(ratio).toBeGreaterThan(0.5);
    expect(ratio).toBeLessThan(2);
  });

  test('PWD-28 a hostile stored hash is refused fast, raises an alert, and is not computed', async () => {
    const { id } = await identity.create('hostile@example.test');
    const hostile = unmatchableHash(
      { memoryKib: 4_194_304, iterations: 100, parallelism: 1 },
      randomBytes(16),
      randomBytes(32),
    );
    await db.tamper('UPDATE identity.account SET password_hash = $2 WHERE id = $1', [id, hostile]);
    identity.events.length = 0;
    const started = Date.now();
    expect(await refusalOf('hostile@example.test', PASSWORD)).toMatchObject({ code: 'invalid-credentials' });
    expect(Date.now() - started).toBeLessThan(1_000);
    expect(identity.engine.verified).not.toContain(hostile);
    expect(identity.events).toMatchObject([
      { action: 'account.tampered', outcome: 'failure', target: { type: 'account', id } },
      { action: 'authentication.failed', target: { type: 'account', id } },
    ]);
  });

  test('a hash that a writer of the table copied from the own account opens no other', async () => {
    const mallory = await identity.create('mallory@example.test', 'nobody else knows it');
    const victim = await identity.create('victim@example.test');
    await db.tamper('UPDATE identity.account SET password_hash = $2 WHERE id = $1', [
      victim.id,
      await db.hashOf(mallory.id),
    ]);
    expect(await refusalOf('victim@example.test', 'nobody else knows it')).toMatchObject({ status: 401 });
  });

  test('what is no address is refused before anything is asked', async () => {
    for (const email of ['alice@example.test\r\nBcc: x@y.test', ' alice@example.test', 'alice', '']) {
      expect(await refusalOf(email, PASSWORD)).toMatchObject({ code: 'validation-failed' });
    }
    expect(identity.engine.verified).toEqual([]);
  });

  test('AUD-21 neither the audit log nor the log holds a password, an address or a hash', async () => {
    await identity.signInAs('alice@example.test', PASSWORD);
    await refusalOf('alice@example.test', 'not the password at all');
    const entries = await db.rows<{ entry: Buffer }>('SELECT entry FROM audit.pending');
    expect(entries.length).toBeGreaterThan(10);
    const text = entries.map(({ entry }) => entry.toString()).join('\n');
    expect(text).toContain('authentication.failed');
    expect(text).not.toMatch(/example\.test|argon2|tea house|not the password at all|nobody else knows/);
  });

  test('no session is opened for an account that is disabled while its password is verified', async () => {
    const { id } = await identity.create('racing@example.test');
    for (let round = 0; round < 5; round += 1) {
      const signIns = [1, 2, 3].map(() => refusalOf('racing@example.test', PASSWORD));
      await identity.accounts.disable(id, SYSTEM_PRINCIPAL);
      await Promise.all(signIns);
      const alive = await db.rows('SELECT FROM sessions.session WHERE subject = $1 AND ended_at IS NULL', [
        id,
      ]);
      expect(alive).toEqual([]);
      await identity.accounts.enable(id, SYSTEM_PRINCIPAL);
    }
  });
});

describe('a hash with older parameters', () => {
  test('PWD-29 two parallel sign-ins succeed, and it is made anew once', async () => {
    const before = await db.start(WIDE);
    const { id } = await before.create('older@example.test');
    const old = await db.hashOf(id);
    const after = await db.start({ ...WIDE, argonIterations: 3, hashConcurrency: 2 });
    const sessions = await Promise.all(
      [1, 2, 3, 4].map(() => after.signInAs('older@example.test', PASSWORD)),
    );
    expect(new Set(sessions.map(({ sessionId }) => sessionId)).size).toBe(4);
    expect(after.actions().filter((action) => action === 'account.rehashed')).toHaveLength(1);
    const renewed = await db.hashOf(id);
    expect(parametersOf(renewed)).toEqual({ memoryKib: 19_456, iterations: 3, parallelism: 1 });
    expect(renewed).not.toBe(old);
    await expect(after.signInAs('older@example.test', PASSWORD)).resolves.toBeDefined();
    const alive = await db.rows('SELECT FROM sessions.session WHERE subject = $1 AND ended_at IS NULL', [id]);
    expect(alive).toHaveLength(5);
    // Weaker parameters again: what is stronger stays.
    await before.signInAs('older@example.test', PASSWORD);
    expect(await db.hashOf(id)).toBe(renewed);
  });
});

describe('how often one account may be tried', () => {
  let identity: IdentityServices;
  beforeEach(async () => {
    identity = await db.start({
      sourceAttempts: 3,
      sourceAttemptsWindowSeconds: 60,
      accountAttempts: 5,
      accountAttemptsWindowSeconds: 300,
    });
  });
  const attempt = (from: string, email: string, password = 'not the password'): Promise<string> =>
    identity.from(from, () =>
      identity.signInAs(email, password).then(
        () => 'in',
        (error: unknown) => (error as { code: string }).code,
      ),
    );

  test('PWD-22 whoever uses up the limit from one place shuts out no other place', async () => {
    await identity.create('alice1@example.test');
    for (let count = 0; count < 3; count += 1) {
      expect(await attempt('203.0.113.9', 'alice1@example.test')).toBe('invalid-credentials');
    }
    for (let count = 0; count < 50; count += 1) {
      expect(await attempt('203.0.113.9', 'ALICE1@example.test')).toBe('too-many-requests');
    }
    // The right password does not help from there.
    expect(await attempt('203.0.113.9', 'alice1@example.test', PASSWORD)).toBe('too-many-requests');
    expect(await attempt('198.51.100.7', 'alice1@example.test', PASSWORD)).toBe('in');
    expect(identity.actions().filter((action) => action === 'throttle.refused')).toHaveLength(51);
  });

  test('PWD-22 when many places use up the limit of the account, its owner still gets in from a known one', async () => {
    await identity.create('alice2@example.test');
    expect(await attempt('198.51.100.7', 'alice2@example.test', PASSWORD)).toBe('in');
    for (let place = 1; place <= 4; place += 1) await attempt(`203.0.113.${place}`, 'alice2@example.test');
    expect(await attempt('203.0.113.99', 'alice2@example.test', PASSWORD)).toBe('too-many-requests');
    expect(await attempt('198.51.100.7', 'alice2@example.test', PASSWORD)).toBe('in');
    // And nobody waits for more than 15 minutes in any other place either.
    identity.clock.atMs += 60_000;
    expect(await attempt('203.0.113.99', 'alice2@example.test', PASSWORD)).toBe('in');
  });

  test('a known place is held to the limit of a place, and is forgotten when it is old', async () => {
    const { id } = await identity.create('alice3@example.test');
    expect(await attempt('198.51.100.7', 'alice3@example.test', PASSWORD)).toBe('in');
    for (let place = 1; place <= 4; place += 1) await attempt(`203.0.113.${place}`, 'alice3@example.test');
    expect(await attempt('198.51.100.7', 'alice3@example.test')).toBe('invalid-credentials');
    expect(await attempt('198.51.100.7', 'alice3@example.test')).toBe('invalid-credentials');
    expect(await attempt('198.51.100.7', 'alice3@example.test', PASSWORD)).toBe('too-many-requests');
    identity.clock.atMs += 20_000;
    await db.rows(
      "UPDATE identity.known_source SET last_seen_at = now() - interval '91 days' WHERE account_id = $1",
      [id],
    );
    expect(await attempt('198.51.100.7', 'alice3@example.test', PASSWORD)).toBe('too-many-requests');
  });

  test('PWD-01 an account that does not exist has the same limits', async () => {
    for (let count = 0; count < 3; count += 1) {
      expect(await attempt('203.0.113.9', 'nobody4@example.test')).toBe('invalid-credentials');
    }
    expect(await attempt('203.0.113.9', 'nobody4@example.test')).toBe('too-many-requests');
    for (let place = 1; place <= 2; place += 1) await attempt(`203.0.113.${place}`, 'nobody4@example.test');
    expect(await attempt('198.51.100.7', 'nobody4@example.test')).toBe('too-many-requests');
  });

  test('an IPv6 customer is one place, not as many as there are addresses', async () => {
    for (let count = 0; count < 3; count += 1) {
      expect(await attempt(`2001:db8:0:1::${count}`, 'nobody5@example.test')).toBe('invalid-credentials');
    }
    expect(await attempt('2001:db8:0:1:ffff::1', 'nobody5@example.test')).toBe('too-many-requests');
    expect(await attempt('2001:db8:0:2::1', 'nobody5@example.test')).toBe('invalid-credentials');
  });

  test('PWD-23 with a storage that replicas share, the limit holds on the other one and after a restart', async () => {
    const limits = { sourceAttempts: 3, sourceAttemptsWindowSeconds: 900 };
    const storage = new GcraStorage(identity.clock, 1_000);
    const guess = (replica: IdentityServices): Promise<string> => {
      identity = replica;
      return attempt('203.0.113.9', 'shared@example.test');
    };
    const [one, two] = [await db.start(limits, { storage }), await db.start(limits, { storage })];
    expect([await guess(one), await guess(two), await guess(one)]).toEqual(
      Array(3).fill('invalid-credentials'),
    );
    expect([await guess(one), await guess(two)]).toEqual(Array(2).fill('too-many-requests'));
    const restarted = await db.start(limits, { storage });
    expect(await guess(restarted)).toBe('too-many-requests');
  });

  test('no address is stored, and no more than twenty places are', async () => {
    const { id } = await identity.create('alice6@example.test');
    identity = await db.start({ sourceAttempts: 1_000, accountAttempts: 10_000 });
    for (let place = 1; place <= 23; place += 1) {
      expect(await attempt(`198.51.100.${place}`, 'alice6@example.test', PASSWORD)).toBe('in');
    }
    const sources = await db.rows<{ source: Buffer }>(
      'SELECT source FROM identity.known_source WHERE account_id = $1',
      [id],
    );
    expect(sources).toHaveLength(20);
    expect(sources.every(({ source }) => source.length === 32)).toBe(true);
  });
});
