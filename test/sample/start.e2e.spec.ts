import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createTestDatabase } from '../support/database.js';
import { Caller } from '../support/sample.js';

const run = promisify(execFile);
const START = fileURLToPath(new URL('../../scripts/start.mjs', import.meta.url));
const MAIN = fileURLToPath(new URL('../../sample/dist/main.js', import.meta.url));

interface Running {
  readonly process: ChildProcess;
  readonly url: string;
  output(): string;
}

/** Runs what `npm start` runs, in a folder of its own, on any free port. */
async function start(
  folder: string,
  environment: Record<string, string> = {},
  [command, ...argv]: readonly [string, ...string[]] = [process.execPath, START],
): Promise<Running> {
  let output = '';
  // A process group of its own, as a terminal gives it: Ctrl+C reaches all of them.
  const service = spawn(command, argv, {
    cwd: folder,
    detached: true,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(service, 'exit').then(() => {
    throw new Error(`ended before it listened:\n${output}`);
  });
  const listening = new Promise<string>((resolve) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      const url = /^listening on (http:\S+)$/m.exec(output)?.[1];
      if (url && output.includes('/invoices -H')) resolve(url);
    };
    service.stdout.on('data', read);
    service.stderr.on('data', read);
  });
  const url = await Promise.race([listening, exited]);
  exited.catch(() => undefined);
  return { process: service, url, output: () => output };
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const postmaster = async (folder: string): Promise<number> =>
  Number((await readFile(join(folder, '.data/postgres/data/postmaster.pid'), 'utf8')).split('\n')[0]);

const signIn = async (url: string, folder: string): Promise<Caller> => {
  const accounts = JSON.parse(await readFile(join(folder, '.data/demo-accounts.json'), 'utf8')) as {
    email: string;
    password: string;
  }[];
  const { email, password } = accounts.find((each) => each.email === 'editor@example.test')!;
  const answer = await new Caller(url).post('/auth/login', { email, password, delivery: 'token' });
  return new Caller(url, (answer.body as { accessToken: string }).accessToken);
};

describe('npm start', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'npm-start-'));
  });
  afterAll(async () => {
    // Where the database's account cannot reach the folder, this is a link to where the data really is.
    const home = await realpath(join(folder, '.data/postgres')).catch(() => folder);
    await rm(home, { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
  });

  test('starts from nothing, prints accounts once and three lines that work when pasted, and keeps its data', async () => {
    const first = await start(folder);
    expect(first.output()).toContain('admin@example.test');
    for (const secret of ['master.key', 'env', 'demo-accounts.json', 'logins.json']) {
      expect((await stat(join(folder, '.data', secret))).mode & 0o077, secret).toBe(0);
    }
    const lines = first
      .output()
      .split('\n')
      .filter((line) => /^\s+(TOKEN=|curl )/.test(line));
    expect(lines).toHaveLength(3);
    const pasted = await run('sh', [
      '-c',
      [lines[0], `${lines[1]!} -w '\\n%{http_code}\\n'`, `${lines[2]!} -w '\\n%{http_code}\\n'`].join('\n'),
    ]);
    expect(pasted.stdout.split('\n').filter((line) => /^\d{3}$/.test(line))).toEqual(['200', '403']);

    for (const path of ['/docs', '/openapi.json']) {
      expect([path, (await new Caller(first.url).get(path)).status]).toEqual([path, 200]);
    }

    const editor = await signIn(first.url, folder);
    const made = await editor.post('/documents', { title: 'kept', body: 'over a restart' });
    expect(made.status).toBe(201);
    const database = await postmaster(folder);
    first.process.kill('SIGTERM');
    expect(await once(first.process, 'exit')).toEqual([0, null]);
    expect(alive(database)).toBe(false);

    const second = await start(folder);
    const listening = second.output().indexOf('listening on');
    expect(second.output().slice(0, listening)).not.toContain('Demo accounts');
    const again = await signIn(second.url, folder);
    expect((await again.get(`/documents/${(made.body as { id: string }).id}`)).status).toBe(200);
    process.kill(-second.process.pid!, 'SIGINT');
    expect(await once(second.process, 'exit')).toEqual([0, null]);
    expect(existsSync(join(folder, '.data/postgres/data/postmaster.pid'))).toBe(false);
  }, 180_000);

  test('V13.4.5 started as anything but development it has no documentation', async () => {
    const environment = { NODE_ENV: 'test', PUBLIC_URL: 'https://portal.example.test' };
    const service = await start(folder, environment);
    try {
      for (const path of ['/docs', '/openapi.json']) {
        expect([path, (await new Caller(service.url).get(path)).status]).toEqual([path, 404]);
      }
    } finally {
      service.process.kill('SIGTERM');
      await once(service.process, 'exit');
    }
  }, 120_000);

  test('after kill -9 no database is left running, and what was acknowledged is there', async () => {
    const first = await start(folder);
    const editor = await signIn(first.url, folder);
    const made = await editor.post('/documents', { title: 'acknowledged', body: 'before the kill' });
    expect(made.status).toBe(201);
    const database = await postmaster(folder);
    first.process.kill('SIGKILL');
    await vi.waitUntil(() => !alive(database), { timeout: 15_000, interval: 50 });
    const second = await start(folder);
    const again = await signIn(second.url, folder);
    expect((await again.get(`/documents/${(made.body as { id: string }).id}`)).status).toBe(200);
    second.process.kill('SIGTERM');
    await once(second.process, 'exit');
  }, 180_000);

  test('after kill -9 of npm itself, whose shell outlives it, neither service nor database is left running', async () => {
    // npm runs a script in the folder of its package.json.
    await writeFile(
      join(folder, 'package.json'),
      JSON.stringify({ private: true, scripts: { start: `"${process.execPath}" "${START}"` } }),
    );
    const npm = await start(folder, {}, ['npm', 'start']);
    const database = await postmaster(folder);
    npm.process.kill('SIGKILL');
    await vi.waitUntil(() => !alive(database), { timeout: 15_000, interval: 50 });
    await vi.waitUntil(
      () =>
        fetch(npm.url)
          .then(() => false)
          .catch(() => true),
      { timeout: 15_000, interval: 50 },
    );
  }, 120_000);

  test('starts with an untouched copy of .env.example as .env: what is empty there is not set', async () => {
    await copyFile(new URL('../../.env.example', import.meta.url), join(folder, '.env'));
    const service = await start(folder);
    service.process.kill('SIGTERM');
    expect(await once(service.process, 'exit')).toEqual([0, null]);
    await rm(join(folder, '.env'));
  }, 120_000);

  test('takes a database of yours whose logins come from files', async () => {
    const database = await createTestDatabase();
    const urls = {
      DATABASE_OWNER_URL: database.ownerUrl,
      DATABASE_URL: database.appUrl,
      DATABASE_AUDIT_URL: database.auditUrl,
    };
    const elsewhere = await mkdtemp(join(tmpdir(), 'npm-start-'));
    try {
      const environment: Record<string, string> = {};
      for (const [name, url] of Object.entries(urls)) {
        environment[`${name}_FILE`] = join(elsewhere, name);
        await writeFile(join(elsewhere, name), `${url}\n`, { mode: 0o600 });
      }
      const service = await start(elsewhere, environment);
      expect((await fetch(`${service.url}/health/ready`)).status).toBe(200);
      expect(existsSync(join(elsewhere, '.data/postgres'))).toBe(false);
      service.process.kill('SIGTERM');
      expect(await once(service.process, 'exit')).toEqual([0, null]);
    } finally {
      await rm(elsewhere, { recursive: true, force: true });
      await database.drop();
    }
  }, 120_000);

  test('FLT-16 a port in use is said in one line, with exit code 1 and nothing left running', async () => {
    const occupant = createServer().listen(0, '127.0.0.1');
    await once(occupant, 'listening');
    const { port } = occupant.address() as AddressInfo;
    const failure = await start(folder, { PORT: String(port) }).catch((error: unknown) => String(error));
    occupant.close();
    expect(failure).toContain('The port is in use: stop what listens there, or set PORT.');
    expect(existsSync(join(folder, '.data/postgres/data/postmaster.pid'))).toBe(false);
  }, 120_000);
});

