import { Secret } from 'otpauth';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import type { Principal } from '../../../src/core/principal.js';
import {
  IdentityDatabase,
  PASSWORD,
  UNLIMITED,
  type IdentityServices,
  type Owner,
} from '../identity.services.js';

const WIDE = { sourceAttempts: 1_000, accountAttempts: 10_000, productName: 'Client portal' };

let db: IdentityDatabase;
let identity: IdentityServices;
beforeAll(async () => {
  db = await IdentityDatabase.create();
  identity = await db.start(WIDE, UNLIMITED);
});
afterAll(() => db.close());
beforeEach(() => {
  identity.clock.atMs = Date.now();
  identity.events.length = 0;
});

let made = 0;
const owner = (): Promise<Owner> => identity.createWithFactor(`owner-${(made += 1)}@example.test`);
const newcomer = async (): Promise<{ id: string; email: string; caller: Principal }> => {
  const { id, email } = await identity.create(`newcomer-${(made += 1)}@example.test`);
  const { sessionId } = await identity.signInAs(email, PASSWORD);
  identity.events.length = 0;
  return { id, email, caller: identity.callerOf(id, sessionId, 'aal1') };
};
const endings = (id: string): Promise<{ id: string; ended_reason: string | null }[]> =>
  db.rows('SELECT id, ended_reason FROM sessions.session WHERE subject = $1 ORDER BY id', [id]);
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error as { code: string }).code,
  );

describe('enrolling', () => {
  test('offers a secret of 160 bits as text, URI and picture, which counts for nothing until its code was seen', async () => {
    const { id, email, caller } = await newcomer();
    const { secret, otpauthUri, qrSvg } = await identity.factors.offerTotp(caller);
    expect(Secret.fromBase32(secret).bytes).toHaveLength(20);
    expect(otpauthUri).toBe(
      `otpauth://totp/Client%20portal:${encodeURIComponent(email)}?issuer=Client%20portal&secret=${secret}&algorithm=SHA1&digits=6&period=30`,
    );
    expect(qrSvg).toMatch(/^<svg [^>]*>.*<\/svg>$/s);
    expect(qrSvg).not.toMatch(/<script|href|on\w+=/i);
    expect(identity.actions()).toEqual(['factor.offered']);
    await expect(identity.signInAs(email, PASSWORD)).resolves.toBeDefined();
    expect(await db.rows('SELECT FROM identity.recovery_code WHERE account_id = $1', [id])).toEqual([]);
  });

  test('counts from its first code on, which opens nothing any more, and gives ten recovery codes once', async () => {
    const { id, email, caller } = await newcomer();
    const { secret } = await identity.factors.offerTotp(caller);
    expect(await codeOf(identity.factors.confirmTotp(caller, identity.wrongCodeOf(secret)))).toBe(
      'validation-failed',
    );
    await expect(identity.signInAs(email, PASSWORD)).resolves.toBeDefined();
    identity.events.length = 0;
    const codes = await identity.factors.confirmTotp(caller, identity.codeOf(secret));
    expect(new Set(codes).size).toBe(10);
    expect(identity.events).toMatchObject([
      { action: 'factor.enrolled', actor: id, delivery: 'same-transaction' },
      { action: 'recovery-codes.renewed', actor: id, delivery: 'same-transaction' },
    ]);
    expect(await identity.answer(await identity.challengeOf(email), identity.codeOf(secret))).toBe(
      'invalid-credentials',
    );
    expect(await identity.answer(await identity.challengeOf(email), identity.codeOf(secret, 1))).toBe('in');
    // Once more there is nothing to confirm.
    const proved = identity.callerOf(id, caller.sessionId, 'aal2');
    expect(await codeOf(identity.factors.confirmTotp(proved, identity.codeOf(secret, 1)))).toBe('not-found');
  });

  test('ends after ten minutes without a code, and with every newer offer', async () => {
    const { id, caller } = await newcomer();
    const first = await identity.factors.offerTotp(caller);
    const second = await identity.factors.offerTotp(caller);
    expect(await codeOf(identity.factors.confirmTotp(caller, identity.codeOf(first.secret)))).toBe(
      'validation-failed',
    );
    await db.tamper(
      "UPDATE identity.totp SET created_at = created_at - interval '10 minutes' WHERE account_id = $1",
      [id],
    );
    expect(await codeOf(identity.factors.confirmTotp(caller, identity.codeOf(second.secret)))).toBe(
      'not-found',
    );
    expect(await db.rows('SELECT FROM identity.totp WHERE account_id = $1', [id])).toHaveLength(1);
  });

  test('in parallel yields one factor and one set of codes', async () => {
    const { id, caller } = await newcomer();
    const { secret } = await identity.factors.offerTotp(caller);
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, () => codeOf(identity.factors.confirmTotp(caller, identity.codeOf(secret)))),
    );
    // Whoever comes second has a factor and has not proved it.
    expect(outcomes.sort()).toEqual(['done', ...Array<string>(5).fill('insufficient-authentication')]);
    expect(await db.rows('SELECT FROM identity.totp WHERE account_id = $1', [id])).toHaveLength(1);
    expect(await db.rows('SELECT FROM identity.recovery_code WHERE account_id = $1', [id])).toHaveLength(10);
  });

  test('anew asks for the factor that is there, which counts until the new one does', async () => {
    const { id, email, secret } = await owner();
    const password = identity.callerOf(id, undefined, 'aal1');
    expect(await codeOf(identity.factors.offerTotp(password))).toBe('insufficient-authentication');
    const proved = identity.callerOf(id, undefined, 'aal2');
    const offered = await identity.factors.offerTotp(proved);
    expect(await identity.answer(await identity.challengeOf(email), identity.codeOf(secret))).toBe('in');
    expect(await codeOf(identity.factors.confirmTotp(password, identity.codeOf(offered.secret)))).toBe(
      'insufficient-authentication',
    );
    identity.events.length = 0;
    await identity.factors.confirmTotp(proved, identity.codeOf(offered.secret));
    expect(identity.actions()).toEqual([
      'factor.removed',
      'session.ended',
      'factor.enrolled',
      'recovery-codes.renewed',
    ]);
    identity.clock.atMs += 60_000;
    expect(await identity.answer(await identity.challengeOf(email), identity.codeOf(secret))).toBe(
      'invalid-credentials',
    );
    expect(await identity.answer(await identity.challengeOf(email), identity.codeOf(offered.secret))).toBe(
      'in',
    );
  });
});

