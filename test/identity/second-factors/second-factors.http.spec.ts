import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { AccountsService } from '../../../src/identity/accounts/accounts.service.js';
import { SecondFactorsService } from '../../../src/identity/second-factors/second-factors.service.js';
import { ADAPTERS } from '../../support/application.js';
import { Service, WIDE, type Answer } from '../identity.application.js';
import { HeldClock, IdentityDatabase, PASSWORD, type Owner } from '../identity.services.js';

const NEW_PASSWORD = 'rope lamp orchid wind';
const LIMITS = { sourceAttempts: 1_000, accountAttempts: 10_000 };
const STEP_UP = 'Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="300"';

interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
}

describe.each(ADAPTERS)('a second factor over HTTP on %s', (adapter) => {
  let db: IdentityDatabase;
  const clock = new HeldClock();
  /** Another replica on the same database, on the other adapter. */
  const [service, other] = [new Service(), new Service()];
  beforeAll(async () => {
    db = await IdentityDatabase.create();
    await service.start(db, adapter, LIMITS, WIDE, clock);
    await other.start(db, adapter === 'express' ? 'fastify' : 'express', LIMITS, WIDE, clock);
  });
  afterAll(async () => {
    await Promise.all([service.running.close(), other.running.close()]);
    await db.close();
  });
  beforeEach(() => {
    // Never back: to a limit that is no new beginning.
    clock.atMs = Math.max(clock.atMs, Date.now());
    service.engine.verified.length = 0;
    service.engine.hashed = 0;
  });

  let made = 0;
  const account = async (): Promise<{ id: string; email: string }> => {
    const email = `somebody-${(made += 1)}@example.test`;
    const { id } = await service
      .get(AccountsService)
      .create({ email, displayName: 'Somebody', password: PASSWORD });
    return { id, email };
  };
  const owner = async (): Promise<Owner> => {
    const { id, email } = await account();
    return { id, email, ...(await service.get(SecondFactorsService).provisionTotp(id, SYSTEM_PRINCIPAL)) };
  };
  const challengeOf = async (email: string, at = service, delivery?: string): Promise<string> => {
    const { body } = await at.send('POST', '/auth/login', {
      email,
      password: PASSWORD,
      delivery: delivery ?? 'token',
    });
    return (body as { challengeId: string }).challengeId;
  };
  const answer = (
    challengeId: unknown,
    code: unknown,
    method: unknown = 'totp',
    at = service,
  ): Promise<Answer> => at.send('POST', '/auth/login/mfa', { challengeId, method, code });
  const signIn = async ({ email, secret }: Owner, steps = 0): Promise<Tokens> => {
    const { body } = await answer(await challengeOf(email), clock.codeOf(secret, steps));
    return body as Tokens;
  };
  const stepUp = (token: string, proof: object, at = service): Promise<Answer> =>
    at.send('POST', '/auth/step-up', proof, token);
  const me = async (
    token: string,
  ): Promise<{ status: number; acr: unknown; amr: unknown; authTime: unknown }> => {
    const { status, body } = await service.send('GET', '/auth/me', undefined, token);
    const { acr, amr, authTime } = (body ?? {}) as Record<string, unknown>;
    return { status, acr, amr, authTime };
  };

  test('MFA-10 a password alone hands out a challenge: no cookie, no token, and nothing that it would open', async () => {
    const { email, secret } = await owner();
    for (const delivery of ['token', 'cookie']) {
      const asked = await service.login(email, PASSWORD, delivery);
      expect(asked.status).toBe(200);
      expect(asked.headers.getSetCookie()).toEqual([]);
      expect(asked.headers.get('cache-control')).toBe('no-store');
      expect(asked.body).toEqual({
        status: 'mfa_required',
        challengeId: expect.any(String) as string,
        methods: ['totp', 'recovery_code'],
      });
      const { challengeId } = asked.body as { challengeId: string };
      for (const path of ['/auth/me', '/auth/sessions']) {
        expect((await service.send('GET', path, undefined, challengeId)).status).toBe(401);
      }
      expect((await service.send('POST', '/auth/refresh', { refreshToken: challengeId })).status).toBe(401);
      expect((await service.send('POST', '/auth/mfa/totp', undefined, challengeId)).status).toBe(401);
    }
    expect(await me((await answer(await challengeOf(email), clock.codeOf(secret))).text)).toMatchObject({
      status: 401,
    });
  });

  test('the answer to the challenge is that of a sign-in, from another replica too, and says what was proved', async () => {
    const { email, secret } = await owner();
    const answered = await answer(await challengeOf(email), clock.codeOf(secret), 'totp', other);
    expect(answered.status).toBe(200);
    expect(answered.headers.get('cache-control')).toBe('no-store');
    expect(answered.body).toEqual({
      status: 'authenticated',
      accessToken: expect.any(String) as string,
      refreshToken: expect.any(String) as string,
      tokenType: 'Bearer',
      expiresIn: 900,
    });
    expect(await me((answered.body as Tokens).accessToken)).toEqual({
      status: 200,
      acr: 'aal2',
      amr: ['pwd', 'otp'],
      authTime: clock.nowSeconds(),
    });
  });

  test('MFA-09 the session is delivered as its sign-in asked, whatever the answer would like', async () => {
    const { email, secret } = await owner();
    const challenge = await challengeOf(email, service, 'cookie');
    const body = { challengeId: challenge, method: 'totp', code: clock.codeOf(secret) };
    expect((await service.send('POST', '/auth/login/mfa', { ...body, delivery: 'token' })).status).toBe(400);
    const answered = await service.send('POST', '/auth/login/mfa', body);
    expect(answered.body).toEqual({ status: 'authenticated', expiresIn: 900 });
    expect(answered.headers.getSetCookie()).toHaveLength(2);
  });

  test('MFA-09 a challenge is not answered by another account, signed in or not', async () => {
    const [alice, mallory] = [await owner(), await owner()];
    const { accessToken } = await signIn(mallory);
    const body = {
      challengeId: await challengeOf(alice.email),
      method: 'totp',
      code: clock.codeOf(mallory.secret, 1),
    };
    expect((await service.send('POST', '/auth/login/mfa', body, accessToken)).status).toBe(401);
  });

  test('MFA-01 MFA-11 in parallel on two replicas a code opens one session, and a recovery code one', async () => {
    const { id, email, secret, recoveryCodes } = await owner();
    for (const [method, code] of [
      ['totp', clock.codeOf(secret)],
      ['recovery_code', recoveryCodes[0]!],
    ] as const) {
      const challenges = await Promise.all(Array.from({ length: 8 }, () => challengeOf(email)));
      const answers = await Promise.all(
        challenges.map((challenge, at) => answer(challenge, code, method, at % 2 === 0 ? service : other)),
      );
      const statuses = answers.map(({ status }) => status);
      expect(statuses.filter((status) => status === 200)).toHaveLength(1);
      expect(statuses.every((status) => [200, 401, 429].includes(status))).toBe(true);
    }
    expect(await db.rows('SELECT FROM sessions.session WHERE subject = $1', [id])).toHaveLength(2);
  });

  test('MFA-11 a recovery code that two different actions present at once serves one of them', async () => {
    for (let round = 0; round < 4; round += 1) {
      const holder = await owner();
      const { accessToken } = await signIn(holder);
      const code = holder.recoveryCodes[round]!;
      const challenge = await challengeOf(holder.email);
      const answers = await Promise.all([
        answer(challenge, code, 'recovery_code'),
        stepUp(accessToken, { method: 'recovery_code', code }, other),
      ]);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 401]);
      const won = answers.find(({ status }) => status === 200)!;
      expect(won.body).toMatchObject({ status: 'authenticated', recoveryCodesLeft: 9 });
    }
  });

  test.each<[string, unknown]>([
    ['a number', 123456],
    ['blanks around it', ' 123456 '],
    ['a line end', '123456\n'],
    ['full-width digits', '１２３４５６'],
    ['seven digits', '1234567'],
    ['five digits', '12345'],
    ['an exponent', '1e5'],
    ['a list', ['123456']],
    ['an object', { $ne: '' }],
    ['null', null],
    ['a truth', true],
    ['nothing', undefined],
    ['a megabyte', '1'.repeat(90_000)],
  ])('MFA-15 %s is no code: 400 everywhere, and no attempt is taken', async (_, code) => {
    const holder = await owner();
    const challengeId = await challengeOf(holder.email);
    const { accessToken } = await signIn(holder);
    for (const refused of [
      await answer(challengeId, code),
      await stepUp(accessToken, { method: 'totp', code }),
      await service.send('POST', '/auth/mfa/totp/confirm', { code }, accessToken),
    ]) {
      expect(refused.status).toBe(400);
      expect(refused.body).toMatchObject({
        errors: [{ field: 'code', messages: ['code must be six digits'] }],
      });
    }
    const [row] = await db.rows(
      'SELECT attempts_left FROM identity.sign_in_challenge WHERE account_id = $1',
      [holder.id],
    );
    expect(row).toEqual({ attempts_left: 5 });
  });

  test.each<[string, object]>([
    ['another method', { challengeId: 'A'.repeat(43), method: 'passkey', code: '123456' }],
    ['a list of methods', { challengeId: 'A'.repeat(43), method: ['totp'], code: '123456' }],
    ['no method', { challengeId: 'A'.repeat(43), code: '123456' }],
    ['a challenge of another form', { challengeId: 'A'.repeat(42), method: 'totp', code: '123456' }],
    ['an operator for a challenge', { challengeId: { $gt: '' }, method: 'totp', code: '123456' }],
    ['a field more', { challengeId: 'A'.repeat(43), method: 'totp', code: '123456', acr: 'aal3' }],
    ['a short recovery code', { challengeId: 'A'.repeat(43), method: 'recovery_code', code: 'ABCD' }],
  ])('MFA-15 %s is refused with 400', async (_, body) => {
    expect((await service.send('POST', '/auth/login/mfa', body)).status).toBe(400);
  });

  test('PWD-01 a wrong code and a challenge that is unknown, over or used up are one answer, headers included', async () => {
    const { email, secret } = await owner();
    const [wrong, usedUp, over] = [
      await challengeOf(email),
      await challengeOf(email),
      await challengeOf(email),
    ];
    for (let count = 0; count < 5; count += 1) await answer(usedUp, clock.wrongCodeOf(secret));
    await answer(over, clock.codeOf(secret));
    const shapes = [];
    for (const challenge of [wrong, usedUp, over, 'A'.repeat(43)]) {
      const { status, headers, body } = await answer(challenge, clock.wrongCodeOf(secret));
      shapes.push({
        status,
        headers: Object.fromEntries(
          [...headers].filter(([name]) => !['date', 'etag', 'x-request-id', 'ratelimit'].includes(name)),
        ),
        body: { ...(body as object), instance: '' },
      });
    }
    expect(shapes[0]).toMatchObject({ status: 401, body: { code: 'invalid-credentials' } });
    for (const shape of shapes) expect(shape).toEqual(shapes[0]);
  });

  test('PWD-07 a giant password is refused fast wherever one is taken, and no hash is computed', async () => {
    const holder = await owner();
    const { accessToken } = await signIn(holder);
    service.engine.verified.length = 0;
    service.engine.hashed = 0;
    for (const length of [1025, 50_000, 1_000_000]) {
      const giant = 'x'.repeat(length);
      for (const [path, body] of [
        ['/auth/login', { email: holder.email, password: giant, delivery: 'token' }],
        ['/auth/step-up', { method: 'password', password: giant }],
        ['/auth/password/change', { currentPassword: giant, newPassword: NEW_PASSWORD }],
        ['/auth/password/change', { currentPassword: PASSWORD, newPassword: giant }],
      ] as const) {
        const started = performance.now();
        const answered = await service.send(
          'POST',
          path,
          body,
          path === '/auth/login' ? undefined : accessToken,
        );
        expect([400, 413]).toContain(answered.status);
        expect(performance.now() - started).toBeLessThan(1_000);
        expect(answered.text).not.toContain('xxxx');
      }
    }
    expect(service.engine.verified).toEqual([]);
    expect(service.engine.hashed).toBe(0);
    expect((await me(accessToken)).status).toBe(200);
  });

  test('a factor is enrolled, and its codes shown, once; from then on it is asked for', async () => {
    const { email } = await account();
    const { accessToken } = (await service.login(email, PASSWORD)).body as Tokens;
    const offered = await service.send('POST', '/auth/mfa/totp', undefined, accessToken);
    expect([offered.status, offered.headers.get('cache-control')]).toEqual([200, 'no-store']);
    const { secret } = offered.body as { secret: string };
    expect(offered.body).toEqual({
      secret: expect.stringMatching(/^[A-Z2-7]{32}$/) as string,
      otpauthUri: expect.stringContaining(`secret=${secret}`) as string,
      qrSvg: expect.stringMatching(/^<svg /) as string,
    });
    const wrong = await service.send(
      'POST',
      '/auth/mfa/totp/confirm',
      { code: clock.wrongCodeOf(secret) },
      accessToken,
    );
    expect([wrong.status, wrong.body]).toMatchObject([400, { errors: [{ field: 'code' }] }]);
    const code = clock.codeOf(secret);
    const confirmed = await service.send('POST', '/auth/mfa/totp/confirm', { code }, accessToken);
    expect([confirmed.status, confirmed.headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect((confirmed.body as { recoveryCodes: string[] }).recoveryCodes).toHaveLength(10);
    expect((await service.login(email, PASSWORD)).body).toMatchObject({ status: 'mfa_required' });
    // The session that enrolled it has not signed in with it: it steps up like any other.
    expect(await me(accessToken)).toMatchObject({ acr: 'aal1', amr: ['pwd'] });
  });

  test('enrolling asks for a sign-in of the last five minutes', async () => {
    const { email } = await account();
    const { accessToken } = (await service.login(email, PASSWORD)).body as Tokens;
    clock.atMs += 301_000;
    for (const [path, body] of [
      ['/auth/mfa/totp', undefined],
      ['/auth/mfa/totp/confirm', { code: '123456' }],
    ] as const) {
      const refused = await service.send('POST', path, body, accessToken);
      expect(refused.status).toBe(401);
      expect(refused.headers.get('www-authenticate')).toBe(
        'Bearer error="insufficient_user_authentication", acr_values="aal1", max_age="300"',
      );
    }
    const renewed = (await stepUp(accessToken, { method: 'password', password: PASSWORD })).body as Tokens;
    expect((await service.send('POST', '/auth/mfa/totp', undefined, renewed.accessToken)).status).toBe(200);
  });

  test('MFA-18 a client that follows the challenge removes its factor; every other session is dead', async () => {
    const holder = await owner();
    const [mine, another] = [await signIn(holder, -1), await signIn(holder)];
    clock.atMs += 301_000;
    for (const [method, path] of [
      ['DELETE', '/auth/mfa/totp'],
      ['POST', '/auth/mfa/totp'],
      ['POST', '/auth/mfa/recovery-codes'],
    ] as const) {
      const refused = await service.send(method, path, undefined, mine.accessToken);
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, STEP_UP]);
    }
    const proof = { method: 'totp', code: clock.codeOf(holder.secret) };
    const { accessToken } = (await stepUp(mine.accessToken, proof)).body as Tokens;
    expect((await service.send('DELETE', '/auth/mfa/totp', undefined, accessToken)).status).toBe(204);
    expect((await me(another.accessToken)).status).toBe(401);
    expect((await me(accessToken)).status).toBe(200);
    expect((await service.login(holder.email, PASSWORD)).body).toMatchObject({ status: 'authenticated' });
    expect((await service.send('DELETE', '/auth/mfa/totp', undefined, accessToken)).status).toBe(404);
  });

  test('a new set of recovery codes is made for who has proved the factor, and the old one is dead', async () => {
    const holder = await owner();
    const { accessToken } = await signIn(holder);
    const renewed = await service.send('POST', '/auth/mfa/recovery-codes', undefined, accessToken);
    expect([renewed.status, renewed.headers.get('cache-control')]).toEqual([200, 'no-store']);
    const { recoveryCodes } = renewed.body as { recoveryCodes: string[] };
    expect(
      (await answer(await challengeOf(holder.email), holder.recoveryCodes[0], 'recovery_code')).status,
    ).toBe(401);
    expect((await answer(await challengeOf(holder.email), recoveryCodes[0], 'recovery_code')).status).toBe(
      200,
    );
  });

  test('who lost the telephone signs in with a recovery code and enrols a new one', async () => {
    const { email, recoveryCodes } = await owner();
    const { accessToken } = (await answer(await challengeOf(email), recoveryCodes[0], 'recovery_code'))
      .body as Tokens;
    expect(await me(accessToken)).toMatchObject({ acr: 'aal2', amr: ['pwd', 'otp'] });
    const { body } = await service.send('POST', '/auth/mfa/totp', undefined, accessToken);
    const { secret } = body as { secret: string };
    const code = clock.codeOf(secret);
    expect((await service.send('POST', '/auth/mfa/totp/confirm', { code }, accessToken)).status).toBe(200);
    expect((await answer(await challengeOf(email), clock.codeOf(secret, 1))).status).toBe(200);
  });

  describe('stepping up', () => {
    test('replaces the pair, both halves of it, and says when and how', async () => {
      const holder = await owner();
      const before = await signIn(holder);
      clock.atMs += 60_000;
      const answered = await stepUp(before.accessToken, {
        method: 'totp',
        code: clock.codeOf(holder.secret),
      });
      expect([answered.status, answered.headers.get('cache-control')]).toEqual([200, 'no-store']);
      const after = answered.body as Tokens;
      expect(await me(after.accessToken)).toEqual({
        status: 200,
        acr: 'aal2',
        amr: ['pwd', 'otp'],
        authTime: clock.nowSeconds(),
      });
      expect((await me(before.accessToken)).status).toBe(401);
      const { refreshToken } = before;
      expect((await service.send('POST', '/auth/refresh', { refreshToken })).status).toBe(401);
    });

    test('by a password alone is aal1, whatever the session was before; the factor then makes it aal2 again', async () => {
      const holder = await owner();
      const { accessToken } = await signIn(holder);
      const byPassword = await stepUp(accessToken, { method: 'password', password: PASSWORD });
      const lowered = (byPassword.body as Tokens).accessToken;
      expect(await me(lowered)).toMatchObject({ acr: 'aal1', amr: ['pwd'], authTime: clock.nowSeconds() });
      const refused = await service.send('DELETE', '/auth/mfa/totp', undefined, lowered);
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, STEP_UP]);
      const byFactor = await stepUp(lowered, { method: 'totp', code: clock.codeOf(holder.secret, 1) });
      expect(await me((byFactor.body as Tokens).accessToken)).toMatchObject({
        acr: 'aal2',
        amr: ['pwd', 'otp'],
      });
    });

    test('MFA-20 lasts as long as is demanded, however often the session is refreshed meanwhile', async () => {
      const holder = await owner();
      let pair = await signIn(holder);
      for (let count = 0; count < 3; count += 1) {
        clock.atMs += 100_000;
        const { refreshToken } = pair;
        pair = (await service.send('POST', '/auth/refresh', { refreshToken })).body as Tokens;
      }
      expect(
        (await service.send('POST', '/auth/mfa/recovery-codes', undefined, pair.accessToken)).status,
      ).toBe(200);
      clock.atMs += 1_000;
      const refused = await service.send('POST', '/auth/mfa/recovery-codes', undefined, pair.accessToken);
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, STEP_UP]);
    });

    test('with what is wrong leaves the session as it is, and is refused like a sign-in', async () => {
      const holder = await owner();
      const { accessToken } = await signIn(holder);
      for (const proof of [
        { method: 'password', password: 'not the password' },
        { method: 'totp', code: clock.wrongCodeOf(holder.secret) },
        { method: 'totp', code: clock.codeOf(holder.secret) },
        { method: 'recovery_code', code: 'AAAA-AAAA-AAAA-AAAA-AAAA-AAAA' },
      ]) {
        const refused = await stepUp(accessToken, proof);
        expect(refused.status).toBe(401);
        expect(refused.body).toMatchObject({ code: 'invalid-credentials' });
      }
      expect(await me(accessToken)).toMatchObject({ status: 200, acr: 'aal2' });
      expect(
        (await service.send('POST', '/auth/step-up', { method: 'password', password: PASSWORD })).status,
      ).toBe(401);
      for (const body of [
        {},
        { method: 'password' },
        { method: 'totp' },
        { method: 'totp', password: PASSWORD },
      ]) {
        expect((await stepUp(accessToken, body)).status).toBe(400);
      }
    });

    test('in parallel has one successor', async () => {
      const holder = await owner();
      const { accessToken } = await signIn(holder, -1);
      const proofs = [
        { method: 'totp', code: clock.codeOf(holder.secret) },
        { method: 'totp', code: clock.codeOf(holder.secret, 1) },
        { method: 'recovery_code', code: holder.recoveryCodes[0] },
        { method: 'password', password: PASSWORD },
      ];
      const answers = await Promise.all(
        proofs.map((proof, at) => stepUp(accessToken, proof, at % 2 === 0 ? service : other)),
      );
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      const alive = await db.rows('SELECT FROM sessions.session WHERE subject = $1 AND ended_at IS NULL', [
        holder.id,
      ]);
      expect(alive).toHaveLength(1);
    });

    test('MFA-06 shares the limit of the codes with the sign-in', async () => {
      const holder = await owner();
      const { accessToken } = await signIn(holder);
      const statuses = [];
      for (let count = 0; count < 12; count += 1) {
        statuses.push(
          (await stepUp(accessToken, { method: 'totp', code: clock.wrongCodeOf(holder.secret) })).status,
        );
      }
      // The place is known since the sign-in, and has a limit of its own: ten.
      expect(statuses).toEqual([...Array<number>(10).fill(401), 429, 429]);
      const heard = await answer(await challengeOf(holder.email), clock.codeOf(holder.secret, 1));
      expect([heard.status, heard.headers.get('retry-after')]).toEqual([429, expect.any(String)]);
    });
  });

  test('MFA-21 no device is trusted: the next sign-in from the same place asks again, and none may be remembered', async () => {
    const holder = await owner();
    const signedIn = await answer(await challengeOf(holder.email), clock.codeOf(holder.secret));
    expect(signedIn.headers.getSetCookie()).toEqual([]);
    expect((await service.login(holder.email, PASSWORD)).body).toMatchObject({ status: 'mfa_required' });
    const challengeId = await challengeOf(holder.email);
    for (const field of ['trustDevice', 'rememberMe', 'deviceToken']) {
      const body = { challengeId, method: 'totp', code: clock.codeOf(holder.secret, 1), [field]: true };
      expect((await service.send('POST', '/auth/login/mfa', body)).status, field).toBe(400);
    }
  });

  test('PWD-25 a password is changed by who knows it; the session lives on, the others and the refresh are dead', async () => {
    const { email } = await account();
    const [mine, another] = [
      (await service.login(email, PASSWORD)).body as Tokens,
      (await other.login(email, PASSWORD)).body as Tokens,
    ];
    const change = (currentPassword: unknown, newPassword: unknown, token?: string): Promise<Answer> =>
      service.send('POST', '/auth/password/change', { currentPassword, newPassword }, token);
    expect((await change(PASSWORD, NEW_PASSWORD)).status).toBe(401);
    expect((await change('not the password', NEW_PASSWORD, mine.accessToken)).status).toBe(401);
    expect((await change(PASSWORD, 'short', mine.accessToken)).body).toMatchObject({
      code: 'validation-failed',
      errors: [{ field: 'newPassword', messages: ['newPassword must have at least 15 characters'] }],
    });
    expect((await change([PASSWORD], NEW_PASSWORD, mine.accessToken)).status).toBe(400);
    const changed = await change(PASSWORD, NEW_PASSWORD, mine.accessToken);
    expect([changed.status, changed.text, changed.headers.get('cache-control')]).toEqual([
      204,
      '',
      'no-store',
    ]);
    expect((await me(mine.accessToken)).status).toBe(200);
    expect((await me(another.accessToken)).status).toBe(401);
    const { refreshToken } = another;
    expect((await service.send('POST', '/auth/refresh', { refreshToken })).status).toBe(401);
    expect((await service.login(email, PASSWORD)).status).toBe(401);
    expect((await service.login(email, NEW_PASSWORD)).status).toBe(200);
  });

  test('what takes a guess has the strict limit of its source', async () => {
    const limited = await new Service().start(db, adapter, LIMITS, { ...WIDE, strictRequests: 2 }, clock);
    try {
      const { email } = await account();
      const { accessToken } = (await limited.login(email, PASSWORD)).body as Tokens;
      for (const [path, body] of [
        ['/auth/login/mfa', { challengeId: 'A'.repeat(43), method: 'totp', code: '123456' }],
        ['/auth/step-up', { method: 'totp', code: '123456' }],
        ['/auth/password/change', { currentPassword: 'not it', newPassword: NEW_PASSWORD }],
        ['/auth/mfa/totp/confirm', { code: '123456' }],
      ] as const) {
        const statuses = [];
        for (let count = 0; count < 3; count += 1) {
          statuses.push((await limited.send('POST', path, body, accessToken)).status);
        }
        expect(statuses.at(-1)).toBe(429);
        expect(statuses).not.toContain(500);
      }
    } finally {
      await limited.running.close();
    }
  });
});
