import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { judgeAgain } from '../../../src/core/connections/reconsideration.js';
import { PASSED, type JudgedCall, type Pipeline } from '../../../src/core/pipeline.js';
import { RequestContext } from '../../../src/core/request-context.js';
import { StrictFreshness } from '../../../src/core/strict-freshness.js';
import { uuidV7 } from '../../../src/core/uuid-v7.js';
import { UnitOfWork } from '../../../src/database/unit-of-work.js';
import { FreshnessFeed } from '../../../src/freshness/freshness.feed.js';
import { AccessTokenAuthenticator } from '../../../src/sessions/access-tokens/access-token.authenticator.js';
import { AccessTokenVerifier } from '../../../src/sessions/access-tokens/access-token.verifier.js';
import { SEEN_EVERY_MS, SessionActivity } from '../../../src/sessions/session-activity.js';
import { SessionStore } from '../../../src/sessions/session.store.js';
import {
  SessionsService,
  type NewSession,
  type OpenedSession,
} from '../../../src/sessions/sessions.service.js';
import { SessionsSettings } from '../../../src/sessions/sessions.settings.js';
import { SigningKeys } from '../../../src/sessions/signing-keys/signing-keys.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { Edge } from '../edge-application.js';
import { SessionRows } from '../session-rows.js';
import { forge, takeApart } from '../sessions-application.js';

let database: TestDatabase;
let rows: SessionRows;
let edge: Edge;
let authenticator: AccessTokenAuthenticator;
beforeAll(async () => {
  database = await createTestDatabase();
  rows = await SessionRows.connect(database.ownerUrl);
  edge = await Edge.start({ database });
  authenticator = edge.get(AccessTokenAuthenticator);
});
afterAll(async () => {
  await edge.close();
  await rows.close();
  await database.drop();
});
afterEach(() => {
  vi.restoreAllMocks();
});

type Delivery = 'token' | 'cookie';
const open = (opening: Partial<NewSession> = {}): Promise<OpenedSession> =>
  edge.get(SessionsService).open({
    ...{ subject: uuidV7(edge.clock.nowMs()), acr: 'aal1', amr: ['pwd'], delivery: 'token' },
    ...opening,
  });

const prove = (token: string, delivery: Delivery = 'token', strict = false): unknown =>
  authenticator.prove({ token, delivery }, strict);
/** Why it was refused, at once or later, in the operator's voice. */
async function verdict(token: string, delivery?: Delivery, strict?: boolean): Promise<string> {
  try {
    await prove(token, delivery, strict);
    return 'accepted';
  } catch (error) {
    return (error as { detail?: string }).detail ?? String(error);
  }
}

/** How often the first time was repeated: whether a token is still remembered. */
const verified = (): { mock: { calls: unknown[] } } => vi.spyOn(edge.get(AccessTokenVerifier), 'verify');
const feed = (): FreshnessFeed => edge.get(FreshnessFeed);

async function remembered(opening?: Partial<NewSession>): Promise<OpenedSession> {
  const session = await open(opening);
  expect(await verdict(session.accessToken, opening?.delivery)).toBe('accepted');
  await feed().confirm();
  return session;
}

/** With every claim as it was but for those given. */
async function forged(token: string, claims: object): Promise<string> {
  const taken = takeApart(token);
  return forge(
    taken.header,
    { ...taken.claims, ...claims },
    (await edge.get(SigningKeys).active()).privateKey,
  );
}

