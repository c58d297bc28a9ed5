import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { uuidV7 } from '../../src/core/uuid-v7.js';
import { AccessTokenAuthenticator } from '../../src/sessions/access-tokens/access-token.authenticator.js';
import { RefreshService } from '../../src/sessions/refresh/refresh.service.js';
import { SessionsService } from '../../src/sessions/sessions.service.js';
import type { IssuedTokens } from '../../src/sessions/session.issuer.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { LIMITS, SessionModel, type ModelSession } from './session-model.js';
import { SessionRows } from './session-rows.js';
import { startSessions, type Started } from './sessions-application.js';

let database: TestDatabase;
let rows: SessionRows;
let replicas: Replica[];
/** What the walks have come by: a walk that never meets reuse proves nothing of it. */
const met = new Set<string>();

beforeAll(async () => {
  database = await createTestDatabase();
  rows = await SessionRows.connect(database.ownerUrl);
  replicas = [];
  for (const adapter of ['express', 'fastify'] as const) {
    replicas.push(new Replica(await startSessions({ database, adapter, ...LIMITS })));
  }
});
afterAll(async () => {
  for (const { started } of replicas) await started.app.close();
  await rows.close();
  await database.drop();
});

class Replica {
  readonly sessions: SessionsService;
  constructor(readonly started: Started) {
    this.sessions = started.app.get(SessionsService);
  }

  async refresh(token: string): Promise<IssuedTokens | 'refused'> {
    return refusedOr(() => this.started.app.get(RefreshService).refresh(token, 'token'));
  }

  async proves(token: string, strict: boolean): Promise<boolean> {
    const authenticator = this.started.app.get(AccessTokenAuthenticator);
    const proving = (): unknown => authenticator.prove({ token, delivery: 'token' }, strict);
    return (await refusedOr(proving)) !== 'refused';
  }
}

/** 503 says to ask again: a machine under load may say so at any time. Whatever else happens fails the test. */
async function refusedOr<T>(work: () => T | Promise<T>): Promise<T | 'refused'> {
  for (let left = 50; ; left -= 1) {
    try {
      return await work();
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === 'temporarily-unavailable' && left > 0) continue;
      expect(error).toMatchObject({ code: 'invalid-credentials' });
      return 'refused';
    }
  }
}

interface Real {
  readonly here: (at: number) => Replica;
  readonly subjects: readonly string[];
}
type Command = fc.AsyncCommand<SessionModel, Real>;

/** One step: does it for real, says what the model expects, and compares what the database and the tokens say. */
function step(
  name: string,
  session: number,
  replica: number,
  applies: (model: SessionModel, session: ModelSession) => boolean,
  perform: (model: SessionModel, session: ModelSession, here: Replica, there: Replica) => Promise<void>,
): Command {
  return {
    check: (model) => applies(model as SessionModel, (model as SessionModel).pick(session)),
    run: async (model, real) => {
      const before = model.living;
      await perform(model, model.pick(session), real.here(replica), real.here(replica + 1));
      await agree(model, real.here(replica), before);
    },
    toString: () => `${name}(${String(session)}, ${String(replica)})`,
  };
}

async function agree(model: SessionModel, acting: Replica, before: readonly ModelSession[]): Promise<void> {
  for (const session of model.sessions) {
    if (session.ended !== null) met.add(session.ended);
    const { generation, reason } = await rows.of(session.id);
    expect({ generation, reason }).toEqual({ generation: session.tokens.length - 1, reason: session.ended });
    // Asked in the database, whatever is remembered; and from memory, where it was ended just now.
    expect(await acting.proves(session.accessToken, true)).toBe(!model.isDead(session));
    if (session.ended !== null && before.includes(session))
      expect(await acting.proves(session.accessToken, false)).toBe(false);
  }
}

const open = (subject: number, replica: number): Command => ({
  check: ({ sessions }) => sessions.length < 8,
  run: async (model, { here, subjects }) => {
    const who = subjects[subject]!;
    const before = model.living;
    const { sessionId, refreshToken, accessToken } = await here(replica).started.open(who);
    model.opened(sessionId, who, refreshToken, accessToken);
    await agree(model, here(replica), before);
  },
  toString: () => `open(${String(subject)}, ${String(replica)})`,
});

const refresh = (at: number, replica: number, times: number): Command =>
  step(`refresh×${String(times)}`, ...[at, replica, () => true], async (model, session, here, there) => {
    const token = session.tokens.at(-1)!;
    const answers = await Promise.all(
      Array.from({ length: times }, (_, index) => (index % 2 ? there : here).refresh(token)),
    );
    if (model.isOver(session)) {
      expect(new Set(answers)).toEqual(new Set(['refused']));
      met.add(
        session.ended ? 'refused: ended' : model.isDead(session) ? 'refused: expired' : 'refused: idle',
      );
      return;
    }
    const issued = answers.filter((answer) => answer !== 'refused');
    expect(issued.length).toBe(times);
    if (times > 1) met.add('race');
    expect(new Set(issued.map(({ refreshToken }) => refreshToken)).size).toBe(1);
    model.rotatedTo(session, issued[0]!.refreshToken, issued.at(-1)!.accessToken);
  });

