import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';

/** One peer of a gateway, who writes down what comes. */
export interface Socket {
  readonly messages: unknown[];
  /** Settles with the close frame's code and reason when the server ends it. */
  readonly closed: Promise<{ code: number; reason: string }>;
  isOpen(): boolean;
  send(event: string, data?: unknown): void;
  /** Sends, and waits for what is said next. */
  say(event: string, data?: unknown): Promise<unknown>;
  end(): void;
}

/** Opens a socket as somebody or nobody. Whether it may stay open is another question. */
export async function socketOf(app: { readonly url: string }, as?: string, path = ''): Promise<Socket> {
  const headers = as === undefined ? {} : { authorization: `Bearer ${as}` };
  const socket = new WebSocket(app.url.replace('http', 'ws') + path, { headers });
  const messages: unknown[] = [];
  socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString())));
  socket.on('error', () => undefined);
  const closed = (once(socket, 'close') as Promise<[number, Buffer]>).then(([code, reason]) => ({
    code,
    reason: reason.toString(),
  }));
  await once(socket, 'open');
  const send = (event: string, data: unknown = {}): void => {
    socket.send(JSON.stringify({ event, data }));
  };
  return {
    messages,
    closed,
    isOpen: () => socket.readyState === WebSocket.OPEN,
    send,
    async say(event, data) {
      const answer = once(socket, 'message') as Promise<[Buffer]>;
      send(event, data);
      const [message] = await answer;
      return JSON.parse(message.toString()) as unknown;
    },
    end: () => {
      socket.terminate();
    },
  };
}

/** The answer of a handler that streams, read as it comes. */
export interface Stream {
  readonly status: number;
  text(): string;
  /** Settles when the server ends it, in whatever way. */
  readonly ended: Promise<void>;
  isOpen(): boolean;
  end(): void;
}

export async function streamOf(
  app: { readonly url: string },
  path: string,
  headers: Record<string, string> = {},
): Promise<Stream> {
  // A connection of its own, and none after it: a client with a pool opens the next one as soon as this is gone.
  const request = get(`${app.url}${path}`, { headers, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  // Cut off in the middle of a chunk is an end like any other.
  response.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => response.once('close', resolve));
  return {
    status: response.statusCode ?? 0,
    text: () => text,
    ended,
    isOpen: () => !response.closed,
    end: () => {
      request.destroy();
    },
  };
}