describe('the production start', () => {
  const boot = async (
    environment: Record<string, string>,
  ): Promise<{ code: number; stderr: string; stdout: string }> => {
    try {
      const { stdout, stderr } = await run(process.execPath, [MAIN], {
        env: { PATH: process.env.PATH, ...environment },
        timeout: 30_000,
      });
      return { code: 0, stdout, stderr };
    } catch (error) {
      return error as { code: number; stderr: string; stdout: string };
    }
  };
  const good = {
    PORT: '0',
    PUBLIC_URL: 'https://portal.example.test',
    ZERO_TRUST_MASTER_KEY: Buffer.from(
      '0f4c9d2b7ae1835566d0c3e8b19f7a24510e6b8dc2f93a7754e80b1d6ca93f72',
      'hex',
    ).toString('base64'),
  };

  test('FLT-16 JWT-21 every missing, weak or wrong setting is one clear line that names it, exit code 1', async () => {
    const database = await createTestDatabase();
    const urls = { DATABASE_URL: database.appUrl, DATABASE_AUDIT_URL: database.auditUrl };
    const unreachable = new URL(database.appUrl);
    unreachable.port = '1';
    const cases: [string, Record<string, string>, RegExp][] = [
      ['no database', { ...good }, /DATABASE_URL is missing/],
      ['no master key', { ...good, ...urls, ZERO_TRUST_MASTER_KEY: '' }, /ZERO_TRUST_MASTER_KEY/],
      ['a word as master key', { ...good, ...urls, ZERO_TRUST_MASTER_KEY: 'secret' }, /master ?key/i],
      [
        'a short master key',
        { ...good, ...urls, ZERO_TRUST_MASTER_KEY: Buffer.alloc(31, 7).toString('base64') },
        /master ?key/i,
      ],
      ['no public url', { ...good, ...urls, PUBLIC_URL: '' }, /PUBLIC_URL is missing/],
      ['a database that does not answer', { ...good, ...urls, DATABASE_URL: unreachable.href }, /database/i],
      ['the owner as login', { ...good, ...urls, DATABASE_URL: database.ownerUrl }, /own/i],
      ['a wildcard origin', { ...good, ...urls, CORS_ORIGINS: '*' }, /corsOrigins/],
      ['a port that is none', { ...good, ...urls, PORT: '80a' }, /PORT/],
    ];
    try {
      const answers = await Promise.all(cases.map(([, environment]) => boot(environment)));
      for (const [index, { code, stderr, stdout }] of answers.entries()) {
        const [name, environment, expected] = cases[index]!;
        expect(code, name).toBe(1);
        expect(stderr, name).toMatch(expected);
        expect(stderr, name).not.toMatch(/\n\s+at /);
        expect(stdout, name).not.toContain('listening on');
        const password = new URL(environment.DATABASE_URL ?? 'postgres://x:nothing@y').password;
        expect(stderr + stdout, name).not.toContain(password);
        if (environment.ZERO_TRUST_MASTER_KEY && environment.ZERO_TRUST_MASTER_KEY !== 'secret') {
          expect(stderr + stdout, name).not.toContain(environment.ZERO_TRUST_MASTER_KEY);
        }
      }
    } finally {
      await database.drop();
    }
  }, 120_000);
});