describe('A token that is seen for the first time', () => {
  test('names the principal that its session names, and nobody can change it', async () => {
    const subject = uuidV7(edge.clock.nowMs());
    const { accessToken, sessionId } = await open({
      subject,
      acr: 'aal2',
      amr: ['pwd', 'otp'],
      clientId: 'c',
    });
    const principal = await prove(accessToken);
    const { claims } = takeApart(accessToken);
    expect(principal).toEqual({
      ...{ kind: 'account', subject, sessionId, clientId: 'c', acr: 'aal2', amr: ['pwd', 'otp'] },
      authTime: claims['auth_time'],
    });
    expect(Object.isFrozen(principal)).toBe(true);
  });

  test('that contradicts its session in whatever claim is refused, although our key signed it', async () => {
    const { accessToken } = await open({ amr: ['pwd', 'otp'] });
    const { claims } = takeApart(accessToken);
    expect(await verdict(await forged(accessToken, { jti: claims['sid'] }))).toBe('accepted');
    const other = uuidV7(edge.clock.nowMs());
    for (const claim of [
      { sub: other },
      { client_id: 'another' },
      { acr: 'aal2' },
      { auth_time: Number(claims['auth_time']) - 1 },
      { auth_time: Number(claims['auth_time']) + 1 },
      { amr: ['pwd'] },
      { amr: ['otp', 'pwd'] },
      { amr: ['pwd', 'otp', 'hwk'] },
      { amr: ['pwdotp'] },
      { seq: Number.MAX_SAFE_INTEGER },
    ]) {
      expect([claim, await verdict(await forged(accessToken, claim))]).toEqual([
        claim,
        'the token contradicts its session',
      ]);
    }
  });

  test('minted at the very head of the feed is accepted, and one after it is of another database', async () => {
    const { accessToken } = await open();
    const [head] = await edge
      .get(UnitOfWork)
      .query<{ seq: number }>('SELECT seq::float8 AS seq FROM freshness.feed_head');
    expect(await verdict(await forged(accessToken, { seq: head!.seq }))).toBe('accepted');
    expect(await verdict(await forged(accessToken, { seq: head!.seq + 1 }))).toBe(
      'the token contradicts its session',
    );
  });

  test('of a session that is unknown, has ended, or is over, is refused', async () => {
    const [ended, expired, unknown] = [await open(), await open(), await open()];
    await edge.get(SessionsService).end(ended.sessionId, 'logout');
    await rows.alter('expires_at = clock_timestamp()', expired.sessionId);
    expect(await verdict(ended.accessToken)).toBe('the session has ended');
    expect(await verdict(expired.accessToken)).toBe('the session has expired');
    // At that very instant too, which no test can wait for.
    const store = edge.get(SessionStore);
    const session = (await store.byId(unknown.sessionId))!;
    vi.spyOn(store, 'byId').mockResolvedValueOnce({ ...session, secondsLeft: 0 });
    expect(await verdict(unknown.accessToken)).toBe('the session has expired');
    const sid = uuidV7(edge.clock.nowMs());
    expect(await verdict(await forged(unknown.accessToken, { sid }))).toBe('the session is unknown');
  });

  test('and that was handed over in another way is refused, and not remembered', async () => {
    const [inBody, inCookie] = [await open(), await open({ delivery: 'cookie' })];
    const another = 'the token was handed over in another way';
    expect(await verdict(inBody.accessToken, 'cookie')).toBe(another);
    expect(await verdict(inCookie.accessToken, 'token')).toBe(another);
    expect(await verdict(inBody.accessToken, 'token')).toBe('accepted');
    expect(await verdict(inCookie.accessToken, 'cookie')).toBe('accepted');
  });

  test('and whose subject was revoked since it was minted is refused, although its session lives', async () => {
    const subject = uuidV7(edge.clock.nowMs());
    const { accessToken } = await open({ subject });
    await feed().append({ kind: 'subject', id: subject });
    expect(await verdict(accessToken)).toBe('the token was revoked');
    expect(await verdict((await open({ subject })).accessToken)).toBe('accepted');
  });

  test('waits for the feed where it is not fresh, and is refused where that cannot be had', async () => {
    const { accessToken } = await open();
    vi.spyOn(feed(), 'isFresh').mockReturnValue(false);
    const confirm = vi.spyOn(feed(), 'confirm').mockRejectedValueOnce(new Error('no feed'));
    await expect(prove(accessToken)).rejects.toThrow('no feed');
    await prove(accessToken);
    expect(confirm).toHaveBeenCalledTimes(2);
    vi.spyOn(feed(), 'isFresh').mockReturnValue(true);
    await prove((await open()).accessToken);
    expect(confirm).toHaveBeenCalledTimes(2);
  });
});

