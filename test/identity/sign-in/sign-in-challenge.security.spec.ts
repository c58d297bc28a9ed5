import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import {
  IdentityDatabase,
  PASSWORD,
  UNLIMITED,
  type IdentityServices,
  type Owner,
} from '../identity.services.js';

const WIDE = { sourceAttempts: 1_000, accountAttempts: 10_000 };

let db: IdentityDatabase;
/** Two processes' worth of the service, on one database. */
let [one, two]: IdentityServices[] = [];
beforeAll(async () => {
  db = await IdentityDatabase.create();
  [one, two] = [await db.start(WIDE, UNLIMITED), await db.start(WIDE, UNLIMITED)];
});
afterAll(() => db.close());
beforeEach(() => {
  one!.clock.atMs = Date.now();
  two!.clock.atMs = one!.clock.atMs;
  one!.events.length = 0;
});

let made = 0;
const owner = (): Promise<Owner> => one!.createWithFactor(`owner-${(made += 1)}@example.test`);
const alive = (id: string): Promise<unknown[]> =>
  db.rows('SELECT id FROM sessions.session WHERE subject = $1 AND ended_at IS NULL', [id]);
const failures = (): unknown[] =>
  one!.events.filter(({ action }) => action === 'authentication.failed').map(({ reason }) => reason);

describe('an account with a second factor', () => {
  test('MFA-10 gets a challenge for its password, and no session', async () => {
    const { id, email } = await owner();
    one!.events.length = 0;
    const asked = await one!.signIn.signIn(email, PASSWORD, 'token');
    expect(asked).toEqual({
      status: 'mfa_required',
      challengeId: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/) as string,
      methods: ['totp', 'recovery_code'],
    });
    expect(await alive(id)).toEqual([]);
    expect(one!.actions()).toEqual([]);
    // Its place is known once it is in, and not before: who has the password alone makes no place known.
    await one!.from('203.0.113.5', () => one!.signIn.signIn(email, PASSWORD, 'token'));
    expect(await db.rows('SELECT FROM identity.known_source WHERE account_id = $1', [id])).toEqual([]);
  });

  test('signs in with the code, once, with what it proved and a record of it', async () => {
    const { id, email, secret } = await owner();
    const challenge = await one!.challengeOf(email);
    one!.events.length = 0;
    const answered = await one!.challenges.answer(challenge, 'totp', one!.codeOf(secret));
    expect(answered).toMatchObject({ status: 'authenticated', session: { delivery: 'token' } });
    expect(one!.events).toMatchObject([
      { action: 'factor.used', actor: id, delivery: 'same-transaction' },
      { action: 'session.opened', actor: id, detail: { acr: 'aal2', amr: 'pwd otp' } },
    ]);
    const sessions = await db.rows('SELECT acr, amr, delivery FROM sessions.session WHERE subject = $1', [
      id,
    ]);
    expect(sessions).toEqual([{ acr: 'aal2', amr: ['pwd', 'otp'], delivery: 'token' }]);
    one!.clock.atMs += 30_000;
    expect(await one!.answer(challenge, one!.codeOf(secret))).toBe('invalid-credentials');
    expect(await alive(id)).toHaveLength(1);
  });

  test('a sign-in that cannot be recorded opens nothing, and its code and its attempt are not used up', async () => {
    const { id, email, secret } = await owner();
    const challenge = await one!.challengeOf(email);
    await db.rows(`ALTER TABLE audit.pending ADD CONSTRAINT full_disk CHECK (recorded_at IS NULL) NOT VALID`);
    try {
      await expect(one!.challenges.answer(challenge, 'totp', one!.codeOf(secret))).rejects.toThrow();
    } finally {
      await db.rows('ALTER TABLE audit.pending DROP CONSTRAINT full_disk');
    }
    expect(await alive(id)).toEqual([]);
    expect(await one!.answer(challenge, one!.codeOf(secret))).toBe('in');
  });
});