/** Presents a token that is not the current one, `back` generations before it. */
const replay = (at: number, replica: number, back: number): Command =>
  step(
    `replay-${String(back)}`,
    ...[at, replica],
    (_model, { tokens }) => tokens.length > back,
    async (model, session, here) => {
      const answer = await here.refresh(session.tokens.at(-1 - back)!);
      if (model.isOver(session)) expect(answer).toBe('refused');
      else if (back === 1 && session.rotated <= LIMITS.refreshRetrySeconds) {
        expect(answer).toMatchObject({ refreshToken: session.tokens.at(-1) });
        met.add('retry');
      } else {
        expect(answer).toBe('refused');
        session.ended = 'refresh-reuse';
      }
    },
  );

const logout = (at: number, replica: number): Command =>
  step(
    'logout',
    at,
    replica,
    () => true,
    async (_model, session, here) => {
      expect(await here.sessions.end(session.id, 'logout')).toBe(session.ended === null);
      session.ended ??= 'logout';
    },
  );

const endAll = (at: number, replica: number, spare: boolean): Command =>
  step(
    spare ? 'endOthers' : 'endAll',
    at,
    replica,
    () => true,
    async (model, session, here) => {
      const ends = model.sessions.filter(
        (each) => each.subject === session.subject && !model.isDead(each) && !(spare && each === session),
      );
      const { subject, id } = session;
      expect(await here.sessions.endAllOf(subject, 'ended-by-subject', spare ? id : undefined)).toBe(
        ends.length,
      );
      for (const each of ends) each.ended = 'ended-by-subject';
    },
  );

const stepUp = (at: number, replica: number): Command =>
  step(
    'stepUp',
    ...[at, replica],
    (model, session) => model.isDead(session) || !model.isOver(session),
    async (model, session, here) => {
      const answer = await refusedOr(() =>
        here.sessions.replace(session.id, { acr: 'aal2', amr: ['pwd', 'otp'] }),
      );
      expect(answer === 'refused').toBe(model.isDead(session));
      if (answer === 'refused') return;
      session.ended = 'stepped-up';
      model.opened(answer.sessionId, session.subject, answer.refreshToken, answer.accessToken, session.life);
    },
  );

const age = (at: number, seconds: number): Command =>
  step(
    `age-${String(seconds)}`,
    ...[at, 0],
    (model, session) => model.isClearAfter(session, seconds),
    async (model, session) => {
      await rows.age(session.id, `${String(seconds)} s`);
      model.age(session, seconds);
    },
  );

const which = fc.nat(23);
const replica = fc.nat(1);
const opens = fc.tuple(fc.nat(1), replica).map((given) => open(...given));
const refreshes = fc.tuple(which, replica, fc.constantFrom(1, 1, 4)).map((given) => refresh(...given));
const replays = fc.tuple(which, replica, fc.constantFrom(1, 1, 1, 2)).map((given) => replay(...given));
const ages = fc.tuple(which, fc.constantFrom(25, 350, 700, 700)).map((given) => age(...given));
const commands = [
  ...[opens, opens, refreshes, refreshes, refreshes, refreshes, replays, replays, ages, ages, ages, ages],
  fc.tuple(which, replica).map((given) => logout(...given)),
  fc.tuple(which, replica, fc.boolean()).map((given) => endAll(...given)),
  fc.tuple(which, replica).map((given) => stepUp(...given)),
];

test.each([1, 2, 3])(
  'REF-01 REF-02 REF-09 REF-10 whatever is done in whatever order on two replicas, sessions are as the model says (seed %i)',
  async (seed) => {
    const walked = fc.commands(commands, { maxCommands: 40, size: 'max' });
    await fc.assert(
      fc.asyncProperty(walked, async (walk) => {
        const subjects = [uuidV7(Date.now()), uuidV7(Date.now())];
        const real = { here: (at: number) => replicas[at % 2]!, subjects };
        const model = new SessionModel();
        await open(0, 0).run(model, real);
        await fc.asyncModelRun(() => ({ model, real }), walk);
      }),
      { seed, numRuns: 25, endOnFailure: true },
    );
  },
  120_000,
);

test('the walks met every end and every answer', () => {
  expect([...met].sort()).toEqual(
    [
      ...['logout', 'ended-by-subject', 'stepped-up', 'refresh-reuse', 'too-many-sessions'],
      ...['refused: ended', 'refused: expired', 'refused: idle', 'retry', 'race'],
    ].sort(),
  );
});
