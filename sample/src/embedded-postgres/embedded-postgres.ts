import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { serverAccount } from './account.js';
import { binariesFor } from './binaries.js';
import { reachableHome } from './home.js';
import { initialise, serverEnvironment } from './initialise.js';
import { clearStaleLock } from './stale-lock.js';
import { supervise, type SupervisorOrder } from './supervisor.js';

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
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
const READY = 'database system is ready to accept connections';
/** Recovery after a crash can take a while; a start that hangs must still end. */
const START_DEADLINE_MS = 60_000;

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

type Supervisor = ChildProcessByStdio<Writable, Readable, Readable>;

async function launch(
  order: SupervisorOrder,
  home: string,
  onLog: EmbeddedPostgresOptions['onLog'],
): Promise<{ stop(): Promise<void> } | { log: string[] }> {
  const script = `(${supervise.toString()})(require('node:child_process').spawn, require('node:fs').rmSync, ${JSON.stringify(order)})`;
  const env = { ...process.env };
  // Set by `node --watch`, `--inspect` and coverage for their own children; the supervisor is none of theirs.
  for (const name of ['WATCH_REPORT_DEPENDENCIES', 'NODE_OPTIONS', 'NODE_CHANNEL_FD', 'NODE_V8_COVERAGE']) {
    delete env[name];
  }
  const child: Supervisor = spawn(process.execPath, ['--eval', script], {
    ...{ detached: true, env, cwd: home, windowsHide: true, stdio: ['pipe', 'pipe', 'pipe'] },
  }) as Supervisor;
  const exited = once(child, 'exit');
  await writeFile(join(home, 'supervisor.pid'), String(child.pid ?? ''), { mode: 0o600 });
  const log: string[] = [];
  const ready = new Promise<boolean>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        log.push(line);
        if (log.length > 100) log.shift();
        onLog?.(line);
        if (line.includes(READY)) resolve(true);
      });
    }
    void exited.then(() => {
      resolve(false);
    });
    setTimeout(resolve, START_DEADLINE_MS, false).unref();
  });
  // What we write is never read: only its end counts, and a supervisor that is gone already is no fault.
  child.stdin.on('error', () => undefined);
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await exited;
  };
  if (!(await ready)) {
    await stop();
    return { log };
  }
  // The database alone must not keep a service running that has nothing left to do.
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr])
    (stream as unknown as { unref(): void }).unref();
  return { stop };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
