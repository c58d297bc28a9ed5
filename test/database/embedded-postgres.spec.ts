import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEmbeddedPostgres } from '../../sample/src/embedded-postgres/embedded-postgres.js';

/** A service as `npm start` runs it: starts the database, says where, and drains on SIGINT and SIGTERM. */
const SERVICE = `
import { startEmbeddedPostgres } from './embedded-postgres.js';
const server = await startEmbeddedPostgres({ dataDirectory: process.argv[2], durable: false });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, async () => {
  const net = await import('node:net');
  // Long enough for a database that had heard the signal as well to be gone.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const socket = net.connect(server.port, server.host);
  socket.on('error', () => process.exit(7));
  socket.on('connect', async () => { socket.destroy(); await server.stop(); process.exit(0); });
});
console.log(JSON.stringify(server));
setInterval(() => undefined, 60000);
`;

const SOURCE = fileURLToPath(new URL('../../sample/src/embedded-postgres/', import.meta.url));
const isRoot = process.getuid?.() === 0;
let workshop: string;
/** Launcher and binaries apart from this checkout, as \`npm ci --ignore-scripts\` leaves them, read-only. */
let installed: string;

beforeAll(async () => {
  workshop = await realpath(await mkdtemp(join(tmpdir(), 'embedded-')));
  await chmod(workshop, 0o777);
  installed = join(workshop, 'installed');
  await mkdir(installed);
  await writeFile(join(installed, 'package.json'), '{"type":"module"}');
  for (const name of await readdir(SOURCE)) {
    const { outputText } = ts.transpileModule(await readFile(join(SOURCE, name), 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
    });
    await writeFile(join(installed, name.replace(/\.ts$/, '.js')), outputText);
  }
  await writeFile(join(installed, 'service.mjs'), SERVICE);
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const packaged = dirname(dirname(createRequire(import.meta.url).resolve(name)));
  const copy = join(installed, 'node_modules', name);
  await cp(packaged, copy, {
    recursive: true,
    filter: async (path) => !(await lstat(path)).isSymbolicLink(),
  });
  for (const entry of await readdir(installed, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) await chmod(join(entry.parentPath, entry.name), 0o555);
  }
  await chmod(installed, 0o555);
}, 60_000);
afterAll(async () => {
  await chmod(installed, 0o755);
  for (const entry of await readdir(installed, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) await chmod(join(entry.parentPath, entry.name), 0o755);
  }
  await rm(workshop, { recursive: true, force: true });
});

interface Service {
  readonly child: ChildProcess;
  readonly superuserUrl: string;
  readonly postmaster: number;
  readonly supervisor: number;
}

async function startService(dataDirectory: string, uid?: number): Promise<Service> {
  const child = spawn(process.execPath, [join(installed, 'service.mjs'), dataDirectory], {
    // A process group of its own, as a shell gives it: what a terminal sends goes to the whole of it.
    ...{ detached: true, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] },
    ...(uid !== undefined && { uid, gid: uid }),
  });
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said += text.toString()));
  const lines = createInterface({ input: child.stdout });
  const line = await Promise.race([once(lines, 'line'), once(child, 'exit')]);
  if (typeof line[0] !== 'string') throw new Error(`the service ended: ${said}`);
  const { superuserUrl } = JSON.parse(line[0]) as { superuserUrl: string };
  const pidIn = async (file: string): Promise<number> =>
    parseInt(await readFile(join(dataDirectory, file), 'utf8'), 10);
  return {
    child,
    superuserUrl,
    postmaster: await pidIn('data/postmaster.pid'),
    supervisor: await pidIn('supervisor.pid'),
  };
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<Record<string, unknown>>(sql).finally(() => client.end());
  return rows;
}

/** Gone, or a zombie that whoever is process 1 has not reaped. */
async function gone(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return true;
  }
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
  return /\) [ZX]/.test(status);
}

const untilGone = (pid: number): Promise<void> =>
  expect.poll(() => gone(pid), { timeout: 10_000, interval: 10 }).toBe(true);

async function endAs(service: Service, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(service.child, 'exit') as Promise<[number | null]>;
  process.kill(-service.child.pid!, signal);
  const [code] = await exited;
  return code;
}

const directory = (): Promise<string> => mkdtemp(join(workshop, 'home-'));

