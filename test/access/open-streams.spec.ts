import { NestFactory } from '@nestjs/core';
import { performance } from 'node:perf_hooks';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../src/access/grants/actor.js';
import { OpenConnections } from '../../src/core/connections/open-connections.js';
import { OpenStreams } from '../../src/core/connections/open-streams.js';
import { Pipeline } from '../../src/core/pipeline.js';
import { ThrottlingModule } from '../../src/throttler/throttling.module.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startFaultProxy } from '../support/fault-proxy.js';
import type { HostileOptions } from '../support/hostile.application.js';
import { startAccess, type AccessApplication } from './access.application.js';
import { newSubject, storeRoles } from './access.fixtures.js';
import type { Heard, Peer } from './stream-peers.js';
import {
  GRAPHQL,
  notes,
  queue,
  SOCKET,
  SOCKET_IO,
  TCP,
  tcpPeersOf,
  type Carrier,
} from './streams.fixtures.js';

/** By when a replica must have felt what was revoked. */
const FELT_WITHIN_MS = 1_000;
/** By when what nobody tells of must have been noticed: a round of looking, and as long again on a slow machine. */
const NOTICED_WITHIN_MS = 6_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await storeRoles(database, { reader: { permissions: ['documents:read'] } });
});
afterAll(() => database.drop());

let open: { end(): unknown }[] = [];
afterEach(async () => {
  notes.loading = notes.deciding = Promise.resolve();
  notes.clinging = undefined;
  queue.length = 0;
  for (const each of open.reverse()) await each.end();
  open = [];
});

async function start(
  { options }: Carrier,
  imports: NonNullable<HostileOptions['imports']> = [],
  databaseUrl = database.appUrl,
): Promise<AccessApplication> {
  const started = await startAccess(database, {
    ...options,
    imports: [...(options.imports ?? []), ...imports],
    databaseUrl,
  });
  open.push({ end: () => started.close() });
  return started;
}

async function connect(carrier: Carrier, app: AccessApplication, as: string): Promise<Peer> {
  const peer = await carrier.connect(app, as);
  open.push(peer);
  return peer;
}

interface MockedJudgements {
  readonly results: readonly { readonly value: unknown }[];
}