describe('removing', () => {
  test('MFA-18 asks for the factor, not longer ago than five minutes, by the challenge of RFC 9470', async () => {
    const { id } = await owner();
    const late = { ...identity.callerOf(id, undefined, 'aal2'), authTime: identity.clock.nowSeconds() - 301 };
    for (const caller of [identity.callerOf(id, undefined, 'aal1'), late]) {
      identity.events.length = 0;
      for (const change of [
        () => identity.factors.removeTotp(caller),
        () => identity.factors.renewRecoveryCodes(caller),
        () => identity.factors.offerTotp(caller),
      ]) {
        await expect(change()).rejects.toMatchObject({
          status: 401,
          headers: {
            'WWW-Authenticate':
              'Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="300"',
          },
        });
      }
      expect(identity.actions()).toEqual(Array(3).fill('authentication.refused'));
    }
    expect(await db.rows('SELECT FROM identity.totp WHERE account_id = $1', [id])).toHaveLength(1);
  });

  test('MFA-18 ends every other session, takes the recovery codes along, and is recorded', async () => {
    const { id, email, secret, recoveryCodes } = await owner();
    for (const steps of [-1, 0, 1]) {
      expect(await identity.answer(await identity.challengeOf(email), identity.codeOf(secret, steps))).toBe(
        'in',
      );
    }
    const [mine, ...others] = await endings(id);
    identity.events.length = 0;
    await identity.factors.removeTotp(identity.callerOf(id, mine!.id, 'aal2'));
    expect(identity.actions()).toEqual(['factor.removed', 'session.ended', 'session.ended']);
    expect(identity.events.every(({ delivery }) => delivery === 'same-transaction')).toBe(true);
    expect(await endings(id)).toEqual([
      { id: mine!.id, ended_reason: null },
      ...others.map((other) => ({ id: other.id, ended_reason: 'factor-removed' })),
    ]);
    expect(await db.rows('SELECT FROM identity.recovery_code WHERE account_id = $1', [id])).toEqual([]);
    await expect(identity.signInAs(email, PASSWORD)).resolves.toBeDefined();
    expect(recoveryCodes).toHaveLength(10);
    // There is nothing to remove, or to make codes for, any more.
    const again = identity.callerOf(id, mine!.id, 'aal2');
    expect(await codeOf(identity.factors.removeTotp(again))).toBe('not-found');
    expect(await codeOf(identity.factors.renewRecoveryCodes(again))).toBe('not-found');
  });

  test('MFA-11 a recovery code that opens a session in parallel with the removal leaves no session behind it', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { id, email, recoveryCodes } = await owner();
      const challenge = await identity.challengeOf(email);
      const proved = identity.callerOf(id, undefined, 'aal2');
      await Promise.all([
        identity.answer(challenge, recoveryCodes[0]!, 'recovery_code'),
        identity.factors.removeTotp(proved),
      ]);
      expect((await endings(id)).every(({ ended_reason }) => ended_reason === 'factor-removed')).toBe(true);
    }
  });

  test('a change that cannot be recorded does not happen', async () => {
    const { id, email, secret } = await owner();
    await db.rows('ALTER TABLE audit.pending ADD CONSTRAINT full_disk CHECK (recorded_at IS NULL) NOT VALID');
    try {
      const proved = identity.callerOf(id, undefined, 'aal2');
      await expect(identity.factors.removeTotp(proved)).rejects.toThrow();
      await expect(identity.factors.renewRecoveryCodes(proved)).rejects.toThrow();
      await expect(identity.factors.offerTotp(proved)).rejects.toThrow();
    } finally {
      await db.rows('ALTER TABLE audit.pending DROP CONSTRAINT full_disk');
    }
    expect(await db.rows('SELECT FROM identity.totp WHERE account_id = $1', [id])).toHaveLength(1);
    expect(await identity.answer(await identity.challengeOf(email), identity.codeOf(secret))).toBe('in');
  });
});