describe('a code is used once', () => {
  test('MFA-01 the same code in a second sign-in is refused, and an earlier one after it too', async () => {
    const { email, secret } = await owner();
    const challenges = [
      await one!.challengeOf(email),
      await two!.challengeOf(email),
      await one!.challengeOf(email),
    ];
    expect(await one!.answer(challenges[0]!, one!.codeOf(secret))).toBe('in');
    expect(await two!.answer(challenges[1]!, one!.codeOf(secret))).toBe('invalid-credentials');
    expect(await one!.answer(challenges[1]!, one!.codeOf(secret, -1))).toBe('invalid-credentials');
    expect(failures()).toEqual(['the code was used before']);
    expect(await one!.answer(challenges[2]!, one!.codeOf(secret, 1))).toBe('in');
    one!.clock.atMs += 30_000;
    expect(await one!.answer(challenges[1]!, one!.codeOf(secret))).toBe('invalid-credentials');
  });

  test('MFA-01 in 30 parallel answers to challenges of its own, on two replicas, it opens one session', async () => {
    for (let round = 0; round < 3; round += 1) {
      const { id, email, secret } = await owner();
      const challenges = await Promise.all(
        Array.from({ length: 30 }, (_, at) => (at % 2 === 0 ? one! : two!).challengeOf(email)),
      );
      const code = one!.codeOf(secret);
      const answers = await Promise.all(
        challenges.map((challenge, at) => (at % 2 === 0 ? one! : two!).answer(challenge, code)),
      );
      expect(answers.sort()).toEqual(['in', ...Array<string>(29).fill('invalid-credentials')].sort());
      expect(await alive(id)).toHaveLength(1);
    }
  });

  test('one challenge that is answered in parallel, on two replicas, opens one session', async () => {
    const { id, email, secret } = await owner();
    const challenge = await one!.challengeOf(email);
    const codes = [-1, 0, 1].map((steps) => one!.codeOf(secret, steps));
    const answers = await Promise.all(
      [one!, two!].flatMap((replica) => codes.map((code) => replica.answer(challenge, code))),
    );
    expect(answers.filter((answer) => answer === 'in')).toHaveLength(1);
    expect(await alive(id)).toHaveLength(1);
  });

  test('MFA-05 codes of one step before to one step after pass, by the time of the server', async () => {
    const { id, email, secret } = await owner();
    for (const [steps, outcome] of [
      [-3, 'invalid-credentials'],
      [-2, 'invalid-credentials'],
      [-1, 'in'],
      [0, 'in'],
      [1, 'in'],
      [2, 'invalid-credentials'],
      [3, 'invalid-credentials'],
    ] as const) {
      await db.rows('UPDATE identity.totp SET last_step = 0 WHERE account_id = $1', [id]);
      expect(await one!.answer(await one!.challengeOf(email), one!.codeOf(secret, steps)), `${steps}`).toBe(
        outcome,
      );
    }
  });
});

