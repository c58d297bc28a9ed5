import { Injectable, Module, type ExecutionContext, type INestApplication } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../src/access/grants/actor.js';
import { objectRule } from '../../src/access/objects/object-rule.js';
import { ResourceResolver } from '../../src/access/objects/resource.resolver.js';
import { Authenticator } from '../../src/core/authenticator.js';
import { OpenConnections } from '../../src/core/connections/open-connections.js';
import { Pipeline } from '../../src/core/pipeline.js';
import type { Principal } from '../../src/core/principal.js';
import { Authenticated, Public, RequirePermission } from '../../src/core/route-policy.js';
import type { PublishedSecurityEvent } from '../../src/core/security-events.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startAccess, type AccessApplication } from './access.application.js';
import { newSubject, storeRoles } from './access.fixtures.js';
import { socketOf, type Socket } from './sockets.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await storeRoles(database, { reader: { permissions: ['documents:read'] } });
});
afterAll(() => database.drop());

/** What somebody is asked for, and does not answer while a test holds it. */
class Answers {
  readonly #held = new Map<string, (() => void)[]>();
  #asked: string[] = [];

  /** How often it was asked for since the last test. */
  askedFor(id: string): number {
    return this.#asked.filter((each) => each === id).length;
  }

  hold(id: string): void {
    this.#held.set(id, []);
  }

  /** Answers whoever waits; who asks from now on waits as well. */
  answer(id: string): void {
    for (const answer of this.#held.get(id)?.splice(0) ?? []) answer();
  }

  /** Leaves those who wait waiting for ever, as a host that lost their question does. */
  forget(): void {
    this.#held.clear();
    this.#asked = [];
  }

  of<T>(id: string, answer: T): T | Promise<T> {
    this.#asked.push(id);
    const waiting = this.#held.get(id);
    if (!waiting) return answer;
    return new Promise((resolve) =>
      waiting.push(() => {
        resolve(answer);
      }),
    );
  }
}

const proofs = new Answers();
const objects = new Answers();

/** Whom each message says that it is of, as one does who introspects a token at a server. */
class Introspection extends Authenticator {
  override authenticate(execution: ExecutionContext): Principal | Promise<Principal> {
    const { proof } = execution.switchToWs().getData<{ proof: string }>();
    return proofs.of(proof, { kind: 'account', subject: proof });
  }
}

@Module({})
class IntrospectionModule {
  constructor(pipeline: Pipeline) {
    pipeline.useAuthenticator(new Introspection());
  }
}

@Injectable()
class Book extends ResourceResolver<object> {
  readonly rule = objectRule<object>({ type: 'book', name: 'every', holds: () => true });

  async load(id: string): Promise<object> {
    return objects.of(id, {});
  }
}

@WebSocketGateway({ path: '/books' })
class BooksGateway {
  @Public()
  handleConnection(): void {
    return;
  }

  @SubscribeMessage('hello')
  @Authenticated()
  hello(): object {
    return { event: 'hello', data: 'hello' };
  }

  @SubscribeMessage('read')
  @RequirePermission('documents:read', { resource: Book })
  read(): object {
    return { event: 'read', data: 'read' };
  }
}

let open: { end(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.reverse()) await each.end();
  open = [];
  proofs.forget();
  objects.forget();
});

async function start(): Promise<AccessApplication> {
  const started = await startAccess(database, {
    withIdentity: false,
    imports: [IntrospectionModule],
    providers: [BooksGateway, Book],
    configure: (app: INestApplication) => app.useWebSocketAdapter(new WsAdapter(app)),
  });
  open.push({ end: () => started.close() });
  return started;
}

async function socket(app: AccessApplication): Promise<Socket> {
  const opened = await socketOf(app, undefined, '/books');
  open.push(opened);
  return opened;
}

