import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { finished, Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { makeOurRequests } from '../../src/http/server-classes.js';
import { ServerRequest } from '../../src/http/server-request.js';
import { openRaw } from './raw-client.js';

type Log = (entry: string) => void;

/** What somebody does with a request. */
type Use = (request: IncomingMessage, log: Log) => unknown;

const EVENTS = ['readable', 'data', 'end', 'close', 'error', 'aborted', 'pause', 'resume'] as const;

const heard =
  (...events: string[]): Use =>
  (request, log) => {
    for (const event of events) {
      request.on(event, () => {
        log(event);
      });
    }
  };

const whenOver =
  (log: Log) =>
  (error?: Error | null): void => {
    log(`finished ${error?.message ?? ''}`);
  };

const USES: Readonly<Record<string, Use>> = {
  'nobody looks at it': () => undefined,
  ...Object.fromEntries(EVENTS.map((event) => [`somebody listens for ${event}`, heard(event)] as const)),
  'somebody listens for everything': heard(...EVENTS),
  'it is resumed': (request) => request.resume(),
  'it is resumed, and heard': (request, log) => {
    heard('end', 'close')(request, log);
    request.resume();
  },
  'it is paused, and heard': (request, log) => {
    heard('data', 'end', 'close')(request, log);
    request.pause();
  },
  'it is read once': (request, log) => {
    log(String(request.read()));
  },
  'it is read when it can be': (request, log) => {
    heard('end', 'close')(request, log);
    request.on('readable', () => {
      log(String(request.read()));
    });
  },
  'it is read as text': (request, log) => {
    request.setEncoding('utf8');
    request.on('data', log).on('end', () => {
      log('end');
    });
  },
  'only its encoding is set': (request) => request.setEncoding('utf8'),
  'it is iterated': async (request, log) => {
    try {
      for await (const chunk of request) log(String(chunk));
      log('iterated');
    } catch (error) {
      log(String(error));
    }
  },
  'it is piped': (request, log) => {
    request.pipe(
      new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          log(chunk.toString());
          done();
        },
        final: (done) => {
          log('final');
          done();
        },
      }),
    );
  },
  'its end is waited for': (request, log) => {
    finished(request, whenOver(log));
  },
  'it is resumed, and its end is waited for': (request, log) => {
    finished(request.resume(), whenOver(log));
  },
  'it is destroyed': (request, log) => {
    heard('close')(request, log);
    request.destroy();
  },
};

/** When somebody does it. */
const MOMENTS: Readonly<Record<string, (response: ServerResponse, then: () => void) => void>> = {
  'at once': (_response, then) => {
    then();
  },
  'a tick later': (_response, then) => {
    process.nextTick(() => {
      process.nextTick(then);
    });
  },
  'by a promise': (_response, then) => void Promise.resolve().then(then),
  'a turn later': (_response, then) => {
    setImmediate(then);
  },
  'when the answer is sent': (response, then) => response.once('finish', then),
  'a tick after the answer is sent': (response, then) =>
    response.once('finish', () => {
      process.nextTick(then);
    }),
  'when the answer is closed': (response, then) => response.once('close', then),
  'when the client could know': (response, then) =>
    response.once('finish', () => void Promise.resolve().then(then)),
  'when it is all over': (response, then) => response.once('close', () => setImmediate(then)),
};

const HEAD = 'HTTP/1.1\r\nHost: localhost\r\n';
/** What is sent, in parts; the target is put in. */
const REQUESTS: Readonly<Record<string, readonly string[]>> = {
  'no body': [`GET TARGET ${HEAD}\r\n`],
  'a body of no bytes': [`POST TARGET ${HEAD}Content-Length: 0\r\n\r\n`],
  'a body': [`POST TARGET ${HEAD}Content-Length: 5\r\n\r\nhello`],
  'a body that comes later': [`POST TARGET ${HEAD}Content-Length: 5\r\n\r\n`, 'he', 'llo'],
  'a body in chunks': [`POST TARGET ${HEAD}Transfer-Encoding: chunked\r\n\r\n`, '5\r\nhello\r\n0\r\n\r\n'],
};

/** When the answer is given. */
const ANSWERS: Readonly<Record<string, (answer: () => void) => unknown>> = {
  'at once': (answer) => {
    answer();
  },
  later: (answer) => setTimeout(answer, 5),
};

