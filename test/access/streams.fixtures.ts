import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import {
  Controller,
  Injectable,
  UseInterceptors,
  type CallHandler,
  type INestApplication,
  type INestMicroservice,
} from '@nestjs/common';
import { Args, GraphQLModule, Query, Resolver, Subscription } from '@nestjs/graphql';
import { MessagePattern, Payload, Transport, type MicroserviceOptions } from '@nestjs/microservices';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WsAdapter } from '@nestjs/platform-ws';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { AddressInfo, Server } from 'node:net';
import { promisify } from 'node:util';
import { filter, map, Observable, of, retry, share, Subject, switchMap, take, timer } from 'rxjs';
import { objectRule } from '../../src/access/objects/object-rule.js';
import { ResourceResolver } from '../../src/access/objects/resource.resolver.js';
import { Authenticated, Public, RequirePermission } from '../../src/core/route-policy.js';
import { RequestContext } from '../../src/core/request-context.js';
import type { HostileOptions } from '../support/hostile.application.js';
import type { AccessApplication } from './access.application.js';
import { newSubject } from './access.fixtures.js';
import { overGraphql, overSocket, overSocketIo, overTcp, type Peer } from './stream-peers.js';

interface Note {
  readonly id: string;
  readonly readers: Set<string>;
}

/** What the handlers below stream: what is said of a note, to whoever may read it. */
class Notes {
  readonly #notes = new Map<string, Note>();
  readonly #said = new Subject<{ readonly id: string; readonly text: string }>();
  readonly #listeners = new Map<string, number>();
  /** What loading waits for, where a test holds it; and handlers, before they answer. */
  loading: Promise<unknown> = Promise.resolve();
  deciding: Promise<unknown> = Promise.resolve();
  /** How many handlers came to that, and how many streams were listened to. */
  decided = 0;
  begun = 0;
  /** Of what does not let go when it is left. */
  clinging: string | undefined;

  /** A new one. @returns its id */
  of(...readers: string[]): string {
    const id = newSubject();
    this.#notes.set(id, { id, readers: new Set(readers) });
    return id;
  }

  async load(id: string): Promise<Note | undefined> {
    await this.loading;
    return this.#notes.get(id);
  }

  delete(id: string): void {
    this.#notes.delete(id);
  }

  takeFrom(id: string, reader: string): void {
    this.#notes.get(id)?.readers.delete(reader);
  }

  /** @param text `end` is the last that is said */
  say(id: string, text: string): void {
    this.#said.next({ id, text });
  }

  listenersOf(id: string): number {
    return this.#listeners.get(id) ?? 0;
  }

  /** Begins with a word of welcome, in the very turn in which it is asked for. */
  heardOf(id: string): Observable<{ id: string; said: string }> {
    return new Observable((subscriber) => {
      this.begun += 1;
      this.#listeners.set(id, this.listenersOf(id) + 1);
      subscriber.next({ id, said: `welcome ${RequestContext.current()?.principal?.subject ?? 'nobody'}` });
      const listening = this.#said.pipe(filter((each) => each.id === id)).subscribe(({ text }) => {
        if (text === 'end') subscriber.complete();
        else subscriber.next({ id, said: text });
      });
      return () => {
        this.#listeners.set(id, this.listenersOf(id) - 1);
        listening.unsubscribe();
        if (id === this.clinging) throw new Error('it does not let go');
      };
    });
  }
}

export const notes = new Notes();

@Injectable()
class NoteResource extends ResourceResolver<Note> {
  readonly rule = objectRule<Note>({
    type: 'note',
    name: 'shared',
    holds: ({ readers }, { subject }) => readers.has(subject),
  });

  load(id: string): Promise<Note | undefined> {
    return notes.load(id);
  }
}

interface Asked {
  readonly id: string;
}

/** Anybody may come: nothing but what is asked for over it holds a socket. */
@WebSocketGateway({ path: '/notes' })
class NotesGateway {
  @Public()
  handleConnection(): void {
    return;
  }

  @SubscribeMessage('note')
  @RequirePermission('documents:read', { resource: NoteResource })
  note(@MessageBody() { id }: Asked): Observable<unknown> {
    return notes.heardOf(id).pipe(map((data) => ({ event: 'note', data })));
  }

  /** Makes up its mind, and says nothing at first. */
  @SubscribeMessage('silent')
  @RequirePermission('documents:read', { resource: NoteResource })
  async silent(@MessageBody() { id }: Asked): Promise<Observable<unknown>> {
    notes.decided += 1;
    await notes.deciding;
    return notes.heardOf(id).pipe(
      filter(({ said }) => !said.startsWith('welcome')),
      map((data) => ({ event: 'note', data })),
    );
  }

