// One server in a process of its own, on a core of its own where the system lets us choose.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

const SERVER_CORE = '0';
const LOAD_CORE = '1';

const canPin =
  process.platform === 'linux' &&
  availableParallelism() > 1 &&
  spawnSync('taskset', ['-c', LOAD_CORE, 'true'], { stdio: 'ignore' }).status === 0;

/** Moves this process, the load generator, and all that it starts from now on (PostgreSQL) off the servers' core. */
export function pinLoadGenerator() {
  if (!canPin) return false;
  return (
    spawnSync('taskset', ['-a', '-p', '-c', LOAD_CORE, String(process.pid)], { stdio: 'ignore' }).status === 0
  );
}

export class ServerProcess {
  #child;
  #log = '';

  /** Starts a file of `servers/`; `settings` reach it as JSON in its environment. */
  static async start(file, settings) {
    const server = new ServerProcess();
    const path = fileURLToPath(new URL(`servers/${file}.mjs`, import.meta.url));
    const command = canPin
      ? ['taskset', '-c', SERVER_CORE, process.execPath, path]
      : [process.execPath, path];
    server.#child = spawn(command[0], command.slice(1), {
      env: { ...process.env, NODE_ENV: 'production', BENCH_SETTINGS: JSON.stringify(settings) },
      // Standard output is the request log of those that write one: written, and read by nobody.
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    server.#child.stderr.on('data', (chunk) => (server.#log = (server.#log + chunk).slice(-4000)));
    const ready = await server.#answer();
    server.url = ready.url;
    server.ready = ready;
    return server;
  }

  /** Microseconds of CPU, user and system, that the server has used since it started. */
  async cpuMicroseconds() {
    return (await this.ask('cpu')).microseconds;
  }

  async ask(question) {
    this.#child.send(question);
    return this.#answer();
  }

  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  async #answer() {
    const over = new AbortController();
    const { signal } = over;
    const gone = once(this.#child, 'exit', { signal }).then(([code]) => {
      throw new Error(`a server ended with ${code}:\n${this.#log}`);
    });
    gone.catch(() => undefined);
    try {
      return (await Promise.race([once(this.#child, 'message', { signal }), gone]))[0];
    } finally {
      over.abort();
    }
  }
}
