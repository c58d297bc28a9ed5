import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const EXECUTABLE = process.env['REDIS_SERVER_PATH'] ?? '/usr/bin/redis-server';
const READY_WITHIN_MS = 10_000;
const INSTALL =
  `There is no Redis at ${EXECUTABLE}: install it (Debian: apt-get install -y redis-server), ` +
  'or name one in REDIS_SERVER_PATH.';

/** Whether what needs a real Redis can be proved here. Where it is demanded (`TEST_REDIS=on`, as CI does) it must be. */
export function runsWithRedis(): boolean {
  if (process.env['TEST_REDIS'] === 'on' || existsSync(EXECUTABLE)) return true;
  console.warn(`\nLEFT OUT: the tests with a real queue. ${INSTALL}\n`);
  return false;
}

export interface RedisServer {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * A Redis of its own for one spec: for this machine alone, on a free port, and it keeps nothing.
 *
 * @throws Error that says what to install: one that is missing is a failure, never a reason to skip.
 */
export async function startRedis(): Promise<RedisServer> {
  if (!existsSync(EXECUTABLE)) throw new Error(INSTALL);
  const directory = await mkdtemp(join(tmpdir(), 'zero-trust-redis-'));
  const port = await freePort();
  const options = { bind: '127.0.0.1', port, dir: directory, save: '', appendonly: 'no' };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const server = spawn(EXECUTABLE, args, { stdio: 'ignore' });
  const gone = once(server, 'exit');
  const kill = (): void => void server.kill('SIGKILL');
  process.once('exit', kill);
  try {
    await answering(server, port);
  } catch (error) {
    kill();
    throw error;
  }
  return {
    port,
    async stop() {
      kill();
      await gone;
      process.off('exit', kill);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function answering(server: ChildProcess, port: number): Promise<void> {
  const untilMs = Date.now() + READY_WITHIN_MS;
  while (Date.now() < untilMs && server.exitCode === null) {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => undefined);
    socket.write('PING\r\n');
    const [answer] = await Promise.race([once(socket, 'data'), once(socket, 'close')]).catch(() => [
      undefined,
    ]);
    socket.destroy();
    if (String(answer).startsWith('+PONG')) return;
    await pause(20);
  }
  throw new Error(`${EXECUTABLE} does not answer on port ${port}.`);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