interface Case {
  readonly use: Use;
  readonly moment: (typeof MOMENTS)[string];
  readonly answer: (typeof ANSWERS)[string];
  /** Whether the client does not wait for an answer. */
  readonly leaves: boolean;
}

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that does with a request what a test says of it, and tells what came of it. */
class Observed {
  readonly made = new Set<boolean>();
  readonly #handlers = new Map<string, Handle>();
  #last = 0;
  readonly #server = createServer((request, response) =>
    this.#handlers.get(request.url ?? '')?.(request, response),
  );

  constructor(isOurs: boolean) {
    if (isOurs) makeOurRequests(this.#server);
    this.#handlers.set('/another', (_request, response) => response.end('another'));
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async observe(parts: readonly string[], { use, moment, answer, leaves }: Case): Promise<unknown> {
    const entries: string[] = [];
    let seen: IncomingMessage | undefined;
    this.#last += 1;
    const target = `/${this.#last}`;
    this.#handlers.set(target, (request, response) => {
      seen = request;
      this.made.add(request instanceof ServerRequest);
      moment(response, () => use(request, (entry) => entries.push(entry)));
      if (!leaves) answer(() => response.end('ok'));
    });
    const socket = await openRaw((this.#server.address() as AddressInfo).port);
    socket.on('error', () => undefined);
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
    const answered = (text: string): Promise<unknown> =>
      vi.waitUntil(() => received.endsWith(text) || socket.destroyed, { interval: 5 });
    for (const part of parts) {
      socket.write(part.replace('TARGET', target));
      await settled();
    }
    if (leaves) socket.destroy();
    else await answered('ok');
    await settled();
    const state = seen && stateOf(seen);
    // Whether the connection is still good for another one.
    if (!socket.destroyed) {
      socket.write(`GET /another ${HEAD}\r\n`);
      await Promise.race([answered('another'), settled(200)]);
    }
    socket.destroy();
    // What is left out, see `ServerRequest`: of what begins at once it is compared.
    const left: readonly string[] = moment === MOMENTS['at once'] ? [] : ['resume'];
    const isSoon = moment === MOMENTS['when the answer is sent'] || moment === MOMENTS['by a promise'];
    const compared = entries.filter(
      (entry) => !left.includes(entry) && !(isSoon && ['readable', 'null'].includes(entry)),
    );
    return { entries: compared, state, another: received.endsWith('another') };
  }
}

const settled = (milliseconds = 20): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

function stateOf(request: IncomingMessage): unknown {
  const { closed, complete, destroyed, errored, readable, readableEnded, readableLength } = request;
  const { readableAborted, readableDidRead } = request;
  // Says nothing of what has ended.
  const readableFlowing = readableEnded ? undefined : request.readableFlowing;
  return {
    ...{ closed, complete, destroyed, errored: errored?.message, readable, readableEnded },
    ...{ readableLength, readableAborted, readableFlowing, readableDidRead },
    // Held for as long as the connection is open, where it is not.
    held: (request.socket as { parser?: { incoming?: unknown } }).parser?.incoming === request,
  };
}

// Parts of a request may come together on a busy machine, at one of the two servers: what differs does so each time.
describe('requests of our servers', { retry: 3 }, () => {
  const [ours, theirs] = [new Observed(true), new Observed(false)];
  beforeAll(() => Promise.all([ours.start(), theirs.start()]));
  afterAll(() => {
    ours.stop();
    theirs.stop();
    // Else nothing was compared.
    expect([...ours.made]).toEqual([true]);
    expect([...theirs.made]).toEqual([false]);
  });

  /** At every moment, with every answer. */
  const compare = async (shape: string, used: string, leaves: boolean): Promise<void> => {
    const parts = REQUESTS[shape] as readonly string[];
    const use = USES[used] as Use;
    const cases = Object.entries(MOMENTS).flatMap(([at, moment]) =>
      Object.entries(ANSWERS).map(([when, answer]) => ({
        name: `used ${at}, answered ${when}`,
        each: { use, moment, answer, leaves },
      })),
    );
    const observed = (server: Observed): Promise<unknown[]> =>
      Promise.all(cases.map(async ({ name, each }) => [name, await server.observe(parts, each)]));
    const [found, expected] = await Promise.all([observed(ours), observed(theirs)]);
    expect(found).toEqual(expected);
  };

  describe.each(Object.keys(REQUESTS))('with %s', (shape) => {
    test.each(Object.keys(USES))('are what those of Node.js are: %s', (used) => compare(shape, used, false));
  });

  describe.each(['no body', 'a body that comes later'])('with %s, whose client leaves', (shape) => {
    test.each(Object.keys(USES))('are what those of Node.js are: %s', (used) => compare(shape, used, true));
  });
});