describe('When the database turns out to have another history', () => {
  /** One of its own, on the real rooms, and what the feed would call when what it reads leads on from nothing it knows. */
  function another() {
    const listeners: (() => void)[] = [];
    const isFresh = vi.fn(() => feed().isFresh());
    const listening = {
      isFresh,
      confirm: async () => {
        await feed().confirm();
        reset();
      },
      revoked: feed().revoked.bind(feed()),
      onReset: (listener: () => void) => listeners.push(listener),
    } as unknown as FreshnessFeed;
    const reset = (): void => {
      for (const listener of listeners) listener();
    };
    return {
      authenticator: new AccessTokenAuthenticator(
        edge.get(AccessTokenVerifier),
        edge.get(SessionStore),
        edge.get(SessionActivity),
        edge.get(SigningKeys),
        listening,
        edge.get(SessionsSettings),
        edge.clock,
      ),
      isFresh,
      reset,
    };
  }

  test('a session that was read before is read again, and not remembered as it was', async () => {
    const { accessToken, sessionId } = await open();
    const { authenticator: ours, reset } = another();
    const store = edge.get(SessionStore);
    const byId = store.byId.bind(store);
    const read = vi.spyOn(store, 'byId').mockImplementationOnce(async (id) => {
      const session = await byId(id);
      reset();
      await rows.alter(`ended_at = now(), ended_reason = 'logout'`, sessionId);
      return session;
    });
    const proving = async (): Promise<unknown> =>
      ours.prove({ token: accessToken, delivery: 'token' }, false);
    await expect(proving()).rejects.toMatchObject({ detail: 'the session has ended' });
    await expect(proving()).rejects.toMatchObject({ detail: 'the session has ended' });
    expect(read).toHaveBeenCalledTimes(3);
  });

  test('a token whose request found it out is proved anew, by what the database says now', async () => {
    for (const ends of [true, false]) {
      const { accessToken, sessionId } = await open();
      const { authenticator: ours, isFresh } = another();
      const proving = async (): Promise<unknown> =>
        ours.prove({ token: accessToken, delivery: 'token' }, false);
      await proving();
      if (ends) await rows.alter(`ended_at = now(), ended_reason = 'logout'`, sessionId);
      // Asked for twice: whether to confirm at all, and then whether there is anything to wait for.
      isFresh.mockReturnValueOnce(false).mockReturnValueOnce(false);
      const verify = vi.spyOn(edge.get(AccessTokenVerifier), 'verify');
      const outcome = await proving().then(
        () => 'proved',
        (error: unknown) => (error as { detail: string }).detail,
      );
      expect([outcome, verify.mock.calls.length]).toEqual([ends ? 'the session has ended' : 'proved', 1]);
      verify.mockRestore();
    }
  });

  test('and another one each time, nothing is guessed: temporarily unavailable', async () => {
    const { accessToken } = await open();
    const { authenticator: ours, isFresh } = another();
    isFresh.mockReturnValue(false);
    const proving = async (): Promise<unknown> =>
      ours.prove({ token: accessToken, delivery: 'token' }, false);
    const verify = verified();
    await expect(proving()).rejects.toMatchObject({
      status: 503,
      detail: 'the database changes its history',
    });
    expect(verify.mock.calls.length).toBe(2);
    isFresh.mockReturnValue(true);
    await proving();
  });
});

