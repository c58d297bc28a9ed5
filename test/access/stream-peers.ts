import { ClientProxyFactory, Transport, type ClientProxy } from '@nestjs/microservices';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { ioPeerOf } from './io-peers.js';
import { socketOf } from './sockets.js';

/** One stream, as whoever asked for it hears it. */
export interface Heard {
  readonly said: unknown[];
  /** Settles with why it ended: an error of the stream, the close frame of its socket, or `done`. */
  readonly ended: Promise<unknown>;
  isOpen(): boolean;
  /** Wants no more of it, where the transport has a word for that. */
  leave(): void;
}

/** One connection of somebody, which carries as many streams as are asked for. */
export interface Peer {
  /** Asks for a stream: of a note, from the handler of that name. */
  listen(name: string, id: string): Heard;
  isOpen(): boolean;
  end(): unknown;
}

export interface SubscribingPeer extends Peer {
  subscribe(query: string, variables: Record<string, unknown>): Heard;
}

function heard(leave: () => void = () => undefined): Heard & { over(reason: unknown): void } {
  let over!: (reason: unknown) => void;
  let isOpen = true;
  const ended = new Promise<unknown>((resolve) => {
    over = (reason) => {
      isOpen = false;
      resolve(reason);
    };
  });
  return { said: [], ended, isOpen: () => isOpen, over, leave };
}

/** Over a bare WebSocket, whose answers say themselves of which note they are. */
export async function overSocket(app: { readonly url: string }, as: string): Promise<Peer> {
  const socket = await socketOf(app, as, '/notes');
  const streams = new Map<string, ReturnType<typeof heard>>();
  const read = (): void => {
    for (const message of socket.messages.splice(0) as { event: string; data: unknown }[]) {
      const { id, said } = message.data as { id?: string; said?: unknown };
      if (message.event === 'exception') for (const each of streams.values()) each.over(message.data);
      else if (id !== undefined) streams.get(id)?.said.push(said);
    }
  };
  const reading = setInterval(read, 2);
  void socket.closed.then((frame) => {
    clearInterval(reading);
    read();
    for (const each of streams.values()) each.over(frame);
  });
  return {
    listen(name, id) {
      const stream = heard();
      streams.set(id, stream);
      socket.send(name, { id });
      return stream;
    },
    isOpen: socket.isOpen,
    end: socket.end,
  };
}

/** The same gateway over Socket.IO. */
export async function overSocketIo(app: { readonly url: string }, as: string): Promise<Peer> {
  const peer = await ioPeerOf(app, 'over a websocket alone', { as, path: '/notes' });
  const streams = new Map<string, ReturnType<typeof heard>>();
  peer.socket.on('note', ({ id, said }: { id: string; said: unknown }) => streams.get(id)?.said.push(said));
  peer.socket.on('exception', (problem: unknown) => {
    for (const each of streams.values()) each.over(problem);
  });
  return {
    listen(name, id) {
      const stream = heard();
      streams.set(id, stream);
      peer.socket.emit(name, { id });
      return stream;
    },
    isOpen: () => peer.socket.connected,
    end: peer.end,
  };
}

/** Over TCP between services. */
export async function overTcp(port: number, as: string): Promise<Peer> {
  const client: ClientProxy = ClientProxyFactory.create({
    transport: Transport.TCP,
    options: { host: '127.0.0.1', port },
  });
  await client.connect();
  let isOpen = true;
  return {
    listen(name, id) {
      const stream = heard();
      client.send<unknown>(name, { id, proof: `Bearer ${as}` }).subscribe({
        next: (value) => stream.said.push((value as { said?: unknown }).said),
        error: stream.over,
        complete: () => {
          stream.over('done');
        },
      });
      return stream;
    },
    isOpen: () => isOpen,
    end() {
      isOpen = false;
      client.close();
    },
  };
}

/** Over `graphql-transport-ws`, with a client of the library itself. */
export async function overGraphql(app: { readonly url: string }, as: string): Promise<SubscribingPeer> {
  class ProvingSocket extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols, { headers: { authorization: `Bearer ${as}` } });
    }
  }
  let isOpen = true;
  let opened!: () => void;
  const connected = new Promise<void>((resolve) => (opened = resolve));
  const client = createClient({
    url: `${app.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: ProvingSocket,
    lazy: false,
    retryAttempts: 0,
    onNonLazyError: () => undefined,
    on: {
      connected: () => {
        opened();
      },
      closed: () => (isOpen = false),
    },
  });
  await connected;
  const subscribe = (query: string, variables: Record<string, unknown>): Heard => {
    const stream = heard(() => {
      leave();
    });
    const leave = client.subscribe(
      { query, variables },
      {
        next: ({ data, errors }) => {
          if (data) stream.said.push(Object.values(data)[0]);
          else stream.over(errors);
        },
        error: stream.over,
        complete: () => {
          stream.over('done');
        },
      },
    );
    return stream;
  };
  return {
    subscribe,
    listen: (name, id) => subscribe(`subscription ($id: String!) { ${name}(id: $id) }`, { id }),
    isOpen: () => isOpen,
    end: () => client.dispose(),
  };
}
