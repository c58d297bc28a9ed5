import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Principal } from '../../../src/core/principal.js';
import { IdentityDatabase, PASSWORD, type IdentityServices } from '../identity.services.js';

const NEW_PASSWORD = 'rope lamp orchid wind';
const WIDE = { sourceAttempts: 1_000, accountAttempts: 10_000 };

let db: IdentityDatabase;
let identity: IdentityServices;
beforeAll(async () => {
  db = await IdentityDatabase.create();
  identity = await db.start(WIDE);
});
afterAll(() => db.close());

let made = 0;
const somebody = async (): Promise<{ id: string; email: string; caller: Principal }> => {
  const { id, email } = await identity.create(`somebody-${(made += 1)}@example.test`);
  const { sessionId } = await identity.signInAs(email, PASSWORD);
  return { id, email, caller: identity.callerOf(id, sessionId, 'aal1') };
};
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error as { code: string }).code,
  );
const alive = async (id: string): Promise<string[]> =>
  (
    await db.rows<{ id: string }>('SELECT id FROM sessions.session WHERE subject = $1 AND ended_at IS NULL', [
      id,
    ])
  ).map((row) => row.id);
beforeEach(() => {
  identity.events.length = 0;
  identity.engine.verified.length = 0;
  identity.engine.hashed = 0;
});

describe('changing the password', () => {
  test('PWD-25 ends every other session in the same transaction; the one that asks lives on', async () => {
    const { id, email, caller } = await somebody();
    await identity.signInAs(email, PASSWORD);
    await identity.signInAs(email, PASSWORD);
    identity.events.length = 0;
    await identity.passwords.change(caller, PASSWORD, NEW_PASSWORD);
    expect(await alive(id)).toEqual([caller.sessionId]);
    expect(identity.actions()).toEqual(['account.password-changed', 'session.ended', 'session.ended']);
    expect(identity.events.map(({ reason }) => reason)).toEqual([
      undefined,
      'password-changed',
      'password-changed',
    ]);
    expect(identity.events.every(({ delivery }) => delivery === 'same-transaction')).toBe(true);
    expect(JSON.stringify(identity.events)).not.toMatch(/example\.test|tea house|rope lamp|argon2/);
    expect(await codeOf(identity.signInAs(email, PASSWORD))).toBe('invalid-credentials');
    expect(await codeOf(identity.signInAs(email, NEW_PASSWORD))).toBe('done');
  });

  test('PWD-25 asks for the current one, at the cost of a sign-in and no more', async () => {
    const { id, email, caller } = await somebody();
    const before = await db.hashOf(id);
    identity.engine.verified.length = 0;
    identity.engine.hashed = 0;
    identity.events.length = 0;
    const refusal = await identity.passwords
      .change(caller, 'not the password', NEW_PASSWORD)
      .catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'invalid-credentials', status: 401 });
    expect(identity.events).toMatchObject([
      { action: 'authentication.failed', delivery: 'detached', target: { type: 'account', id } },
    ]);
    expect(identity.engine.verified).toEqual([before]);
    expect(identity.engine.hashed).toBe(0);
    expect(await db.hashOf(id)).toBe(before);
    expect(await codeOf(identity.signInAs(email, PASSWORD))).toBe('done');
  });

  test('PWD-19 asks as much of the new one as of a first one, and says which field it means', async () => {
    const { id, email, caller } = await somebody();
    const before = await db.hashOf(id);
    const [localPart] = email.split('@');
    for (const [password, message] of [
      ['short', 'newPassword must have at least 15 characters'],
      ['passwordpassword', 'newPassword is one that attackers try first: choose one that nobody else would'],
      [
        `${localPart!} rope lamp orchid`,
        'newPassword must not contain your e-mail name, your name or the name of this service',
      ],
      ['x'.repeat(1025), 'newPassword must be a text of 1 to 1024 bytes'],
    ] as const) {
      await expect(identity.passwords.change(caller, PASSWORD, password)).rejects.toMatchObject({
        code: 'validation-failed',
        errors: [{ field: 'newPassword', messages: [message] }],
      });
    }
    // Only who knows the current one hears what the new one has to be.
    expect(await codeOf(identity.passwords.change(caller, 'not the password', 'short'))).toBe(
      'invalid-credentials',
    );
    expect(await db.hashOf(id)).toBe(before);
  });

  test('in parallel changes it once', async () => {
    const { id, email, caller } = await somebody();
    const candidates = ['rope lamp orchid wind', 'moss fern granite sea', 'copper violin dune sky'];
    const outcomes = await Promise.all(
      candidates.map((candidate) => codeOf(identity.passwords.change(caller, PASSWORD, candidate))),
    );
    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1);
    for (const [at, candidate] of candidates.entries()) {
      const outcome = await codeOf(identity.signInAs(email, candidate));
      expect(outcome).toBe(outcomes[at] === 'done' ? 'done' : 'invalid-credentials');
    }
    expect(await alive(id)).toContain(caller.sessionId);
  });

  test('leaves no session of the old password behind, however a sign-in races with it', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { id, email, caller } = await somebody();
      await Promise.all([
        codeOf(identity.signInAs(email, PASSWORD)),
        identity.passwords.change(caller, PASSWORD, NEW_PASSWORD),
        codeOf(identity.signInAs(email, PASSWORD)),
      ]);
      expect(await alive(id)).toEqual([caller.sessionId]);
    }
  });

  test('that cannot be recorded does not happen', async () => {
    const { email, caller } = await somebody();
    await db.rows('ALTER TABLE audit.pending ADD CONSTRAINT full_disk CHECK (recorded_at IS NULL) NOT VALID');
    try {
      await expect(identity.passwords.change(caller, PASSWORD, NEW_PASSWORD)).rejects.toThrow();
    } finally {
      await db.rows('ALTER TABLE audit.pending DROP CONSTRAINT full_disk');
    }
    expect(await codeOf(identity.signInAs(email, PASSWORD))).toBe('done');
  });

  test('is no way around the limits of a sign-in', async () => {
    const limited = await db.start({ sourceAttempts: 3, sourceAttemptsWindowSeconds: 900 });
    const { id, email } = await limited.create('limited@example.test');
    const caller = limited.callerOf(id, undefined, 'aal1');
    const attempt = (): Promise<string> =>
      limited.from('203.0.113.9', () =>
        codeOf(limited.passwords.change(caller, 'not the password', NEW_PASSWORD)),
      );
    expect([await attempt(), await attempt(), await attempt(), await attempt()]).toEqual([
      ...Array<string>(3).fill('invalid-credentials'),
      'too-many-requests',
    ]);
    // They are the same limits, not as many again.
    expect(await limited.from('203.0.113.9', () => codeOf(limited.signInAs(email, PASSWORD)))).toBe(
      'too-many-requests',
    );
  });
});