describe('A token that is remembered', () => {
  test('is proved at once, without a promise, as the same principal', async () => {
    const { accessToken } = await open();
    const principal = await prove(accessToken);
    await feed().confirm();
    const [verify, read] = [verified(), vi.spyOn(edge.get(SessionStore), 'byId')];
    expect(prove(accessToken)).toBe(principal);
    expect([verify.mock.calls.length, read.mock.calls.length]).toEqual([0, 0]);
  });

  test('is read anew each time where that is demanded', async () => {
    const { accessToken, sessionId } = await remembered();
    const verify = verified();
    for (let count = 0; count < 2; count += 1)
      expect(await verdict(accessToken, 'token', true)).toBe('accepted');
    expect(verify.mock.calls.length).toBe(2);
    await rows.alter(`ended_at = now(), ended_reason = 'logout'`, sessionId);
    expect(await verdict(accessToken, 'token', false)).toBe('accepted');
    expect(await verdict(accessToken, 'token', true)).toBe('the session has ended');
  });

  test('goes with the key that signed it, also where keys are looked up first, and is forgotten', async () => {
    const gone = 'the signing key is unknown';
    const keys = edge.get(SigningKeys);
    for (const answer of [undefined, Promise.resolve(undefined)]) {
      const { accessToken } = await remembered();
      vi.spyOn(keys, 'find').mockReturnValueOnce(answer);
      expect(await verdict(accessToken)).toBe(gone);
      const verify = verified();
      expect(await verdict(accessToken)).toBe('accepted');
      expect(verify.mock.calls.length).toBe(1);
      vi.restoreAllMocks();
    }
    const { accessToken } = await remembered();
    vi.spyOn(keys, 'find').mockReturnValueOnce(Promise.resolve(await edge.get(SigningKeys).active()));
    const [verify, confirm] = [verified(), vi.spyOn(feed(), 'confirm')];
    vi.spyOn(feed(), 'isFresh').mockReturnValue(true);
    expect(await verdict(accessToken)).toBe('accepted');
    expect([verify.mock.calls.length, confirm.mock.calls.length]).toEqual([0, 0]);
  });

  test('is not trusted while the feed is stale: confirmed first, refused where that fails', async () => {
    const { accessToken } = await remembered();
    vi.spyOn(feed(), 'isFresh').mockReturnValue(false);
    const confirm = vi.spyOn(feed(), 'confirm').mockRejectedValueOnce(new Error('no feed'));
    expect(await verdict(accessToken)).toBe('Error: no feed');
    const verify = verified();
    expect(await verdict(accessToken)).toBe('accepted');
    expect([confirm.mock.calls.length, verify.mock.calls.length]).toEqual([2, 0]);
  });

  test('is refused once it was revoked, and forgotten', async () => {
    const { accessToken } = await remembered();
    vi.spyOn(feed(), 'revoked').mockReturnValueOnce(true);
    const verify = verified();
    expect(await verdict(accessToken)).toBe('the token was revoked');
    expect(verify.mock.calls.length).toBe(0);
    await prove(accessToken);
    expect(verify.mock.calls.length).toBe(1);
  });

  test.each([
    ['token', 'cookie'],
    ['cookie', 'token'],
  ] as const)('as a %s comes back in no other way than it was handed over', async (delivery, another) => {
    const { accessToken } = await remembered({ delivery });
    const verify = verified();
    expect(await verdict(accessToken, another)).toBe('the token was handed over in another way');
    expect(await verdict(accessToken, delivery)).toBe('accepted');
    expect(verify.mock.calls.length).toBe(0);
  });

  test('JWT-13 ends five seconds after exp by the clock of the machine, that very second included', async () => {
    const { clock } = edge;
    const at = clock.now;
    const { accessToken } = await remembered();
    const exp = Number(takeApart(accessToken).claims['exp']) * 1000;
    try {
      clock.now = exp + 4_999;
      expect(await verdict(accessToken)).toBe('accepted');
      clock.now = exp + 5_000;
      expect(await verdict(accessToken)).toBe('the token has expired');
      // Forgotten: a clock that is set back does not bring it back without another look.
      clock.now = at;
      const verify = verified();
      expect(await verdict(accessToken)).toBe('accepted');
      expect(verify.mock.calls.length).toBe(1);
    } finally {
      clock.now = at;
    }
  });

  /** Moves the clock that nobody can set, and leaves the rest of the application where it is. */
  function later(): (ms: number) => void {
    // Whole, so that a sum less one of its terms is the other.
    const from = Math.floor(performance.now());
    const jumped = vi.spyOn(performance, 'now').mockReturnValue(from);
    vi.spyOn(feed(), 'isFresh').mockReturnValue(true);
    const keys = edge.get(SigningKeys);
    const find = vi.spyOn(keys, 'find');
    return (ms) => {
      find.mockReturnValue({} as never);
      jumped.mockReturnValue(from + ms);
    };
  }

  test('FLT-09 ends with its life by a clock that nobody can set, to the millisecond', async () => {
    const { accessToken } = await open();
    const set = later();
    await prove(accessToken);
    set(904_999);
    expect(await verdict(accessToken)).toBe('accepted');
    set(905_000);
    expect(await verdict(accessToken)).toBe('the token has expired');
  });

  test('ends with its session where that is first', async () => {
    const { accessToken, sessionId } = await open();
    await rows.alter("expires_at = clock_timestamp() + interval '60 s'", sessionId);
    const set = later();
    await prove(accessToken);
    set(50_000);
    expect(await verdict(accessToken)).toBe('accepted');
    set(60_000);
    expect(await verdict(accessToken)).toBe('the token has expired');
  });

  test('notes its session as seen once a minute', async () => {
    const { accessToken, sessionId } = await open();
    const set = later();
    await prove(accessToken);
    const seen = vi.spyOn(edge.get(SessionActivity), 'seen').mockReturnValue(undefined);
    const counts = [0, SEEN_EVERY_MS - 1, SEEN_EVERY_MS, SEEN_EVERY_MS + 1, 2 * SEEN_EVERY_MS].map((ms) => {
      set(ms);
      void prove(accessToken);
      return seen.mock.calls.length;
    });
    expect(counts).toEqual([0, 0, 1, 1, 2]);
    expect(seen.mock.calls).toEqual([[sessionId], [sessionId]]);
  });

  test('is forgotten where the feed begins anew', async () => {
    const { accessToken } = await remembered();
    await rows.client.query('UPDATE freshness.feed_head SET seq = seq - 1');
    const verify = verified();
    try {
      await feed().confirm();
      expect(await verdict(accessToken)).toMatch(/accepted|contradicts/);
      expect(verify.mock.calls.length).toBe(1);
    } finally {
      await rows.client.query('UPDATE freshness.feed_head SET seq = seq + 1');
      await feed().confirm();
    }
  });
});

