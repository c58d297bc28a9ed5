import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { host, sample, spawned } from './zero-trust.js';

let database: TestDatabase;
let environment: Record<string, string>;

beforeAll(async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  await promisify(execFile)(process.execPath, [compiler, '-b', 'sample/tsconfig.json'], { cwd: root });
  database = await createTestDatabase();
  environment = {
    DATABASE_URL: database.appUrl,
    DATABASE_AUDIT_URL: database.auditUrl,
    ZERO_TRUST_MASTER_KEY: randomBytes(32).toString('base64'),
    PUBLIC_URL: 'https://portal.example.test',
  };
}, 120_000);
afterAll(() => database.drop());

describe('zero-trust as a process of its own ends by itself', { timeout: 180_000 }, () => {
  test('with the list of an application whose timers never end, and nothing else on standard output', async () => {
    const argv = ['routes', '--app', host('ticking.mjs'), '--format', 'json'];
    const { code, out, err } = await spawned(environment, ...argv);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect((JSON.parse(out) as { routes: object[] }).routes.length).toBeGreaterThan(20);
  });

  test('with the application that a function of the sample makes', async () => {
    const argv = ['routes', '--app', sample('dist/application.js'), '--export', 'createApplication'];
    const { code, out, err } = await spawned(environment, ...argv);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^TRANSPORT .*\n/);
    expect(out).toContain('InvoicesController.create');
  });

  test('after each of the other commands', async () => {
    const app = sample('dist/app.module.js');
    const synced = await spawned(environment, 'access', 'sync', '--app', app);
    expect(synced).toMatchObject({ code: 0, err: '' });
    expect(synced.out).toMatch(/done: 5 roles changed, 0 as declared$/);
    const create = ['accounts', 'create', '--email', 'you@example.com', '--name', 'You', '--role', 'admin'];
    expect(await spawned(environment, ...create)).toMatchObject({ code: 0, err: '' });
    expect(await spawned(environment, 'accounts', 'list')).toMatchObject({ code: 0, err: '' });
    expect(await spawned(environment, 'keys', 'status')).toMatchObject({ code: 0, err: '' });
    const owner = { DATABASE_OWNER_URL: database.ownerUrl };
    const migrated = await spawned(owner, 'migrate', '--dry-run', '--dir', sample('migrations'));
    expect(migrated).toMatchObject({ code: 0 });
    expect(migrated.out).toContain('would apply 0');
  });

  test.each([
    ['routes', '--app'],
    ['access sync', '--app'],
    ['migrate', '--dry-run'],
    ['keys generate', '--file'],
    ['keys status', '--json'],
    ['accounts create', '--password-stdin'],
    ['accounts list', '--json'],
  ])('%s --help', async (command, option) => {
    const { code, out, err } = await spawned({}, ...command.split(' '), '--help');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain(`Usage: zero-trust ${command} `);
    expect(out).toContain(option);
  });

  test('FLT-16 when it fails, with one line and exit code 1, also after a part of the application has started', async () => {
    const away = { ...environment, DATABASE_URL: 'postgres://portal:secret-word@127.0.0.1:1/portal' };
    for (const command of [
      ['routes', '--app', host('ticking.mjs')],
      ['routes', '--app', sample('dist/application.js'), '--export', 'createApplication'],
      ['access', 'sync', '--app', host('ticking.mjs')],
    ]) {
      const { code, out, err } = await spawned(away, ...command);
      expect({ code, out }).toEqual({ code: 1, out: '' });
      expect(err).toMatch(/^error: DatabaseModule refuses to start: [^\n]+ECONNREFUSED[^\n]+$/);
    }
    // The pool is open by the time that the next module refuses.
    const weak = { ...environment, ZERO_TRUST_MASTER_KEY: 'changeme' };
    const { code, err } = await spawned(weak, 'routes', '--app', sample('dist/app.module.js'));
    expect(code).toBe(1);
    expect(err).toMatch(/^error: [^\n]+$/);
  });

  test('without a command, with the list of them', async () => {
    const { code, err } = await spawned({});
    expect(code).toBe(1);
    for (const command of ['migrate', 'keys', 'access', 'accounts', 'routes'])
      expect(err).toContain(`  ${command}`);
  });

  test('quietly when nobody reads on', async () => {
    const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
    const piped = `"${process.execPath}" "${main}" routes --app "${sample('dist/app.module.js')}" | head -n 1`;
    const { stdout, stderr } = await promisify(execFile)('sh', ['-c', piped], {
      env: { PATH: process.env['PATH'], ...environment },
      timeout: 60_000,
    });
    expect(stdout).toMatch(/^TRANSPORT /);
    expect(stderr).toBe('');
  });
});
