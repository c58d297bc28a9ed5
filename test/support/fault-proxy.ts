import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** A TCP proxy before PostgreSQL (or anything else) that can misbehave. Starts by passing everything. */
export interface FaultProxy {
  readonly port: number;
  /** Connections that are open through it now. */
  readonly connections: number;
  /** The same URL, through the proxy. */
  through(url: string): string;
  /** Forwards; what was held back goes on, as after a network partition. */
  pass(): void;
  /** Breaks every connection and refuses new ones, until `pass`. */
  cut(): void;
  /** Accepts connections and bytes, and answers nothing, until `pass`. */
  blackHole(): void;
  /** Forwards each piece that much later. */
  delay(milliseconds: number): void;
  /**
   * Forwards the next statement that holds `text`, waits for its answer, and breaks that one connection instead of
   * passing it on: it was performed, and nobody was told. @returns a promise that resolves once it has happened.
   */
  loseAnswerTo(text: string): Promise<void>;
  close(): Promise<void>;
}

type Mode =
  | { readonly kind: 'pass' | 'cut' | 'black-hole' }
  | { readonly kind: 'delay'; readonly milliseconds: number };

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const { hostname, port: targetPort } = new URL(target);
  const pairs = new Set<Pair>();
  let mode: Mode = { kind: 'pass' };
  const losses: Loss[] = [];
  const server = createServer((downstream) => {
    if (mode.kind === 'cut') {
      downstream.resetAndDestroy();
      return;
    }
    const upstream = connect({ host: hostname, port: Number(targetPort) });
    const pair = new Pair(downstream, upstream, losses, () => pairs.delete(pair));
    pairs.add(pair);
    pair.obey(mode);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const become = (next: Mode): void => {
    mode = next;
    for (const pair of pairs) pair.obey(next);
  };
  return {
    port,
    get connections() {
      return pairs.size;
    },
    through: (url) => Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(port) }).href,
    pass: () => {
      become({ kind: 'pass' });
    },
    cut: () => {
      become({ kind: 'cut' });
    },
    blackHole: () => {
      become({ kind: 'black-hole' });
    },
    delay: (milliseconds) => {
      become({ kind: 'delay', milliseconds });
    },
    loseAnswerTo: (text) =>
      new Promise((happened) => {
        losses.push({ text, happened });
      }),
    close: async () => {
      become({ kind: 'cut' });
      server.close();
      await once(server, 'close');
    },
  };
}

interface Loss {
  readonly text: string;
  happened(): void;
}

class Pair {
  #mode: Mode = { kind: 'pass' };
  /** The answer that is not to arrive. */
  #losing: Loss | undefined;
  readonly #sockets: readonly [Socket, Socket];

  constructor(downstream: Socket, upstream: Socket, losses: Loss[], onGone: () => void) {
    this.#sockets = [downstream, upstream];
    for (const [from, to] of [
      [downstream, upstream],
      [upstream, downstream],
    ] as const) {
      from.setNoDelay(true);
      // One after the other, whatever the mode becomes meanwhile: a late piece must not be overtaken.
      let tail: Promise<unknown> = Promise.resolve();
      from.on('data', (chunk) => {
        if (from === upstream && this.#losing) {
          this.obey({ kind: 'cut' });
          this.#losing.happened();
          return;
        }
        if (from === downstream) {
          const at = losses.findIndex(({ text }) => chunk.includes(text));
          if (at >= 0) [this.#losing] = losses.splice(at, 1);
        }
        const late = this.#mode.kind === 'delay' ? pause(this.#mode.milliseconds) : undefined;
        tail = tail.then(() => late).then(() => to.write(chunk));
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        to.destroy();
        onGone();
      });
    }
  }

  obey(mode: Mode): void {
    this.#mode = mode;
    for (const socket of this.#sockets) {
      if (mode.kind === 'cut') socket.resetAndDestroy();
      else if (mode.kind === 'black-hole') socket.pause();
      else socket.resume();
    }
  }
}
