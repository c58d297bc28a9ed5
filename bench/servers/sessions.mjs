// One replica with the sessions room: refreshes, verification, and when it hears of what another one revoked.
import { Module } from '@nestjs/common';
import {
  FreshnessFeed,
  GrantsService,
  KitDataSource,
  RefreshService,
  RolesService,
  secureApplication,
  SessionsService,
  SYSTEM_PRINCIPAL,
  UnitOfWork,
  uuidV7,
  ZeroTrustModule,
} from 'nestjs-zero-trust';
import { AccessTokenAuthenticator } from '../../dist/sessions/access-tokens/access-token.authenticator.js';
import { AccessTokenVerifier } from '../../dist/sessions/access-tokens/access-token.verifier.js';
import { kitOptions } from './kit-options.mjs';
import { answerQuestions, createApplication, decorate, settings } from './serve.mjs';

class AppModule {}
decorate(AppModule, { on: [Module({ imports: [ZeroTrustModule.forRoot(kitOptions(settings))] })] });
const app = await createApplication(AppModule);
await secureApplication(app);
await app.listen(0, '127.0.0.1');
const [sessions, refreshing, feed, unitOfWork, grants] = [
  ...[SessionsService, RefreshService, FreshnessFeed, UnitOfWork, GrantsService],
].map((each) => app.get(each, { strict: false }));
const { dataSource } = app.get(KitDataSource, { strict: false });

const nowNs = () => process.hrtime.bigint().toString();
const open = (subject = uuidV7(Date.now())) =>
  unitOfWork.run(() => sessions.open({ subject, acr: 'aal1', amr: ['pwd'], delivery: 'token' }));

/** `lanes` at a time, each its own row again and again. @returns how many in how long. */
async function rounds(lanes, seconds, step) {
  const started = performance.now();
  const endsAt = started + seconds * 1000;
  let done = 0;
  const cpu = process.cpuUsage();
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      while (performance.now() < endsAt) {
        await step(lane);
        done += 1;
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  return { done, seconds: (performance.now() - started) / 1000, cpuMicroseconds: (user + system) / done };
}

async function refresh({ lanes, seconds }) {
  const tokens = await Promise.all(
    Array.from({ length: lanes }, () => open().then((each) => each.refreshToken)),
  );
  return rounds(lanes, seconds, async (lane) => {
    tokens[lane] = (await refreshing.refresh(tokens[lane], 'token')).refreshToken;
  });
}

/** The same table, the same row each time, the same driver: what rotation cannot do without. */
async function bare({ lanes, seconds }) {
  const ids = await Promise.all(Array.from({ length: lanes }, () => open().then((each) => each.sessionId)));
  return rounds(lanes, seconds, (lane) =>
    dataSource.query(
      'UPDATE sessions.session SET generation = generation + 1 WHERE id = $1 RETURNING generation',
      [ids[lane]],
    ),
  );
}

async function verification({ count }) {
  const authenticator = app.get(AccessTokenAuthenticator, { strict: false });
  const verifier = app.get(AccessTokenVerifier, { strict: false });
  const opened = [];
  for (let at = 0; at < count; at += 1) opened.push((await open()).accessToken);
  const time = async (work, amount) => {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / amount;
  };
  const presented = opened.map((token) => ({ token, delivery: 'token' }));
  const signature = await time(async () => {
    for (const token of opened) await verifier.verify(token);
  }, count);
  const fresh = await time(async () => {
    for (const each of presented) await authenticator.prove(each, false);
  }, count);
  const repeats = 200;
  const known = await time(async () => {
    for (let round = 0; round < repeats; round += 1) {
      if (!feed.isFresh()) await feed.confirm();
      for (const each of presented) {
        const principal = authenticator.prove(each, false);
        if (principal instanceof Promise) await principal;
      }
    }
  }, count * repeats);
  return { signature, fresh, known };
}

const heard = new Map();
for (const kind of ['session', 'grants']) feed.on(kind, ({ id }) => heard.has(id) || heard.set(id, nowNs()));

async function revoke() {
  const { sessionId } = await open();
  await sessions.end(sessionId, 'logout');
  return { id: sessionId, atNs: nowNs() };
}

const subjects = [...settings.subjects];
async function grant() {
  const subject = subjects.pop();
  await grants.grant({ subject, role: 'reader', reason: 'benchmark' }, SYSTEM_PRINCIPAL);
  return { id: subject, atNs: nowNs() };
}

const { port } = app.getHttpServer().address();
answerQuestions({
  cpu: () => process.cpuUsage(),
  prepare: async () => {
    await app
      .get(RolesService, { strict: false })
      .put('reader', { permissions: ['documents:read'] }, SYSTEM_PRINCIPAL);
    return {};
  },
  tokens: async () => ({
    tokens: await Promise.all(
      Array.from({ length: settings.lanes }, () => open().then((each) => each.refreshToken)),
    ),
  }),
  refresh: () => refresh(settings),
  bare: () => bare(settings),
  verification: () => verification({ count: 500 }),
  revoke,
  grant,
  heard: () => ({ heard: Object.fromEntries(heard) }),
});
process.send({ url: `http://127.0.0.1:${port}` });