describe('a recovery code is used once', () => {
  test('MFA-11 in 30 parallel answers on two replicas it opens one session, and one code less is left', async () => {
    for (let round = 0; round < 3; round += 1) {
      const { id, email, recoveryCodes } = await owner();
      const challenges = await Promise.all(
        Array.from({ length: 30 }, (_, at) => (at % 2 === 0 ? one! : two!).challengeOf(email)),
      );
      const answers = await Promise.all(
        challenges.map((challenge, at) =>
          (at % 2 === 0 ? one! : two!).answer(challenge, recoveryCodes[0]!, 'recovery_code'),
        ),
      );
      expect(answers.filter((answer) => answer === 'in')).toHaveLength(1);
      expect(await alive(id)).toHaveLength(1);
      const left = await db.rows(
        'SELECT FROM identity.recovery_code WHERE account_id = $1 AND used_at IS NULL',
        [id],
      );
      expect(left).toHaveLength(9);
    }
  });

  test('MFA-13 while the set is renewed, an old code works before or not at all, and there is one set', async () => {
    const { id, email, recoveryCodes } = await owner();
    let old = recoveryCodes;
    for (let round = 0; round < 12; round += 1) {
      const challenge = await two!.challengeOf(email);
      const caller = one!.callerOf(id, undefined, 'aal2');
      const [renewed, again] = await Promise.all([
        one!.factors.renewRecoveryCodes(caller),
        one!.factors.renewRecoveryCodes(caller),
        two!.answer(challenge, old[round % 10]!, 'recovery_code'),
      ]);
      const stored = await db.rows('SELECT FROM identity.recovery_code WHERE account_id = $1', [id]);
      expect(stored).toHaveLength(10);
      for (const code of old.slice(0, 2)) {
        expect(await two!.answer(await two!.challengeOf(email), code, 'recovery_code')).toBe(
          'invalid-credentials',
        );
      }
      // Of two renewals the later one's set lives, whole, and nothing of the other.
      const works = [];
      for (const set of [renewed, again]) {
        works.push(await two!.answer(await two!.challengeOf(email), set[9]!, 'recovery_code'));
      }
      expect(works.sort()).toEqual(['in', 'invalid-credentials']);
      old = renewed;
    }
  });

  test('MFA-22 its use is recorded with how many are left, and its owner is told', async () => {
    const { id, email, recoveryCodes } = await owner();
    for (const [at, code] of recoveryCodes.entries()) {
      const challenge = await one!.challengeOf(email);
      one!.events.length = 0;
      // Typed as somebody types it.
      const typed = ` ${code.toLowerCase().replaceAll('-', ' ')}`;
      const answered = await one!.challenges.answer(challenge, 'recovery_code', typed);
      expect(answered.recoveryCodesLeft).toBe(9 - at);
      expect(one!.events[0]).toMatchObject({
        action: 'recovery-code.used',
        actor: id,
        target: { type: 'account', id },
        detail: { count: 9 - at },
        delivery: 'same-transaction',
      });
    }
    expect(await one!.answer(await one!.challengeOf(email), recoveryCodes[0]!, 'recovery_code')).toBe(
      'invalid-credentials',
    );
  });

  test('a code of another account, and a hash copied from another account, open nothing', async () => {
    const [alice, mallory] = [await owner(), await owner()];
    expect(
      await one!.answer(await one!.challengeOf(alice.email), mallory.recoveryCodes[0]!, 'recovery_code'),
    ).toBe('invalid-credentials');
    await db.tamper(
      `INSERT INTO identity.recovery_code (account_id, code_hash)
       SELECT $1, code_hash FROM identity.recovery_code WHERE account_id = $2`,
      [alice.id, mallory.id],
    );
    expect(
      await one!.answer(await one!.challengeOf(alice.email), mallory.recoveryCodes[0]!, 'recovery_code'),
    ).toBe('invalid-credentials');
  });
});

