import { EventEmitter } from 'node:events';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import type { MessageProblem } from '../../src/core/message-problem.filter.js';

/** How a client of Socket.IO speaks: over a websocket alone, or over HTTP at first, as it does where nobody says. */
export const TRANSPORTS = {
  'over a websocket alone': ['websocket'],
  'over polling that upgrades': ['polling', 'websocket'],
} as const;
export type IoTransport = keyof typeof TRANSPORTS;

/** The type of a packet that holds one, in the protocol of Socket.IO. */
const EVENT = 2;

/** One peer of a Socket.IO gateway, who writes down what comes. */
export interface IoPeer {
  readonly socket: Socket;
  /** Event and payload of whatever came, in its order. */
  readonly heard: (readonly [event: string, ...payload: unknown[]])[];
  /** Settles with the reason when it is over, whoever ended it, with what was said of that. */
  readonly ended: Promise<{ reason: string; why: MessageProblem | undefined }>;
  /** Sends, and waits for the acknowledgement. */
  ask(event: string, data?: unknown): Promise<unknown>;
  end(): void;
}

export interface IoPeerOptions extends Partial<ManagerOptions & SocketOptions> {
  readonly as?: string | undefined;
  readonly namespace?: string;
}

/** Opens a connection as somebody or nobody, and waits until the server has greeted it. Whether it stays is another question. */
export async function ioPeerOf(
  { url }: { readonly url: string },
  transport: IoTransport,
  { as, namespace = '', ...options }: IoPeerOptions = {},
): Promise<IoPeer> {
  const socket = io(url + namespace, {
    transports: [...TRANSPORTS[transport]],
    ...{ forceNew: true, reconnection: false },
    ...(as !== undefined && { extraHeaders: { authorization: `Bearer ${as}` } }),
    ...options,
  });
  return followed(socket);
}

/** Another namespace over the connection of a peer, as a client that multiplexes opens it. */
export function besides({ socket }: IoPeer, namespace: string): Promise<IoPeer> {
  return followed(socket.io.socket(namespace));
}

async function followed(socket: Socket): Promise<IoPeer> {
  const heard: [string, ...unknown[]][] = [];
  socket.onAny((event: string, ...payload: unknown[]) => heard.push([event, ...payload]));
  const ended = new Promise<{ reason: string; why: MessageProblem | undefined }>((resolve) => {
    socket.once('disconnect', (reason) => {
      const why = heard.findLast(([event]) => event === 'exception')?.[1];
      resolve({ reason, why: why as MessageProblem | undefined });
    });
  });
  const refused = new Promise<never>((_resolve, reject) => socket.once('connect_error', reject));
  await Promise.race([new Promise<void>((resolve) => socket.once('connect', resolve)), refused]);
  return {
    socket,
    heard,
    ended,
    ask: (event, data = {}) => socket.timeout(5_000).emitWithAck(event, data) as Promise<unknown>,
    end: () => {
      socket.disconnect();
    },
  };
}

/** Sends an event of any name, also one that the library keeps for itself. */
export function sendUnchecked({ socket }: IoPeer, event: string): void {
  const manager = socket.io as unknown as { _packet(packet: object): void };
  manager._packet({ type: EVENT, nsp: '/', data: [event], options: {} });
}

/** Packets as JSON, and no look at what they say. */
export const uncheckedParser = {
  Encoder: class {
    encode(packet: object): string[] {
      return [JSON.stringify(packet)];
    }
  },
  Decoder: class extends EventEmitter {
    add(text: string): void {
      this.emit('decoded', JSON.parse(text));
    }

    destroy(): void {
      this.removeAllListeners();
    }
  },
};