  /** Answers, and is done. */
  @SubscribeMessage('once')
  @RequirePermission('documents:read', { resource: NoteResource })
  once(@MessageBody() { id }: Asked): Observable<unknown> {
    return new Observable((subscriber) => {
      subscriber.next({ event: 'note', data: { id, said: 'once' } });
      subscriber.complete();
    });
  }

  @SubscribeMessage('mine')
  @Authenticated()
  mine(): Observable<unknown> {
    return notes.heardOf('mine').pipe(map((data) => ({ event: 'note', data })));
  }
}

/** What waits for its turn in a queue of the application. */
export const queue: (() => void)[] = [];

@Controller()
class NotesController {
  #shared: Observable<unknown> | undefined;

  @MessagePattern('note')
  @RequirePermission('documents:read', { resource: NoteResource })
  note(@Payload() { id }: Asked): Observable<unknown> {
    return notes.heardOf(id);
  }

  @MessagePattern('silent')
  @RequirePermission('documents:read', { resource: NoteResource })
  async silent(@Payload() { id }: Asked): Promise<Observable<unknown>> {
    notes.decided += 1;
    await notes.deciding;
    return notes.heardOf(id).pipe(filter(({ said }) => !said.startsWith('welcome')));
  }

  /** Speaks before anybody could take leave of it, to one who wants the first word alone. */
  @MessagePattern('hasty')
  @UseInterceptors({ intercept: (_execution: unknown, next: CallHandler) => next.handle().pipe(take(1)) })
  @RequirePermission('documents:read', { resource: NoteResource })
  hasty(@Payload() { id }: Asked): Observable<unknown> {
    return new Observable((subscriber) => {
      for (let at = 0; at < 1_000 && !subscriber.closed; at += 1) {
        notes.decided += 1;
        subscriber.next({ id, said: at });
      }
    });
  }

  /** Asked again whenever it fails, by an interceptor of the application. */
  @MessagePattern('stubborn')
  @UseInterceptors({ intercept: (_execution: unknown, next: CallHandler) => next.handle().pipe(retry(3)) })
  @RequirePermission('documents:read', { resource: NoteResource })
  stubborn(@Payload() { id }: Asked): Observable<unknown> {
    notes.decided += 1;
    return notes.heardOf(id);
  }

  /** What another handler answers, one stream for all who ask. */
  @MessagePattern('shared')
  @RequirePermission('documents:read')
  shared(@Payload() asked: Asked): Observable<unknown> {
    this.#shared ??= this.note(asked).pipe(share());
    return this.#shared;
  }

  /** Run from a queue, in the turn and the context of whoever asks next. */
  @MessagePattern('queued')
  @UseInterceptors({
    intercept: (_execution: unknown, next: CallHandler) =>
      new Observable((subscriber) => {
        queue.shift()?.();
        queue.push(() => next.handle().subscribe(subscriber));
      }),
  })
  @RequirePermission('documents:read')
  queued(@Payload() { id }: Asked): Observable<unknown> {
    return notes.heardOf(id);
  }

  /** Answers; an interceptor of the application makes a stream of that. */
  @MessagePattern('fed')
  @UseInterceptors({
    intercept: (_execution: unknown, next: CallHandler<string>) =>
      next.handle().pipe(switchMap((id) => notes.heardOf(id))),
  })
  @RequirePermission('documents:read')
  fed(@Payload() { id }: Asked): string {
    return id;
  }

  /** The same, and says nothing at first. */
  @MessagePattern('fed silently')
  @UseInterceptors({
    intercept: (_execution: unknown, next: CallHandler<string>) =>
      next.handle().pipe(
        switchMap((id) => notes.heardOf(id)),
        filter(({ said }) => !said.startsWith('welcome')),
      ),
  })
  @RequirePermission('documents:read')
  fedSilently(@Payload() { id }: Asked): string {
    return id;
  }

  /** Answers of one value: at once, when it is there, and from a handler that works on it. */
  @MessagePattern('at once')
  @Authenticated()
  atOnce(): Observable<unknown> {
    return of({ said: 'answer' });
  }

  @MessagePattern('later')
  @Authenticated()
  later(): Observable<unknown> {
    return timer(50).pipe(map(() => ({ said: 'answer' })));
  }

  @MessagePattern('worked on')
  @Authenticated()
  async workedOn(): Promise<unknown> {
    notes.decided += 1;
    await notes.deciding;
    return { said: 'answer' };
  }

  /** Passes for an Observable of another copy of RxJS, and is none that anybody can subscribe to. */
  @MessagePattern('broken')
  @Authenticated()
  broken(): unknown {
    return { lift: () => undefined, subscribe: () => undefined };
  }
}

