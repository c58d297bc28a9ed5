import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { serverAccount } from './account.js';
import { binariesFor } from './binaries.js';
import { reachableHome } from './home.js';
import { initialise, serverEnvironment } from './initialise.js';
import { clearStaleLock } from './stale-lock.js';
import { launch, type ServerProcess } from './server-process.js';
import type { SupervisorOrder } from './supervisor.js';

export interface EmbeddedPostgresOptions {
  /** Made on the first start, kept for the next. */
  readonly dataDirectory: string;
  /** Whether what is committed survives a crash of the machine. Off only for tests: it is faster. */
  readonly durable: boolean;
  /** A port on 127.0.0.1. @default a free one */
  readonly port?: number;
  /** Remove the data directory once PostgreSQL has stopped, however that came about. @default false */
  readonly disposable?: boolean;
  /** @default 100 */
  readonly maxConnections?: number;
  /** Gets each line of PostgreSQL's log. */
  readonly onLog?: (line: string) => void;
}

export interface EmbeddedPostgres {
  /** `postgres://postgres:…@127.0.0.1:port/postgres`, with a password that is random per data directory. */
  readonly superuserUrl: string;
  readonly host: string;
  readonly port: number;
  /** Ends sessions, writes everything down, and resolves when PostgreSQL is gone. */
  readonly stop: ServerProcess['stop'];
}

const HOST = '127.0.0.1';
/**
 * Starts a real PostgreSQL of our own, as root or as an ordinary user, for development and tests. It stops when this
 * process is gone, for whatever reason.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { home, account } = await reachableHome(options.dataDirectory, serverAccount);
  const binaries = await binariesFor(account, home);
  await clearStaleLock(home);
  const password = await initialise(home, binaries, account, options.durable);
  for (let attemptsLeft = 5; ; attemptsLeft -= 1) {
    const port = options.port ?? (await freePort());
    const { postgres, pgCtl } = binaries;
    const dataDirectory = join(home, 'data');
    const order: SupervisorOrder = {
      ...{ postgres, pgCtl, dataDirectory, uid: account?.uid, gid: account?.gid },
      args: serverArguments(dataDirectory, port, options),
      env: serverEnvironment(),
      disposable: options.disposable ? home : undefined,
    };
    const started = await launch(order, home, options.onLog);
    if ('stop' in started) {
      const superuserUrl = `postgres://postgres:${password}@${HOST}:${port}/postgres`;
      return { superuserUrl, host: HOST, port, stop: started.stop };
    }
    // Between finding a free port and taking it somebody else may have been faster.
    const lostThePort =
      options.port === undefined && started.log.some((line) => line.includes('could not bind'));
    if (!lostThePort || attemptsLeft === 0) {
      throw new TypeError(`PostgreSQL did not start:\n${started.log.slice(-15).join('\n')}`);
    }
  }
}

function serverArguments(data: string, port: number, options: EmbeddedPostgresOptions): string[] {
  const settings = {
    listen_addresses: HOST,
    port,
    // No socket in /tmp: paths below a project can be too long for one, and the loopback needs the password as well.
    unix_socket_directories: '',
    max_connections: options.maxConnections ?? 100,
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(!options.durable && { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  return ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