/** What others wait for until it is released. */
function held(): { until: Promise<void>; release(): void } {
  let release!: () => void;
  const until = new Promise<void>((resolve) => (release = resolve));
  return { until, release };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

/** Waits for all that was judged again, and for what its verdicts do. */
async function verdictsOf({ mock }: { readonly mock: MockedJudgements }): Promise<void> {
  await until(() => mock.results.length > 0);
  await Promise.allSettled(mock.results.map(({ value }) => value));
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
}

/** Asks for a stream. @returns once it has begun */
async function listen(peer: Peer, name: string, id: string): Promise<Heard> {
  const before = notes.listenersOf(id);
  const heard = peer.listen(name, id);
  await until(() => notes.listenersOf(id) > before);
  return heard;
}

/** Says something of each. @returns once each has been heard */
async function tell(text: string, ids: readonly string[], heard: readonly Heard[]): Promise<void> {
  for (const id of ids) notes.say(id, text);
  await until(() => heard.every(({ said }) => said.includes(text)));
}

const closedIn = ({ events }: AccessApplication): AccessApplication['events'] =>
  events.filter(({ action }) => action === 'connection.closed');
const streamsOf = ({ app }: AccessApplication): number => app.get(OpenStreams).size;

/** How a refusal reaches whoever listens. */
const ENDS: Readonly<
  Record<string, { carrier: Carrier; refused: (code: string, status: number) => unknown; alone: boolean }>
> = {
  'a stream of a microservice': {
    carrier: TCP,
    refused: (code, status) => ({ code, status }),
    alone: true,
  },
  'a subscription of GraphQL': {
    carrier: GRAPHQL,
    refused: (code, status) => [{ message: code, extensions: { code, status } }],
    alone: true,
  },
  'a stream over a socket': {
    carrier: SOCKET,
    refused: (code, status) => ({ code: status === 403 ? 4403 : 1008, reason: code }),
    alone: false,
  },
  'a stream over Socket.IO': {
    carrier: SOCKET_IO,
    refused: (code, status) => ({ code, status }),
    alone: false,
  },
};

describe.each(Object.entries(ENDS))('%s', (_name, { carrier, refused, alone }) => {
  test("RBAC-13 is ended within a second when the grant is revoked on another replica, and nobody else's is", async () => {
    const [here, there] = [await start(carrier), await start(carrier)];
    const [subject, other] = [newSubject(), await there.somebody('reader')];
    const grant = await there.give(subject, 'reader');
    const ids = [notes.of(subject), notes.of(subject), notes.of(other)] as const;
    const [peer, otherPeer] = [await connect(carrier, here, subject), await connect(carrier, here, other)];
    const mine = [await listen(peer, 'note', ids[0]), await listen(peer, 'silent', ids[1])];
    const kept = await listen(otherPeer, 'note', ids[2]);
    await tell('before', ids, [...mine, kept]);
    here.events.length = 0;

    const revokedAtMs = performance.now();
    await there.grants.revoke(grant, SYSTEM_PRINCIPAL);
    const ends = await Promise.all(mine.map(({ ended }) => ended));
    expect(performance.now() - revokedAtMs).toBeLessThan(FELT_WITHIN_MS);
    expect(ends).toEqual(ends.map(() => refused('permission-denied', 403)));
    // Whoever feeds it is told to stop as well.
    await until(() => notes.listenersOf(ids[0]) + notes.listenersOf(ids[1]) === 0);
    await tell('after', ids, [kept]);
    expect(JSON.stringify(mine.map(({ said }) => said))).not.toContain('after');
    expect(streamsOf(here)).toBe(1);
    await until(() => closedIn(here).length === (alone ? 2 : 1));
    expect(closedIn(here)[0]).toMatchObject({
      actor: subject,
      reason: 'a demanded permission is not held',
      detail: { code: 'permission-denied' },
    });
    expect(here.events.filter(({ action }) => action.endsWith('.refused'))).toEqual([]);
  });

  test.each([
    [
      'the object is gone',
      (id: string) => {
        notes.delete(id);
      },
    ],
    [
      'the object is no longer theirs',
      (id: string, subject: string) => {
        notes.takeFrom(id, subject);
      },
    ],
  ])('RBAC-13 RBAC-21 is ended when %s, also where it is not what was asked for last', async (_how, take) => {
    const here = await start(carrier);
    const subject = await here.somebody('reader');
    const [lost, kept] = [notes.of(subject), notes.of(subject)];
    const peer = await connect(carrier, here, subject);
    const [ending, lasting] = [await listen(peer, 'note', lost), await listen(peer, 'note', kept)];
    await tell('before', [lost, kept], [ending, lasting]);
    take(lost, subject);
    const takenAtMs = performance.now();
    expect(await ending.ended).toEqual(refused('not-found', 404));
    expect(performance.now() - takenAtMs).toBeLessThan(NOTICED_WITHIN_MS);
    expect(lasting.isOpen()).toBe(alone);
    if (alone) await tell('after', [lost, kept], [lasting]);
    expect(ending.said).not.toContain('after');
    // Whoever comes back for it is refused like anybody.
    const again = await connect(carrier, here, subject);
    const refusedAgain = again.listen('note', lost);
    await refusedAgain.ended;
    expect(refusedAgain.said).toEqual([]);
  });

  test('RBAC-13 is forgotten when it ends by itself, and what it was asked for with it', async () => {
    const here = await start(carrier);
    const subject = await here.somebody('reader');
    const peer = await connect(carrier, here, subject);
    const ids = Array.from({ length: 20 }, () => notes.of(subject));
    const streams = await Promise.all(ids.map((id) => listen(peer, 'note', id)));
    await tell('news', ids, streams);
    expect(streamsOf(here)).toBe(20);
    for (const id of ids.slice(1)) notes.say(id, 'end');
    await until(() => streamsOf(here) === 1);
    for (const id of ids.slice(1)) notes.delete(id);
    const judged = vi.spyOn(here.app.get(Pipeline), 'judgeAgain');
    here.app.get(OpenConnections).reconsider(() => true);
    await tell('after', ids.slice(0, 1), streams.slice(0, 1));
    await verdictsOf(judged);
    await tell('still', ids.slice(0, 1), streams.slice(0, 1));
    notes.say(ids[0]!, 'end');
    await until(() => streamsOf(here) === 0);
    expect(here.app.get(OpenConnections).size).toBe(alone ? 0 : 1);
    expect(closedIn(here)).toEqual([]);
  });

  test('RBAC-13 is let go of when its peer goes without a word', async () => {
    const here = await start(carrier);
    const subject = await here.somebody('reader');
    const id = notes.of(subject);
    const peer = await connect(carrier, here, subject);
    await listen(peer, 'note', id);
    await listen(peer, 'silent', id);
    await peer.end();
    await until(() => notes.listenersOf(id) === 0);
    expect([streamsOf(here), here.app.get(OpenConnections).size]).toEqual([0, 0]);
  });

  test('RBAC-13 is one of as many as a caller may have, wherever they run; one that ends makes room', async () => {
    const here = await start(carrier, [ThrottlingModule.forRoot({ streamsPerCaller: 3 })]);
    const [subject, other] = [await here.somebody('reader'), await here.somebody('reader')];
    const id = notes.of(subject, other);
    const [peer, second] = [await connect(carrier, here, subject), await connect(carrier, here, subject)];
    const ids = [id, notes.of(subject), notes.of(subject)];
    const streams = [
      await listen(peer, 'note', ids[0]!),
      await listen(peer, 'silent', ids[1]!),
      await listen(second, 'note', ids[2]!),
    ];
    // Endless ones that say nothing: each is a stream once it has lasted.
    const flood = Array.from({ length: 30 }, () => second.listen('silent', notes.of(subject)));
    const ends = await Promise.all(flood.map(({ ended }) => ended));
    expect(JSON.stringify(ends)).toContain('too-many-requests');
    await until(() => streamsOf(here) === 3);
    expect(flood.flatMap(({ said }) => said)).toEqual([]);
    expect(here.events.filter(({ action }) => action === 'throttle.refused')[0]).toMatchObject({
      actor: subject,
      reason: 'the caller has as many streams running as one may',
      detail: { code: 'too-many-requests' },
    });
    // Others have room of their own.
    await listen(await connect(carrier, here, other), 'note', id);
    expect(streams[0]!.said).toHaveLength(1);
    notes.say(ids[1]!, 'end');
    await until(() => streamsOf(here) === 3);
    await listen(peer, 'note', ids[1]!);
    expect(streamsOf(here)).toBe(4);
  });

  test('RBAC-13 is ended at once when what it was asked for was revoked while its handler made up its mind', async () => {
    const here = await start(carrier);
    const subject = newSubject();
    const grant = await here.give(subject, 'reader');
    const id = notes.of(subject);
    const peer = await connect(carrier, here, subject);
    const deciding = held();
    notes.deciding = deciding.until;
    const [before, felt] = [notes.decided, vi.spyOn(here.app.get(OpenConnections), 'reconsider')];
    const heard = peer.listen('silent', id);
    await until(() => notes.decided > before);
    await here.grants.revoke(grant, SYSTEM_PRINCIPAL);
    await until(() => felt.mock.calls.length > 0);
    deciding.release();
    const releasedAtMs = performance.now();
    expect(await heard.ended).toEqual(refused('permission-denied', 403));
    expect(performance.now() - releasedAtMs).toBeLessThan(FELT_WITHIN_MS);
    await until(() => notes.listenersOf(id) === 0);
    expect(streamsOf(here)).toBe(0);
  });

  test('RBAC-13 ends for nothing when the judgement that refuses it comes after its own end', async () => {
    const here = await start(carrier);
    const subject = await here.somebody('reader');
    const [ending, lasting] = [notes.of(subject), notes.of(subject)];
    const peer = await connect(carrier, here, subject);
    const streams = [await listen(peer, 'note', lasting), await listen(peer, 'note', ending)];
    await tell('before', [lasting, ending], streams);
    const loading = held();
    notes.loading = loading.until;
    const judged = vi.spyOn(here.app.get(Pipeline), 'judgeAgain');
    here.app.get(OpenConnections).reconsider(() => true);
    await until(() => judged.mock.calls.length > 0);
    notes.delete(ending);
    notes.say(ending, 'end');
    await until(() => streamsOf(here) === 1);
    loading.release();
    await verdictsOf(judged);
    await tell('after', [lasting], streams.slice(0, 1));
    expect(closedIn(here)).toEqual([]);
  });

  test('FLT-06 RBAC-13 is ended when nobody can be judged any more: nobody listens on while the database is away', async () => {
    const proxy = await startFaultProxy(database.appUrl);
    open.push({ end: () => proxy.close() });
    const here = await start(carrier, [], proxy.through(database.appUrl));
    const subject = await here.somebody('reader');
    const id = notes.of(subject);
    const heard = await listen(await connect(carrier, here, subject), 'note', id);
    const awayAtMs = performance.now();
    proxy.blackHole();
    await heard.ended;
    // Trusted for a second, asked again within another.
    expect(performance.now() - awayAtMs).toBeLessThan(2 * FELT_WITHIN_MS + 500);
    proxy.pass();
    await until(() => notes.listenersOf(id) === 0);
    expect(streamsOf(here)).toBe(0);
  });

  test('RBAC-13 is ended and forgotten although its source does not let go', async () => {
    const here = await start(carrier);
    const subject = newSubject();
    const grant = await here.give(subject, 'reader');
    const id = (notes.clinging = notes.of(subject));
    const peer = await connect(carrier, here, subject);
    const heard = await listen(peer, 'note', id);
    await here.grants.revoke(grant, SYSTEM_PRINCIPAL);
    expect(await heard.ended).toEqual(refused('permission-denied', 403));
    await until(() => streamsOf(here) === 0);
    expect(notes.listenersOf(id)).toBe(0);
  });
});

test('RBAC-13 a thousand streams of twenty callers are ended by one change of a role, and nothing of them is kept', async () => {
  const here = await start(TCP);
  await here.roles.put('listener', { permissions: ['documents:read'] }, SYSTEM_PRINCIPAL);
  const callers = await Promise.all(Array.from({ length: 20 }, () => here.somebody('listener')));
  const other = await here.somebody('reader');
  const id = notes.of(...callers, other);
  const kept = await listen(await connect(TCP, here, other), 'note', id);
  const peers = await Promise.all(callers.map((caller) => connect(TCP, here, caller)));
  const streams = peers.flatMap((peer) => Array.from({ length: 50 }, () => peer.listen('note', id)));
  await until(() => notes.listenersOf(id) === 1_001);
  await here.roles.put('listener', { permissions: [] }, SYSTEM_PRINCIPAL);
  const ends = await Promise.all(streams.map(({ ended }) => ended as Promise<{ status: number }>));
  // What could not be judged again in time, on a busy machine, is ended as well.
  expect(ends.filter(({ status }) => status !== 403 && status !== 503)).toEqual([]);
  await until(() => notes.listenersOf(id) === 1);
  expect([kept.isOpen(), streamsOf(here), here.app.get(OpenConnections).size]).toEqual([true, 1, 1]);
});

test('RBAC-13 what an Observable says and ends with at once is an answer, and the socket stays let in for it', async () => {
  const here = await start(SOCKET);
  const subject = await here.somebody('reader');
  const id = notes.of(subject);
  const peer = await connect(SOCKET, here, subject);
  const heard = peer.listen('once', id);
  await until(() => heard.said.length > 0);
  expect(streamsOf(here)).toBe(0);
  // A room that such a handler has joined is nothing that anybody sees: it is closed, as after any other message.
  notes.delete(id);
  here.app.get(OpenConnections).reconsider(() => true);
  expect(await heard.ended).toEqual({ code: 1008, reason: 'not-found' });
});

test('RBAC-13 a refused stream is refused again, however often an interceptor asks for it', async () => {
  const here = await start(TCP);
  const subject = newSubject();
  const grant = await here.give(subject, 'reader');
  const id = notes.of(subject);
  const heard = await listen(await connect(TCP, here, subject), 'stubborn', id);
  await here.grants.revoke(grant, SYSTEM_PRINCIPAL);
  expect(await heard.ended).toEqual({ code: 'permission-denied', status: 403 });
  expect(heard.said).toEqual([`welcome ${subject}`]);
  expect([notes.listenersOf(id), streamsOf(here)]).toEqual([0, 0]);
  await until(() => closedIn(here).length > 0);
  expect(closedIn(here)).toHaveLength(1);
  expect(here.events.filter(({ action }) => action === 'throttle.refused')).toEqual([]);
});

test('RBAC-13 a stream that speaks while it is subscribed to stops when nobody wants more of it, and is forgotten', async () => {
  const here = await start(TCP);
  const subject = await here.somebody('reader');
  const before = notes.decided;
  const heard = (await connect(TCP, here, subject)).listen('hasty', notes.of(subject));
  expect(await heard.ended).toBe('done');
  expect(heard.said).toEqual([0]);
  expect([notes.decided - before, streamsOf(here), here.app.get(OpenConnections).size]).toEqual([1, 0, 0]);
});

test('RBAC-13 a handler that hands on the stream of the one that it overrides has one stream', async () => {
  const here = await start(TCP);
  const subject = await here.somebody('reader');
  const id = notes.of(subject);
  const heard = await listen(await connect(TCP, here, subject), 'overridden', id);
  expect(streamsOf(here)).toBe(1);
  notes.delete(id);
  here.app.get(OpenConnections).reconsider(() => true);
  expect(await heard.ended).toEqual({ code: 'not-found', status: 404 });
});

test('RBAC-13 a microservice streams nothing to a peer that went while its handler made up its mind', async () => {
  const here = await start(TCP);
  const subject = await here.somebody('reader');
  const id = notes.of(subject);
  const [staying, going] = [await connect(TCP, here, subject), await connect(TCP, here, subject)];
  const deciding = held();
  notes.deciding = deciding.until;
  const before = notes.decided;
  going.listen('silent', id);
  await until(() => notes.decided > before);
  await going.end();
  // It is counted out before it is told of.
  do await new Promise(setImmediate);
  while ((await tcpPeersOf(here)) > 1);
  await new Promise(setImmediate);
  const begun = notes.begun;
  deciding.release();
  // A later message of somebody else has begun to stream by when this one would have.
  await listen(staying, 'silent', notes.of(subject));
  expect([notes.begun - begun, notes.listenersOf(id), streamsOf(here)]).toEqual([1, 0, 1]);
});

test('RBAC-13 a stream is refused with the second thing that it says when its caller has as many as one may', async () => {
  const here = await start(TCP, [ThrottlingModule.forRoot({ streamsPerCaller: 1 })]);
  const subject = await here.somebody('reader');
  const ids = [notes.of(subject), notes.of(subject)] as const;
  const peer = await connect(TCP, here, subject);
  const kept = await listen(peer, 'note', ids[0]);
  await tell('news', [ids[0]], [kept]);
  const refused = await listen(peer, 'note', ids[1]);
  notes.say(ids[1], 'news');
  expect(await refused.ended).toMatchObject({ code: 'too-many-requests', status: 429 });
  expect(refused.said).toEqual([`welcome ${subject}`]);
  expect([notes.listenersOf(ids[0]), notes.listenersOf(ids[1]), streamsOf(here)]).toEqual([1, 0, 1]);
});

test('RBAC-13 answers of one value are no streams, however many are on their way and however long they are worked on', async () => {
  const here = await start(TCP, [ThrottlingModule.forRoot({ streamsPerCaller: 1 })]);
  const subject = await here.somebody('reader');
  const id = notes.of(subject);
  const peer = await connect(TCP, here, subject);
  const kept = await listen(peer, 'note', id);
  await tell('news', [id], [kept]);
  const deciding = held();
  notes.deciding = deciding.until;
  const before = notes.decided;
  const workedOn = peer.listen('worked on', id);
  await until(() => notes.decided > before);
  const answers = ['at once', 'later'].flatMap((name) =>
    Array.from({ length: 50 }, () => peer.listen(name, id)),
  );
  await Promise.all(answers.map(({ ended }) => ended));
  // What has begun after it is a stream by now, and one too many.
  expect(await (await listen(peer, 'note', id)).ended).toMatchObject({ status: 429 });
  deciding.release();
  expect(await workedOn.ended).toBe('done');
  expect([...answers, workedOn].flatMap(({ said }) => said)).toEqual(Array(101).fill('answer'));
  expect(streamsOf(here)).toBe(1);
});

test('RBAC-13 a handler that an interceptor runs from a queue runs and streams as its own caller, whoever drains that', async () => {
  const here = await start(TCP);
  const [subject, other] = [newSubject(), await here.somebody('reader')];
  const grant = await here.give(subject, 'reader');
  const ids = [notes.of(subject), notes.of(other)] as const;
  const [peer, otherPeer] = [await connect(TCP, here, subject), await connect(TCP, here, other)];
  const mine = peer.listen('queued', ids[0]);
  // Theirs drains mine, and mine theirs.
  await until(() => queue.length === 1);
  const theirs = otherPeer.listen('queued', ids[1]);
  await until(() => notes.listenersOf(ids[0]) === 1);
  peer.listen('queued', ids[0]);
  await until(() => notes.listenersOf(ids[1]) === 1);
  await tell('before', ids, [mine, theirs]);
  expect([mine.said[0], theirs.said[0]]).toEqual([`welcome ${subject}`, `welcome ${other}`]);
  await here.grants.revoke(grant, SYSTEM_PRINCIPAL);
  expect(await mine.ended).toEqual({ code: 'permission-denied', status: 403 });
  await tell('after', ids, [theirs]);
  expect(mine.said).not.toContain('after');
});

test.each(['fed', 'fed silently'])(
  'RBAC-13 a stream that an interceptor has made (%s) is judged again and counts like any other',
  async (name) => {
    const here = await start(TCP, [ThrottlingModule.forRoot({ streamsPerCaller: 1 })]);
    const subject = newSubject();
    const grant = await here.give(subject, 'reader');
    const ids = [notes.of(subject), notes.of(subject)] as const;
    const peer = await connect(TCP, here, subject);
    const heard = await listen(peer, name, ids[0]);
    const second = await listen(peer, name, ids[1]);
    expect(await second.ended).toMatchObject({ code: 'too-many-requests', status: 429 });
    expect(streamsOf(here)).toBe(1);
    await here.grants.revoke(grant, SYSTEM_PRINCIPAL);
    expect(await heard.ended).toEqual({ code: 'permission-denied', status: 403 });
    expect([notes.listenersOf(ids[0]), notes.listenersOf(ids[1]), streamsOf(here)]).toEqual([0, 0, 0]);
    await until(() => closedIn(here).length > 0);
    expect(closedIn(here)).toHaveLength(1);
  },
);

test('RBAC-13 what a handler shares among its callers is ended for whom it is refused, and goes on for the others', async () => {
  const here = await start(TCP);
  const [subject, other] = [newSubject(), await here.somebody('reader')];
  const grant = await here.give(subject, 'reader');
  const id = notes.of(subject, other);
  const mine = await listen(await connect(TCP, here, subject), 'shared', id);
  const theirs = (await connect(TCP, here, other)).listen('shared', id);
  await until(() => streamsOf(here) === 2);
  await tell('before', [id], [mine, theirs]);
  await here.grants.revoke(grant, SYSTEM_PRINCIPAL);
  expect(await mine.ended).toEqual({ code: 'permission-denied', status: 403 });
  await tell('after', [id], [theirs]);
  expect([theirs.isOpen(), notes.listenersOf(id), streamsOf(here)]).toEqual([true, 1, 1]);
});

test('RBAC-13 an answer that only looks like a stream fails, and nothing of it is kept', async () => {
  const here = await start(TCP);
  const subject = await here.somebody('reader');
  const heard = (await connect(TCP, here, subject)).listen('broken', notes.of(subject));
  expect(await heard.ended).toMatchObject({ status: 'error' });
  expect([streamsOf(here), here.app.get(OpenConnections).size]).toEqual([0, 0]);
});

test('RBAC-13 a subscription that is left is forgotten, also by whoever leaves before it has begun', async () => {
  const here = await start(GRAPHQL);
  const subject = await here.somebody('reader');
  const peer = await connect(GRAPHQL, here, subject);
  const id = notes.of(subject);
  const left = Array.from({ length: 50 }, (_each, at) => peer.listen(at % 2 === 0 ? 'note' : 'silent', id));
  for (const each of left) each.leave();
  const heard = await listen(peer, 'note', id);
  heard.leave();
  await until(() => notes.listenersOf(id) === 0);
  expect([streamsOf(here), here.app.get(OpenConnections).size]).toEqual([0, 0]);
});

test('RBAC-13 a subscription by a generator runs in the context of its caller, through a filter, and is ended while it waits', async () => {
  const here = await start(GRAPHQL);
  const subject = newSubject();
  const grant = await here.give(subject, 'reader');
  const id = notes.of(subject);
  const heard = await listen(await connect(GRAPHQL, here, subject), 'generated', id);
  for (const text of ['withheld', 'news']) notes.say(id, text);
  await until(() => heard.said.length === 2);
  expect(heard.said).toEqual([`welcome ${subject}`, 'news']);
  await here.grants.revoke(grant, SYSTEM_PRINCIPAL);
  expect(await heard.ended).toEqual([
    { message: 'permission-denied', extensions: { code: 'permission-denied', status: 403 } },
  ]);
  expect(streamsOf(here)).toBe(0);
});

test('RBAC-12 a resolver with a subscription stops the start of an application without the kit that shares it', async () => {
  const { imports, providers } = GRAPHQL.options;
  await start(GRAPHQL);
  class WithoutTheKit {}
  const module = { module: WithoutTheKit, imports: imports!, providers: providers! };
  await expect(NestFactory.create(module, { logger: false, abortOnError: false })).rejects.toThrow(
    'a resolver with @Subscription() is shared with an application that has the kit',
  );
});