/** A socket that was let in by these messages, each with the proof of whoever says it. */
async function letIn(
  app: AccessApplication,
  ...messages: readonly (readonly [proof: string, event: 'hello' | 'read', id?: string])[]
): Promise<Socket> {
  const opened = await socket(app);
  for (const [proof, event, id] of messages) {
    expect(await opened.say(event, { proof, id })).toEqual({ event, data: event });
  }
  return opened;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

async function closedIn({ events }: AccessApplication): Promise<PublishedSecurityEvent[]> {
  const closed = (): PublishedSecurityEvent[] =>
    events.filter(({ action }) => action === 'connection.closed');
  await until(() => closed().length > 0);
  return closed();
}

test('RBAC-13 of a socket with the messages of several, the end is recorded as of whose call was refused', async () => {
  const here = await start();
  const [first, revoked] = [newSubject(), newSubject()];
  const grant = await here.give(revoked, 'reader');
  const shared = await letIn(here, [first, 'hello'], [revoked, 'read', newSubject()]);
  await here.grants.revoke(grant, SYSTEM_PRINCIPAL);
  expect(await shared.closed).toEqual({ code: 4403, reason: 'permission-denied' });
  expect(await closedIn(here)).toMatchObject([
    { actor: revoked, handler: 'BooksGateway.read', reason: 'a demanded permission is not held' },
  ]);
});

test('RBAC-13 one that could not be judged in time is recorded as of the call that was being judged', async () => {
  const here = await start();
  const [first, late] = [newSubject(), await here.somebody('reader')];
  const book = newSubject();
  const shared = await letIn(here, [first, 'hello'], [late, 'read', book]);
  objects.hold(book);
  here.app.get(OpenConnections).reconsider(() => true, 100);
  expect(await shared.closed).toEqual({ code: 1013, reason: 'temporarily-unavailable' });
  expect(await closedIn(here)).toMatchObject([
    { actor: late, handler: 'BooksGateway.read', detail: { code: 'temporarily-unavailable' } },
  ]);
});

test('RBAC-13 FLT-06 a judgement that never answers ends its own connection, and takes no room from those that come after', async () => {
  const here = await start();
  const silent = Array.from({ length: 12 }, newSubject);
  const waiting = await Promise.all(silent.map((each) => letIn(here, [each, 'hello'])));
  for (const each of silent) proofs.hold(each);
  here.app.get(OpenConnections).reconsider(() => true, 100);
  const codes = await Promise.all(waiting.map(({ closed }) => closed));
  expect(new Set(codes.map(({ code }) => code))).toEqual(new Set([1013]));

  const after = newSubject();
  const kept = await letIn(here, [after, 'hello']);
  const before = proofs.askedFor(after);
  here.app.get(OpenConnections).reconsider(() => true);
  await until(() => proofs.askedFor(after) > before);
  expect(kept.isOpen()).toBe(true);
});

test('RBAC-13 FLT-06 what its peer leaves while it is being judged takes no room either', async () => {
  const here = await start();
  const silent = Array.from({ length: 12 }, newSubject);
  const waiting = await Promise.all(silent.map((each) => letIn(here, [each, 'hello'])));
  for (const each of silent) proofs.hold(each);
  const after = newSubject();
  await letIn(here, [after, 'hello']);
  const before = proofs.askedFor(after);
  const connections = here.app.get(OpenConnections);
  connections.reconsider(() => true, 60_000);
  await until(() => silent.filter((each) => proofs.askedFor(each) > 1).length === 8);
  expect(proofs.askedFor(after)).toBe(before);
  for (const each of waiting) each.end();
  await until(() => proofs.askedFor(after) > before);
  expect(connections.size).toBe(1);
});

test('RBAC-13 who has many objects that take their time is late alone: all others get their turn, and room for it', async () => {
  const here = await start();
  const [many, others] = [
    await here.somebody('reader'),
    await Promise.all([1, 2, 3].map(() => here.somebody('reader'))),
  ];
  const [slow, quick] = [newSubject(), newSubject()];
  const hers = await Promise.all(Array.from({ length: 20 }, () => letIn(here, [many, 'read', slow])));
  const theirs = await Promise.all(others.map((each) => letIn(here, [each, 'read', quick])));
  const [hersBefore, theirsBefore] = [objects.askedFor(slow), objects.askedFor(quick)];
  objects.hold(slow);
  here.app.get(OpenConnections).reconsider(() => true, 400);
  await until(() => objects.askedFor(quick) >= theirsBefore + theirs.length);
  expect(objects.askedFor(slow) - hersBefore).toBeLessThanOrEqual(4);
  const codes = await Promise.all(hers.map(({ closed }) => closed));
  expect(new Set(codes.map(({ code }) => code))).toEqual(new Set([1013]));
  expect(theirs.map((each) => each.isOpen())).toEqual([true, true, true]);
});

test('RBAC-13 who asks for an object while waiting for their turn waits for it where objects are loaded', async () => {
  const here = await start();
  const [silent, reader] = [Array.from({ length: 8 }, newSubject), await here.somebody('reader')];
  const [slow, after] = [newSubject(), newSubject()];
  await Promise.all(silent.map((each) => letIn(here, [each, 'hello'])));
  const changing = await letIn(here, [reader, 'hello']);
  for (const each of silent) proofs.hold(each);
  const connections = here.app.get(OpenConnections);
  connections.reconsider(() => true, 60_000);
  await until(() => silent.every((each) => proofs.askedFor(each) > 1));
  expect(await changing.say('read', { proof: reader, id: slow })).toEqual({ event: 'read', data: 'read' });
  objects.hold(slow);
  proofs.answer(silent[0]!);
  await until(() => objects.askedFor(slow) > 1);

  await letIn(here, [after, 'hello']);
  const before = proofs.askedFor(after);
  connections.reconsider(({ subject }) => subject === after);
  await until(() => proofs.askedFor(after) > before);
});

test('RBAC-13 an answer settles what was asked before it was looked for; what was asked since has its own time', async () => {
  const here = await start();
  const [patient, hasty] = [newSubject(), newSubject()];
  const [kept, ended] = [await letIn(here, [patient, 'hello']), await letIn(here, [hasty, 'hello'])];
  const connections = here.app.get(OpenConnections);
  const ask = (who: string, withinMs: number): void => {
    connections.reconsider(({ subject }) => subject === who, withinMs);
  };
  const askedOnceMore = async (who: string): Promise<void> => {
    const before = proofs.askedFor(who);
    await until(() => proofs.askedFor(who) > before);
  };
  for (const each of [patient, hasty]) {
    proofs.hold(each);
    ask(each, 400);
    await askedOnceMore(each);
  }
  ask(patient, 60_000);
  ask(hasty, 600);
  for (const each of [patient, hasty]) {
    proofs.answer(each);
    await askedOnceMore(each);
  }
  expect(await ended.closed).toEqual({ code: 1013, reason: 'temporarily-unavailable' });
  expect(kept.isOpen()).toBe(true);
});
