import { Server as HttpServer } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { Server, Socket } from 'node:net';

const LOOK_EVERY_MS = 500;
/** Looks that a time-out lasts at least: what is shorter, Node.js is told at once, or it would be much too late. */
const LEAST_LOOKS = 3;

/**
 * Gives a connection the timer of its time-out when it stands still, and not with each request. Node.js sets two of them for
 * each request of a connection that is kept alive, and sets them back with each read and write, which takes the better part
 * of a microsecond. Which time-out holds when, and what happens at its end, stays as Node.js has it: it ends when nothing has
 * moved for its time, or some looks later. What anybody else sets on a connection is Node's at once.
 *
 * Servers of HTTP/2 count by session, and are left as they are.
 *
 * @param lookEveryMs milliseconds between two looks at all connections. @default 500
 */
export function armTimeoutsLate(server: Server, lookEveryMs = LOOK_EVERY_MS): void {
  const event =
    server instanceof HttpsServer
      ? 'secureConnection'
      : server instanceof HttpServer
        ? 'connection'
        : undefined;
  if (event === undefined) return;
  const http = server as HttpServer;
  const watched = new Set<LateTimeout>();
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    for (const each of watched) {
      // Who takes a connection over may take its listeners away.
      if (each.isOver) watched.delete(each);
      else each.look();
    }
    if (watched.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  // Before Node.js sets the first one.
  server.prependListener(event, (socket: Partial<Socket>) => {
    // A server can be handed any stream as a connection: what does not count its bytes is not seen to stand still.
    if (!countsBytes(socket)) return;
    const timeout = new LateTimeout(
      socket,
      (milliseconds) => milliseconds >= LEAST_LOOKS * lookEveryMs && isOfServer(http, milliseconds),
    );
    watched.add(timeout);
    socket.once('close', () => watched.delete(timeout));
    timer ??= setInterval(look, lookEveryMs).unref();
  });
}

const countsBytes = (socket: Partial<Socket>): socket is Socket =>
  typeof socket.bytesRead === 'number' &&
  typeof socket.bytesWritten === 'number' &&
  typeof socket.setTimeout === 'function';

/** Whether Node.js sets it of itself. What a handler sets ends in the asynchronous context of that handler. */
function isOfServer(server: HttpServer & { keepAliveTimeoutBuffer?: number }, milliseconds: number): boolean {
  const { timeout, keepAliveTimeout, keepAliveTimeoutBuffer } = server;
  return (
    milliseconds === timeout ||
    milliseconds === keepAliveTimeout ||
    // Versions of Node.js differ in what they add for the way to the client.
    milliseconds === keepAliveTimeout + (keepAliveTimeoutBuffer ?? 1_000)
  );
}

class LateTimeout {
  readonly #socket: Socket & { timeout?: number };
  readonly #canWait: (milliseconds: number) => boolean;
  readonly #setTimer: (milliseconds: number, onTimeout?: () => void) => unknown;
  #milliseconds = 0;
  /** Whether Node.js has a timer, and is to be told when there should be none. */
  #isArmed = false;
  #bytes = 0;

  constructor(socket: Socket, canWait: (milliseconds: number) => boolean) {
    this.#socket = socket;
    this.#canWait = canWait;
    this.#setTimer = socket.setTimeout.bind(socket);
    socket.setTimeout = (milliseconds, onTimeout) => {
      this.#set(milliseconds, onTimeout);
      return socket;
    };
  }

  get isOver(): boolean {
    return this.#socket.destroyed;
  }

  /** Once it is armed Node.js sees by itself whether something comes, goes, or is on its way. */
  look(): void {
    if (this.#milliseconds === 0 || this.#isArmed) return;
    const bytes = this.#socket.bytesRead + this.#socket.bytesWritten;
    // What waits to be sent is counted as written already: more and more of it would look as if something moved.
    const stands = bytes === this.#bytes || this.#socket.writableLength > 0;
    this.#bytes = bytes;
    if (!stands) return;
    this.#isArmed = true;
    this.#setTimer(this.#milliseconds);
  }

  #set(milliseconds: number, onTimeout?: () => void): void {
    const isLate = onTimeout === undefined && (milliseconds === 0 || this.#canWait(milliseconds));
    if (!isLate) {
      // What it refuses changes nothing.
      this.#setTimer(milliseconds, onTimeout);
      this.#isArmed = true;
      return;
    }
    if (this.#isArmed) this.#setTimer(0);
    this.#isArmed = false;
    this.#milliseconds = milliseconds;
    this.#socket.timeout = milliseconds;
  }
}