describe('a challenge', () => {
  test('MFA-09 is bound to its account: the code of another one does not answer it', async () => {
    const [alice, mallory] = [await owner(), await owner()];
    const challenge = await one!.challengeOf(alice.email);
    expect(await one!.answer(challenge, one!.codeOf(mallory.secret))).toBe('invalid-credentials');
    expect(await alive(alice.id)).toEqual([]);
    expect(await alive(mallory.id)).toEqual([]);
    // And it did not use up the code of the other one.
    expect(await one!.answer(await one!.challengeOf(mallory.email), one!.codeOf(mallory.secret))).toBe('in');
  });

  test('MFA-09 is over after 300 seconds', async () => {
    const { id, email, secret } = await owner();
    const challenge = await one!.challengeOf(email);
    const [row] = await db.rows<{ left: number }>(
      'SELECT extract(epoch FROM max(expires_at) - now())::int AS left FROM identity.sign_in_challenge',
    );
    expect(row!.left).toBeGreaterThan(290);
    expect(row!.left).toBeLessThanOrEqual(300);
    await db.rows(
      "UPDATE identity.sign_in_challenge SET expires_at = expires_at - interval '300 seconds' WHERE account_id = $1",
      [id],
    );
    expect(await one!.answer(challenge, one!.codeOf(secret))).toBe('invalid-credentials');
    // What is over is forgotten with the next one.
    await one!.challengeOf(email);
    expect(await db.rows('SELECT FROM identity.sign_in_challenge WHERE expires_at <= now()')).toEqual([]);
  });

  test.each<[string, (owner: Owner) => Promise<unknown>]>([
    [
      'the password changed',
      ({ id }) =>
        two!.passwords.change(two!.callerOf(id, undefined, 'aal1'), PASSWORD, 'rope lamp orchid wind'),
    ],
    ['the factor was removed', ({ id }) => two!.factors.removeTotp(two!.callerOf(id, undefined, 'aal2'))],
    ['the factor was replaced', ({ id }) => two!.factors.provisionTotp(id, SYSTEM_PRINCIPAL)],
    [
      'the recovery codes were renewed',
      ({ id }) => two!.factors.renewRecoveryCodes(two!.callerOf(id, undefined, 'aal2')),
    ],
    ['the account was disabled', ({ id }) => two!.accounts.disable(id, SYSTEM_PRINCIPAL)],
    [
      'the account was disabled and enabled again',
      async ({ id }) => {
        await two!.accounts.disable(id, SYSTEM_PRINCIPAL);
        await two!.accounts.enable(id, SYSTEM_PRINCIPAL);
      },
    ],
  ])('MFA-09 is over when %s meanwhile', async (_, change) => {
    const alice = await owner();
    const challenge = await one!.challengeOf(alice.email);
    await change(alice);
    for (const [method, code] of [
      ['totp', one!.codeOf(alice.secret)],
      ['recovery_code', alice.recoveryCodes[0]!],
    ] as const) {
      expect(await one!.answer(challenge, code, method)).toBe('invalid-credentials');
    }
    expect(await alive(alice.id)).toEqual([]);
  });

  test('is known to the table as a keyed hash alone', async () => {
    const { email } = await owner();
    const challenge = await one!.challengeOf(email);
    const [dump] = await db.rows<{ all: string }>(
      "SELECT string_agg(c::text, '') AS all FROM identity.sign_in_challenge c",
    );
    expect(dump!.all).not.toContain(challenge);
    expect(dump!.all).not.toContain(Buffer.from(challenge, 'base64url').toString('hex'));
  });

  test('that is unknown, over, used up or wrongly answered is refused in the same words', async () => {
    const { email, secret } = await owner();
    const [wrong, usedUp] = [await one!.challengeOf(email), await one!.challengeOf(email)];
    for (let count = 0; count < 5; count += 1) await one!.answer(usedUp, one!.wrongCodeOf(secret));
    const refusals = [];
    for (const challenge of [wrong, usedUp, 'A'.repeat(43)]) {
      refusals.push(
        await one!.challenges
          .answer(challenge, 'totp', one!.wrongCodeOf(secret))
          .catch((error: unknown) => error),
      );
    }
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ status: 401, headers: { 'WWW-Authenticate': 'Bearer' } });
      expect({ ...(refusal as object), stack: '' }).toEqual({ ...(refusals[0] as object), stack: '' });
    }
  });
});