test('with freshness: database every token is read anew, on every handler', async () => {
  const strict = await Edge.start({ database, freshness: 'database' });
  try {
    const { accessToken } = await open();
    const verify = vi.spyOn(strict.get(AccessTokenVerifier), 'verify');
    for (let count = 0; count < 2; count += 1) expect(await strict.ask(accessToken)).toBe(200);
    expect(verify.mock.calls.length).toBe(2);
  } finally {
    await strict.close();
  }
});

describe('On a handler', () => {
  class Handlers {
    @StrictFreshness()
    strict(): void {
      return undefined;
    }
    usual(): void {
      return undefined;
    }
  }
  const executionOf = (headers: Record<string, string>, handler: () => void): ExecutionContextHost =>
    new ExecutionContextHost([{ headers, rawHeaders: Object.entries(headers).flat() }], Handlers, handler);
  const ask = (headers: Record<string, string>, handler: () => void = Handlers.prototype.usual): unknown =>
    authenticator.authenticate(executionOf(headers, handler));

  test('a token is proved whether it is known or not, and one that is malformed is not looked at further', async () => {
    const { accessToken, sessionId } = await open();
    const headers = { authorization: `Bearer ${accessToken}` };
    expect(await ask(headers)).toMatchObject({ sessionId });
    await feed().confirm();
    expect(ask(headers)).toMatchObject({ sessionId });
    const verify = verified();
    for (const text of [`${accessToken} `, `${accessToken},`, 'a b', '']) {
      expect(() => ask({ authorization: `Bearer ${text}` })).toThrow(
        expect.objectContaining({ detail: 'the Authorization header is malformed' }) as Error,
      );
    }
    expect(verify.mock.calls.length).toBe(0);
  });

  test('a request is a use of its session; a look at what is still open is none', async () => {
    const { accessToken, sessionId } = await remembered();
    const execution = executionOf({ authorization: `Bearer ${accessToken}` }, Handlers.prototype.usual);
    const context = new RequestContext({ transport: 'http', receivedAtMs: 0 });
    const principal = { kind: 'account', subject: uuidV7(0) } as const;
    const seen = vi.spyOn(edge.get(SessionActivity), 'seen');
    vi.spyOn(feed(), 'isFresh').mockReturnValue(true);
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + SEEN_EVERY_MS + 1_000);
    vi.spyOn(edge.get(SigningKeys), 'find').mockReturnValue(await edge.get(SigningKeys).active());
    const looking = {
      judgeAgain: (call: JudgedCall) => authenticator.authenticate(execution, call.context) && PASSED,
    };
    const verdictAgain = await judgeAgain(
      looking as unknown as Pipeline,
      [{ execution, context, principal }],
      0,
    );
    expect([verdictAgain.passed, seen.mock.calls]).toEqual([true, []]);
    await authenticator.authenticate(execution, context);
    expect(seen.mock.calls).toEqual([[sessionId]]);
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + SEEN_EVERY_MS + 1_000);
    await authenticator.authenticate(execution);
    expect(seen.mock.calls).toEqual([[sessionId], [sessionId]]);
  });

  test('without a token nobody is proved; a token in a cookie is one', async () => {
    const { accessToken, sessionId } = await open({ delivery: 'cookie' });
    expect(ask({})).toBeUndefined();
    const headers = { cookie: `a=b; __Host-access=${accessToken}` };
    expect(await ask(headers)).toMatchObject({ sessionId });
    await feed().confirm();
    const verify = verified();
    expect(ask(headers)).toMatchObject({ sessionId });
    expect(verify.mock.calls.length).toBe(0);
  });

  test('that is strict the database is asked, on any other it is not', async () => {
    const { accessToken } = await remembered();
    const headers = { authorization: `Bearer ${accessToken}` };
    const verify = verified();
    await ask(headers);
    expect(verify.mock.calls.length).toBe(0);
    await ask(headers, Handlers.prototype.strict);
    expect(verify.mock.calls.length).toBe(1);
  });
});