describe('the embedded PostgreSQL', () => {
  test('runs without install scripts, from a node_modules that cannot be written to, as an ordinary user', async () => {
    const home = await directory();
    const nobody = isRoot ? 65534 : undefined;
    if (nobody !== undefined) await chown(home, nobody, nobody);
    const service = await startService(home, nobody);
    expect(await query(service.superuserUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    if (nobody !== undefined) expect((await stat(join(home, 'data'))).uid).toBe(nobody);
    expect(await endAs(service, 'SIGTERM')).toBe(0);
    await untilGone(service.postmaster);
  });

  test('kill -9 of the service leaves no server behind, and the next start has the data', async () => {
    const home = await directory();
    const first = await startService(home);
    await query(first.superuserUrl, 'CREATE TABLE kept AS SELECT 42 AS answer');
    expect(await endAs(first, 'SIGKILL')).toBe(null);
    await untilGone(first.postmaster);
    await untilGone(first.supervisor);
    const second = await startService(home);
    expect(await query(second.superuserUrl, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    await endAs(second, 'SIGTERM');
  });

  test('Ctrl+C, which reaches the whole process group, leaves the database up until the service has drained', async () => {
    const service = await startService(await directory());
    expect(await endAs(service, 'SIGINT')).toBe(0);
    await untilGone(service.postmaster);
  });

  test('a server that was killed recovers at the next start', async () => {
    const home = await directory();
    const server = await startEmbeddedPostgres({ dataDirectory: home, durable: true });
    await query(server.superuserUrl, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const postmaster = parseInt(await readFile(join(home, 'data/postmaster.pid'), 'utf8'), 10);
    process.kill(postmaster, 'SIGKILL');
    await untilGone(postmaster);
    await server.stop();
    const log: string[] = [];
    const again = await startEmbeddedPostgres({
      dataDirectory: home,
      durable: true,
      onLog: (line) => log.push(line),
    });
    expect(log.join('\n')).toContain('automatic recovery in progress');
    expect(await query(again.superuserUrl, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    await again.stop();
  });

  test('a server that was left behind without its supervisor is shut down first', async () => {
    const home = await directory();
    const service = await startService(home);
    await query(service.superuserUrl, 'CREATE TABLE kept AS SELECT 42 AS answer');
    process.kill(service.supervisor, 'SIGKILL');
    process.kill(-service.child.pid!, 'SIGKILL');
    await untilGone(service.supervisor);
    expect(await gone(service.postmaster)).toBe(false);
    const server = await startEmbeddedPostgres({ dataDirectory: home, durable: false });
    await untilGone(service.postmaster);
    expect(await query(server.superuserUrl, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    await server.stop();
  });

  test('a lock file whose pid now means another process does not stop the start', async () => {
    const home = await directory();
    await (await startEmbeddedPostgres({ dataDirectory: home, durable: false })).stop();
    await writeFile(join(home, 'data/postmaster.pid'), `${process.pid}\n${home}/data\n`);
    const { uid, gid } = await stat(join(home, 'data'));
    await chown(join(home, 'data/postmaster.pid'), uid, gid);
    const server = await startEmbeddedPostgres({ dataDirectory: home, durable: false });
    expect(await query(server.superuserUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await server.stop();
  });

  test('a second service on the same data is refused, and does not disturb the first', async () => {
    const home = await directory();
    const server = await startEmbeddedPostgres({ dataDirectory: home, durable: false });
    await expect(startEmbeddedPostgres({ dataDirectory: home, durable: false })).rejects.toThrow(/is in use/);
    expect(await query(server.superuserUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await server.stop();
  });

  test('asks for a password, and keeps it from other users', async () => {
    const home = await directory();
    const server = await startEmbeddedPostgres({ dataDirectory: home, durable: false });
    const wrong = Object.assign(new URL(server.superuserUrl), { password: 'wrong' }).href;
    await expect(query(wrong, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    expect((await stat(join(home, 'superuser-password'))).mode & 0o077).toBe(0);
    expect((await stat(join(home, 'data'))).mode & 0o077).toBe(0);
    const [settings] = await query(
      server.superuserUrl,
      `SELECT current_setting('password_encryption') AS hash, current_setting('listen_addresses') AS address, current_setting('unix_socket_directories') AS sockets`,
    );
    expect(settings).toEqual({ hash: 'scram-sha-256', address: '127.0.0.1', sockets: '' });
    await server.stop();
  });

  test('sees no setting of ours: neither secrets nor PG*', async () => {
    process.env['PGPORT'] = '1';
    process.env['DATABASE_URL_TEST'] = 'secret-word';
    try {
      const home = await directory();
      const server = await startEmbeddedPostgres({ dataDirectory: home, durable: false });
      const pids = ['data/postmaster.pid', 'supervisor.pid'].map(async (file) =>
        parseInt(await readFile(join(home, file), 'utf8'), 10),
      );
      for (const pid of await Promise.all(pids)) {
        const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
        expect(environment).not.toMatch(/secret-word|PGPORT/);
      }
      await server.stop();
    } finally {
      delete process.env['PGPORT'];
      delete process.env['DATABASE_URL_TEST'];
    }
  });

  test('a disposable one removes its data, also after kill -9 of whoever started it', async () => {
    const home = join(await directory(), 'inside');
    const server = await startEmbeddedPostgres({ dataDirectory: home, durable: false, disposable: true });
    await server.stop();
    await expect(stat(home)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  // An ordinary user cannot be in this place.
  if (isRoot) {
    test('root with a project that nobody else may enter: the data lives where the server can reach it, and stays', async () => {
      const closed = join(workshop, 'closed');
      await mkdir(closed, { mode: 0o700 });
      const home = join(closed, 'home');
      const first = await startEmbeddedPostgres({ dataDirectory: home, durable: false });
      await query(first.superuserUrl, 'CREATE TABLE kept AS SELECT 42 AS answer');
      await first.stop();
      const second = await startEmbeddedPostgres({ dataDirectory: home, durable: false });
      expect(await query(second.superuserUrl, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
      await second.stop();
      expect((await lstat(home)).isSymbolicLink()).toBe(true);
      await rm(await realpath(home), { recursive: true });
    });
  }
});