describe('guessing', () => {
  test('MFA-06 a challenge dies after five wrong codes, also in parallel on two replicas', async () => {
    const { id, email, secret } = await owner();
    const challenge = await one!.challengeOf(email);
    await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        (at % 2 === 0 ? one! : two!).answer(challenge, one!.wrongCodeOf(secret)),
      ),
    );
    const [row] = await db.rows<{ attempts_left: number }>(
      'SELECT attempts_left FROM identity.sign_in_challenge WHERE account_id = $1',
      [id],
    );
    expect(row).toEqual({ attempts_left: 0 });
    const wrong = one!.events.filter(({ reason }) => reason === 'the code is wrong').length;
    expect(wrong).toBeLessThanOrEqual(5);
    expect(await one!.answer(challenge, one!.codeOf(secret))).toBe('invalid-credentials');
    expect(await alive(id)).toEqual([]);
  });

  test('MFA-06 over all challenges ten codes are heard in 15 minutes and 200 a day; a new challenge resets nothing', async () => {
    const limited = await db.start(WIDE);
    const { email, secret } = await limited.createWithFactor('guessed@example.test');
    const guess = async (challenge: string): Promise<string> =>
      limited.answer(challenge, limited.wrongCodeOf(secret));
    const heard: string[] = [];
    for (let count = 0; count < 4; count += 1) {
      const challenge = await limited.challengeOf(email);
      for (let attempt = 0; attempt < 4; attempt += 1) heard.push(await guess(challenge));
    }
    expect(heard).toEqual([
      ...Array<string>(10).fill('invalid-credentials'),
      ...Array<string>(6).fill('too-many-requests'),
    ]);
    // The right code does not help either; a wait of 15 minutes always does.
    const challenge = await limited.challengeOf(email);
    expect(await limited.answer(challenge, limited.codeOf(secret))).toBe('too-many-requests');

    let inADay = 10;
    let next = await limited.challengeOf(email);
    for (let elapsed = 0; elapsed < 86_400; elapsed += 300) {
      limited.clock.atMs += 300_000;
      for (let attempt = 0; attempt < 4; attempt += 1) {
        if ((await guess(next)) !== 'invalid-credentials') continue;
        inADay += 1;
        // What was not heard took none of its five attempts.
        if (inADay % 5 === 0) next = await limited.challengeOf(email);
      }
    }
    expect(inADay).toBeGreaterThan(150);
    expect(inADay).toBeLessThanOrEqual(201);
    limited.clock.atMs += 900_000;
    expect(await limited.answer(await limited.challengeOf(email), limited.codeOf(secret))).toBe('in');
  });

  test('PWD-22 whoever stole the password cannot shut out the owner at a place the owner came from', async () => {
    const limited = await db.start(WIDE);
    const { email, secret } = await limited.createWithFactor('robbed@example.test');
    const tryFrom = (place: string, code: string): Promise<string> =>
      limited.from(place, async () => limited.answer(await limited.challengeOf(email), code));
    expect(await tryFrom('198.51.100.7', limited.codeOf(secret))).toBe('in');
    // From many places, since places that are not known share one limit; the owner's first time was one of them.
    const guesses = [];
    for (let place = 1; place <= 12; place += 1) {
      guesses.push(await tryFrom(`203.0.113.${place}`, limited.wrongCodeOf(secret)));
    }
    expect(guesses.filter((guess) => guess === 'invalid-credentials')).toHaveLength(9);
    limited.clock.atMs += 30_000;
    expect(await tryFrom('198.51.100.8', limited.codeOf(secret))).toBe('too-many-requests');
    expect(await tryFrom('198.51.100.7', limited.codeOf(secret))).toBe('in');
  });

  test('an account that is being disabled opens no session, whatever the order', async () => {
    const { id, email, secret } = await owner();
    for (let round = 0; round < 5; round += 1) {
      const challenge = await one!.challengeOf(email);
      one!.clock.atMs += 60_000;
      await Promise.all([
        one!.answer(challenge, one!.codeOf(secret)),
        two!.accounts.disable(id, SYSTEM_PRINCIPAL),
      ]);
      expect(await alive(id)).toEqual([]);
      await two!.accounts.enable(id, SYSTEM_PRINCIPAL);
    }
  });
});
