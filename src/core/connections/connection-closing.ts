import type { ServerResponse } from 'node:http';
import { dropHeld } from './held-socket.js';
import { messageProblemOf } from '../message-problem.filter.js';
import type { ZeroTrustError } from '../zero-trust-error.js';

/** How long a peer has to take part in a proper end. */
const PATIENCE_MS = 1_000;

/** What the clients of both websocket libraries have of these. */
interface SocketLike {
  readonly readyState?: unknown;
  readonly connected?: unknown;
  close?(code: number, reason: string): void;
  terminate?(): void;
  emit?(event: string, payload: unknown): void;
  disconnect?(close: boolean): void;
  /** What Socket.IO speaks over. */
  readonly conn?: { close?(discard: boolean): void };
}

/** RFC 6455 7.4: 4000 and above belong to applications; 1013 is "try again later" of the IANA registry. */
const CLOSE_CODES: Readonly<Record<number, number>> = { 401: 4401, 403: 4403, 429: 4429, 503: 1013 };
const POLICY_VIOLATION = 1008;
const OPEN = 1;

/** Ends a socket and says why, in the public voice: `ws` by the close frame, Socket.IO by the event `exception`. */
export function closeSocket(client: object, error: ZeroTrustError): void {
  const socket = client as SocketLike;
  dropHeld(client);
  if (typeof socket.disconnect === 'function') {
    socket.emit?.('exception', messageProblemOf(error));
    socket.disconnect(true);
    // One that comes for what is left no more, or does not take it, keeps its end for a minute otherwise.
    const { conn } = socket;
    setTimeout(() => conn?.close?.(true), PATIENCE_MS).unref();
    return;
  }
  // Nothing is sent or delivered any more from here on.
  socket.close?.(CLOSE_CODES[error.status] ?? POLICY_VIOLATION, error.code);
  // A peer that does not answer the close frame keeps its end open otherwise.
  setTimeout(() => socket.terminate?.(), PATIENCE_MS).unref();
}

/** Whether a socket can still be talked to; of one that does not say, it is assumed. */
export function isOpenSocket(client: object): boolean {
  const { readyState, connected } = client as SocketLike;
  if (typeof connected === 'boolean') return connected;
  return typeof readyState === 'number' ? readyState === OPEN : true;
}

/** Ends a response where it is: what was written arrives, and nothing after it. Its status was sent long ago. */
export function closeResponse(response: ServerResponse): void {
  // Whatever still writes fails from now on; that is no fault of the application.
  response.on('error', () => undefined);
  // A finished response knows its connection no more. Over HTTP/2 others share it, and only the stream ends.
  const socket = response.req.httpVersionMajor === 1 ? response.socket : null;
  // A stream of Nest ends its source when the connection is gone. A peer that reads nothing would keep it.
  response.end(() => socket?.destroySoon());
  setTimeout(() => {
    socket?.destroy();
    response.destroy();
  }, PATIENCE_MS).unref();
}
