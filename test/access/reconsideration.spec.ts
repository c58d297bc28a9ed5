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
