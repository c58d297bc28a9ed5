import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { GrantsService } from '../../../src/access/grants/grants.service.js';
import { RolesService } from '../../../src/access/grants/roles.service.js';
import type { Principal } from '../../../src/core/principal.js';
import { UnitOfWork } from '../../../src/database/unit-of-work.js';
import { IdentityDatabase, PASSWORD, type IdentityServices } from '../identity.services.js';

const as = (subject: string): Principal => ({ kind: 'account', subject });

describe('accounts', () => {
  let db: IdentityDatabase;
  let identity: IdentityServices;
  beforeAll(async () => {
    db = await IdentityDatabase.create();
    identity = await db.start();
  });
  afterAll(() => db.close());
  beforeEach(() => {
    identity.events.length = 0;
  });

  test('OPS-03 there is none in a fresh database', async () => {
    expect(await db.rows('SELECT FROM identity.account')).toEqual([]);
  });

  test('one is made with its event, and shows nothing that proves or hides anything', async () => {
    const account = await identity.create('Made@Example.Test');
    expect(account).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      email: 'Made@example.test',
      displayName: 'Somebody',
      state: 'active',
      createdAt: expect.any(Date) as Date,
      disabledAt: null,
    });
    expect(identity.events).toMatchObject([
      { action: 'account.created', outcome: 'success', target: { type: 'account', id: account.id } },
    ]);
    expect(await identity.accounts.findByEmail('MADE@EXAMPLE.TEST')).toEqual(account);
    expect(await identity.accounts.find(account.id)).toEqual(account);
    expect(await identity.accounts.find('not-an-id')).toBeUndefined();
    expect(await identity.accounts.findByEmail('not an address')).toBeUndefined();
  });

  test('PWD-13 twenty parallel creations on two instances, half in other case, make one account', async () => {
    const other = await db.start();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, at) =>
        [identity, other][at % 2]!.create(at < 10 ? 'race@example.test' : 'RACE@Example.Test'),
      ),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected')
        expect(outcome.reason).toMatchObject({ code: 'conflict', status: 409 });
    }
    const rows = await db.rows("SELECT FROM identity.account WHERE canonical_email = 'race@example.test'");
    expect(rows).toHaveLength(1);
    expect([...identity.actions(), ...other.actions()]).toEqual(['account.created']);
  });

  test('PWD-11 the database itself keeps one mailbox to one account, in one form', async () => {
    const account = await identity.create('Unique@example.test');
    const insert = (email: string, canonical: string): Promise<unknown> =>
      db.rows(
        `INSERT INTO identity.account (id, email, canonical_email, display_name, password_hash)
         SELECT gen_random_uuid(), $2, $3, 'x', password_hash FROM identity.account WHERE id = $1`,
        [account.id, email, canonical],
      );
    await expect(insert('UNIQUE@example.test', 'unique@example.test')).rejects.toMatchObject({
      code: '23505',
    });
    await expect(insert('Other@example.test', 'Other@example.test')).rejects.toMatchObject({ code: '23514' });
    await expect(insert('other@example.test', 'unrelated@example.test')).rejects.toMatchObject({
      code: '23514',
    });
    await expect(insert('a b@example.test', 'a b@example.test')).rejects.toMatchObject({ code: '23514' });
  });

  test('PWD-19 VAL-18 every field that is refused is named, without repeating what was sent', async () => {
    const hashedBefore = identity.engine.hashed;
    const refused = identity.accounts.create({
      email: 'a@x.test\r\nBcc: b@x.test',
      displayName: 'A\r\nB',
      password: 'passwordpassword',
    });
    await expect(refused).rejects.toMatchObject({
      code: 'validation-failed',
      errors: [{ field: 'email' }, { field: 'displayName' }, { field: 'password' }],
    });
    const error = await refused.catch((caught: unknown) => caught);
    expect(JSON.stringify(error)).not.toMatch(/Bcc|passwordpassword/);
    expect(identity.engine.hashed).toBe(hashedBefore);
  });

  test('PWD-19 the own address and name are no password', async () => {
    const attempt = (password: string): Promise<unknown> =>
      identity.accounts.create({
        email: 'wonderland@example.test',
        displayName: 'Alice Pleasance',
        password,
      });
    await expect(attempt('my wonderland is here')).rejects.toMatchObject({ code: 'validation-failed' });
    await expect(attempt('tea with pleasance 9')).rejects.toMatchObject({ code: 'validation-failed' });
  });

  test('an account and its grants are made together or not at all', async () => {
    const unit = identity.app.get(UnitOfWork).run(async () => {
      const { id } = await identity.create('together@example.test');
      const grants = identity.app.get(GrantsService);
      await grants.grant({ subject: id, role: 'nobody-made-this', reason: 'test' }, SYSTEM_PRINCIPAL);
    });
    await expect(unit).rejects.toMatchObject({ code: 'validation-failed' });
    expect(await identity.accounts.findByEmail('together@example.test')).toBeUndefined();
  });

  test('a page goes on where the one before ended, oldest first', async () => {
    for (const name of ['p1', 'p2', 'p3']) {
      identity.clock.atMs = Math.max(identity.clock.atMs, Date.now()) + 10_000;
      await identity.create(`${name}@example.test`);
    }
    const all = await identity.accounts.list({ limit: 100 });
    expect(all.next).toBeNull();
    const walked: string[] = [];
    for (let after: string | null | undefined; after !== null;) {
      const page = await identity.accounts.list({ after, limit: 2 });
      expect(page.items.length).toBeLessThanOrEqual(2);
      walked.push(...page.items.map(({ email }) => email));
      after = page.next;
    }
    expect(walked).toEqual(all.items.map(({ email }) => email));
    expect(walked.slice(-3)).toEqual(['p1@example.test', 'p2@example.test', 'p3@example.test']);
  });

  test('disabling ends every session in the same transaction, once; enabling opens none', async () => {
    const { id } = await identity.create('leaver@example.test');
    await identity.signInAs('leaver@example.test', PASSWORD);
    await identity.signInAs('leaver@example.test', PASSWORD);
    identity.events.length = 0;
    const actor = as('018f0000-0000-7000-8000-000000000001');
    await identity.accounts.disable(id.toUpperCase(), actor);
    await identity.accounts.disable(id, actor);
    expect(identity.actions()).toEqual(['session.ended', 'session.ended', 'account.disabled']);
    expect(identity.events.at(-1)).toMatchObject({ actor: actor.subject, target: { type: 'account', id } });
    expect(await identity.accounts.get(id)).toMatchObject({
      state: 'disabled',
      disabledAt: expect.any(Date) as Date,
    });
    await expect(identity.signInAs('leaver@example.test', PASSWORD)).rejects.toMatchObject({
      status: 401,
    });

    identity.events.length = 0;
    await identity.accounts.enable(id, actor);
    await identity.accounts.enable(id, actor);
    expect(identity.actions()).toEqual(['account.enabled']);
    expect(await identity.accounts.get(id)).toMatchObject({ state: 'active', disabledAt: null });
    const alive = await db.rows('SELECT FROM sessions.session WHERE subject = $1 AND ended_at IS NULL', [id]);
    expect(alive).toEqual([]);
    await identity.signInAs('leaver@example.test', PASSWORD);
  });

  test('a change that cannot be recorded does not happen', async () => {
    const { id } = await identity.create('kept@example.test');
    await identity.signInAs('kept@example.test', PASSWORD);
    await db.rows('REVOKE INSERT ON audit.pending FROM zt_app');
    await db.rows('REVOKE INSERT (id, log_id, entry) ON audit.pending FROM zt_app');
    try {
      await expect(identity.accounts.disable(id)).rejects.toMatchObject({ status: 503 });
      await expect(identity.create('unrecorded@example.test')).rejects.toMatchObject({ status: 503 });
      await expect(identity.signInAs('kept@example.test', PASSWORD)).rejects.toMatchObject({
        status: 503,
      });
    } finally {
      await db.rows('GRANT INSERT (id, log_id, entry) ON audit.pending TO zt_app');
    }
    expect(await identity.accounts.get(id)).toMatchObject({ state: 'active' });
    expect(await identity.accounts.findByEmail('unrecorded@example.test')).toBeUndefined();
    const sessions = await db.rows('SELECT ended_at FROM sessions.session WHERE subject = $1', [id]);
    expect(sessions).toEqual([{ ended_at: null }]);
  });

  test('nobody disables the own account, in whatever spelling of its id', async () => {
    const { id } = await identity.create('own@example.test');
    await expect(identity.accounts.disable(id, as(id))).rejects.toMatchObject({ code: 'conflict' });
    await expect(identity.accounts.disable(id.toUpperCase(), as(id))).rejects.toMatchObject({
      code: 'conflict',
    });
  });

  test('two who disable each other at the same moment: one of them stays', async () => {
    const one = await identity.create('duel-one@example.test');
    const two = await identity.create('duel-two@example.test');
    for (let round = 0; round < 5; round += 1) {
      const outcomes = await Promise.allSettled([
        identity.accounts.disable(one.id, as(two.id)),
        identity.accounts.disable(two.id, as(one.id)),
      ]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      for (const { id } of [one, two]) await identity.accounts.enable(id, SYSTEM_PRINCIPAL);
    }
  });

  test('the last one that can administer cannot be disabled', async () => {
    await identity.app
      .get(RolesService)
      .put('admin', { permissions: ['grants:write', 'roles:write'] }, SYSTEM_PRINCIPAL);
    const { id } = await identity.create('last-admin@example.test');
    await identity.app
      .get(GrantsService)
      .grant({ subject: id, role: 'admin', reason: 'test' }, SYSTEM_PRINCIPAL);
    await expect(identity.accounts.disable(id, SYSTEM_PRINCIPAL)).rejects.toMatchObject({ code: 'conflict' });
    expect(await identity.accounts.get(id)).toMatchObject({ state: 'active' });
  });

  test('an unknown account, or what is no id, is not found', async () => {
    for (const id of ['018f0000-0000-7000-8000-00000000ffff', 'x', "' OR 1=1 --"]) {
      await expect(identity.accounts.disable(id)).rejects.toMatchObject({ code: 'not-found' });
      await expect(identity.accounts.enable(id)).rejects.toMatchObject({ code: 'not-found' });
      await expect(identity.accounts.endSessions(id)).rejects.toMatchObject({ code: 'not-found' });
      await expect(identity.accounts.get(id)).rejects.toMatchObject({ code: 'not-found' });
    }
  });

  test('the application can neither delete an account nor change whose it is', async () => {
    const unit = identity.app.get(UnitOfWork);
    for (const sql of [
      'DELETE FROM identity.account',
      'TRUNCATE identity.account CASCADE',
      "UPDATE identity.account SET email = 'x@y.test', canonical_email = 'x@y.test'",
      'UPDATE identity.account SET id = gen_random_uuid()',
      'UPDATE identity.account SET created_at = now()',
    ]) {
      await expect(unit.query(sql), sql).rejects.toThrow('permission denied');
    }
  });
});