describe('in the database', () => {
  test('MFA-14 neither a secret nor a code is readable, and nobody is shown one again', async () => {
    const { id, email, caller } = await newcomer();
    const { secret } = await identity.factors.offerTotp(caller);
    const codes = await identity.factors.confirmTotp(caller, identity.codeOf(secret));
    await identity.answer(await identity.challengeOf(email), codes[0]!, 'recovery_code');
    const dump = await db.rows<{ all: string }>(
      `SELECT string_agg(row, E'\\n') AS all FROM (
         SELECT t::text AS row FROM identity.totp t UNION ALL SELECT c::text FROM identity.recovery_code c
         UNION ALL SELECT convert_from(entry, 'UTF8') FROM audit.pending) rows`,
    );
    const text = dump[0]!.all.toLowerCase();
    expect(text).toContain(id);
    const bytes = Buffer.from(Secret.fromBase32(secret).bytes);
    for (const form of [
      secret.toLowerCase(),
      bytes.toString('hex'),
      bytes.toString('base64').toLowerCase(),
    ]) {
      expect(text).not.toContain(form);
    }
    for (const code of codes) {
      for (const form of [code, code.replaceAll('-', '')]) {
        expect(text).not.toContain(form.toLowerCase());
        expect(text).not.toContain(Buffer.from(form).toString('hex'));
      }
    }
  });

  test('MFA-14 a secret opens in its own row alone: copied to the row of another account it lets nobody in', async () => {
    const [alice, mallory] = [await owner(), await owner()];
    await db.tamper(
      `UPDATE identity.totp SET secret = (SELECT secret FROM identity.totp WHERE account_id = $2) WHERE account_id = $1`,
      [alice.id, mallory.id],
    );
    identity.events.length = 0;
    const challenge = await identity.challengeOf(alice.email);
    await expect(
      identity.challenges.answer(challenge, 'totp', identity.codeOf(mallory.secret)),
    ).rejects.toMatchObject({ name: 'IntegrityError' });
    expect(identity.actions()).toContain('encryption.integrity-failed');
    expect(await endings(alice.id)).toEqual([]);
  });

  test('factors do not change without an event; that a step was used may', async () => {
    const { id } = await owner();
    const unrecorded = { code: 'ZT001' };
    for (const sql of [
      'DELETE FROM identity.totp WHERE account_id = $1',
      'UPDATE identity.totp SET confirmed_at = now() WHERE account_id = $1',
      'UPDATE identity.recovery_code SET used_at = NULL WHERE account_id = $1',
      'DELETE FROM identity.recovery_code WHERE account_id = $1',
      "INSERT INTO identity.recovery_code (account_id, code_hash) VALUES ($1, decode(repeat('00', 32), 'hex'))",
    ]) {
      await expect(db.rows(sql, [id])).rejects.toMatchObject(unrecorded);
    }
    await db.rows('UPDATE identity.totp SET last_step = 1 WHERE account_id = $1', [id]);
  });

  test('the application can neither replace a secret nor move one to another account', async () => {
    const { rows } = await db.owner.query<{ column_name: string }>(
      `SELECT column_name FROM information_schema.column_privileges
        WHERE grantee = 'zt_app' AND table_schema = 'identity' AND table_name = 'totp' AND privilege_type = 'UPDATE'
        ORDER BY 1`,
    );
    expect(rows.map(({ column_name }) => column_name)).toEqual(['confirmed_at', 'last_step']);
  });
});

test('an account can be given a factor by a seed, in the place of the one it has', async () => {
  const { id, email, secret } = await owner();
  identity.events.length = 0;
  const provisioned = await identity.factors.provisionTotp(id, SYSTEM_PRINCIPAL);
  expect(identity.events.map(({ action, actor }) => [action, actor])).toEqual([
    ['factor.removed', 'system'],
    ['factor.enrolled', 'system'],
    ['recovery-codes.renewed', 'system'],
  ]);
  expect(await identity.answer(await identity.challengeOf(email), identity.codeOf(secret))).toBe(
    'invalid-credentials',
  );
  expect(await identity.answer(await identity.challengeOf(email), identity.codeOf(provisioned.secret))).toBe(
    'in',
  );
});

test('a caller without an account has no factor, and no password to change', async () => {
  const service: Principal = {
    kind: 'service',
    subject: 'reporting',
    acr: 'aal3',
    authTime: identity.clock.nowSeconds(),
  };
  for (const attempt of [
    () => identity.factors.offerTotp(service),
    () => identity.factors.confirmTotp(service, '123456'),
    () => identity.factors.removeTotp(service),
    () => identity.factors.renewRecoveryCodes(service),
    () => identity.passwords.change(service, PASSWORD, 'rope lamp orchid wind'),
  ]) {
    await expect(attempt()).rejects.toMatchObject({ code: 'not-found' });
  }
});