/** Hands on what the one that it overrides has answered. */
@Controller()
class OverridingController extends NotesController {
  @MessagePattern('overridden')
  @RequirePermission('documents:read', { resource: NoteResource })
  overridden(@Payload() asked: Asked): Observable<unknown> {
    return super.note(asked);
  }
}

@Resolver()
class NotesResolver {
  @Query(() => String)
  @Public()
  nothing(): string {
    return '';
  }

  @Subscription(() => String)
  @RequirePermission('documents:read', { resource: NoteResource })
  note(@Args('id') id: string): object {
    return iterated(notes.heardOf(id).pipe(map(({ said }) => ({ note: said }))));
  }

  @Subscription(() => String)
  @RequirePermission('documents:read', { resource: NoteResource })
  async silent(@Args('id') id: string): Promise<object> {
    notes.decided += 1;
    await notes.deciding;
    return iterated(
      notes.heardOf(id).pipe(
        filter(({ said }) => !said.startsWith('welcome')),
        map(({ said }) => ({ silent: said })),
      ),
    );
  }

  /** A generator, whose turn comes when it is asked, through a filter of Nest's own. */
  @Subscription(() => String, { filter: (value: { generated: string }) => value.generated !== 'withheld' })
  @RequirePermission('documents:read', { resource: NoteResource })
  async *generated(@Args('id') id: string): AsyncGenerator {
    const heard = iterated(notes.heardOf(id).pipe(map(({ said }) => said)));
    try {
      for (let at = await heard.next(); at.done !== true; at = await heard.next())
        yield { generated: at.value };
    } finally {
      await heard.return();
    }
  }
}

/** What is pushed, for whoever asks for the next of it. */
function iterated<T>(source: Observable<T>): {
  next(): Promise<IteratorResult<T, undefined>>;
  return(): Promise<IteratorResult<T, undefined>>;
  [Symbol.asyncIterator](): unknown;
} {
  const over = { done: true, value: undefined } as const;
  const said: T[] = [];
  let wake = (): void => undefined;
  let isOver = false;
  const end = (): void => {
    isOver = true;
    wake();
  };
  const listening = source.subscribe({
    next: (value) => {
      said.push(value);
      wake();
    },
    complete: end,
  });
  return {
    async next() {
      while (said.length === 0 && !isOver) await new Promise<void>((resolve) => (wake = resolve));
      return said.length > 0 ? { done: false, value: said.shift() as T } : over;
    },
    return() {
      listening.unsubscribe();
      end();
      return Promise.resolve(over);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** One way to ask for streams, with what an application needs for it. */
export interface Carrier {
  readonly options: Partial<HostileOptions>;
  connect(app: AccessApplication, as: string): Promise<Peer>;
}

export const SOCKET: Carrier = {
  options: {
    providers: [NotesGateway, NoteResource],
    configure: (app: INestApplication) => app.useWebSocketAdapter(new WsAdapter(app)),
  },
  connect: overSocket,
};

export const SOCKET_IO: Carrier = {
  options: {
    providers: [NotesGateway, NoteResource],
    configure: (app: INestApplication) => app.useWebSocketAdapter(new IoAdapter(app)),
  },
  connect: overSocketIo,
};

const services = new WeakMap<INestApplication, INestMicroservice>();
export const TCP: Carrier = {
  options: {
    controllers: [NotesController, OverridingController],
    providers: [NoteResource],
    async configure(app: INestApplication) {
      const options = { host: '127.0.0.1', port: 0 };
      services.set(app, app.connectMicroservice<MicroserviceOptions>({ transport: Transport.TCP, options }));
      await app.startAllMicroservices();
    },
  },
  connect({ app }, as) {
    const { port } = services.get(app)!.unwrap<Server>().address() as AddressInfo;
    return overTcp(port, as);
  },
};

/** How many peers the server itself has. */
export function tcpPeersOf({ app }: AccessApplication): Promise<number> {
  const server = services.get(app)!.unwrap<Server>();
  return promisify(server.getConnections.bind(server))();
}

export const GRAPHQL: Carrier = {
  options: {
    access: { adapterRoutes: [{ method: 'USE', path: '/graphql', reason: 'each resolver has its policy' }] },
    providers: [NotesResolver, NoteResource],
    imports: [
      GraphQLModule.forRoot<ApolloDriverConfig>({
        driver: ApolloDriver,
        autoSchemaFile: true,
        includeStacktraceInErrorResponses: false,
        subscriptions: { 'graphql-ws': true },
        context: ({ req, extra }: { req?: object; extra?: { request: object } }) => ({
          req: req ?? extra?.request,
        }),
      }),
    ],
  },
  connect: overGraphql,
};
