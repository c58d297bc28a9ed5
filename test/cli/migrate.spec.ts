import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { migrateCommand } from '../../src/cli/migrate.command.js';
import { runCli } from '../../src/cli/run-cli.js';

const SAMPLE_MIGRATIONS = fileURLToPath(new URL('../../sample/migrations/', import.meta.url));
const { ownerUrl: templateOwnerUrl, superuserUrl } = inject('database');
const name = `${new URL(templateOwnerUrl).username.replace(/_owner$/, '')}_${randomBytes(4).toString('hex')}`;
const urlOf = (user: string, password: string): string =>
  Object.assign(new URL(templateOwnerUrl), { pathname: `/${name}`, username: user, password }).href;
const owner = new URL(templateOwnerUrl);
const settings = {
  DATABASE_OWNER_URL: urlOf(owner.username, owner.password),
  DATABASE_URL: urlOf(`${name}_app`, 'app-word'),
  DATABASE_AUDIT_URL: urlOf(`${name}_audit`, 'audit-word'),
};
let secrets: string;

interface Ran {
  readonly code: number;
  readonly out: string[];
  readonly err: string[];
}

async function run(argv: string[], environment: Record<string, string | undefined> = settings): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const io = { environment, out: (line: string) => out.push(line), err: (line: string) => err.push(line) };
  const code = await runCli([migrateCommand], argv, io);
  return { code, out, err };
}

async function sql(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<Record<string, unknown>>(text).finally(() => client.end());
  return rows;
}

beforeAll(async () => {
  secrets = await mkdtemp(join(tmpdir(), 'secrets-'));
  await sql(
    Object.assign(new URL(templateOwnerUrl), { pathname: '/postgres' }).href,
    `CREATE DATABASE ${name}`,
  );
});
afterAll(async () => {
  await rm(secrets, { recursive: true });
  await sql(superuserUrl, `DROP DATABASE ${name} WITH (FORCE)`);
  for (const login of ['app', 'audit']) await sql(superuserUrl, `DROP ROLE IF EXISTS ${name}_${login}`);
});

describe('zero-trust migrate', () => {
  test('--help explains settings, folders and what running it twice does', async () => {
    const { code, out } = await run(['migrate', '--help']);
    expect(code).toBe(0);
    for (const word of [
      'DATABASE_OWNER_URL',
      'DATABASE_URL',
      'DATABASE_AUDIT_URL',
      'DATABASE_CA',
      '_FILE',
      '--dir',
      '--dry-run',
      '--json',
    ]) {
      expect(out.join('\n')).toContain(word);
    }
  });

  test('--dry-run --json prints what waits, and nothing else, on standard output', async () => {
    const { code, out } = await run(['migrate', '--dry-run', '--json', '--dir', SAMPLE_MIGRATIONS]);
    expect(code).toBe(0);
    expect(out).toHaveLength(1);
    expect(JSON.parse(out[0]!)).toMatchObject({ dryRun: true, alreadyApplied: 0, logins: [] });
    expect(await sql(settings.DATABASE_OWNER_URL, `SELECT to_regnamespace('zero_trust') AS id`)).toEqual([
      { id: null },
    ]);
  });

  test('migrates with progress, takes its settings from files, and makes logins that can sign in', async () => {
    const environment: Record<string, string> = {};
    for (const [setting, value] of Object.entries(settings)) {
      const path = join(secrets, setting);
      await writeFile(path, `${value}\n`, { mode: 0o600 });
      environment[`${setting}_FILE`] = path;
    }
    const { code, out, err } = await run(['migrate', '--dir', SAMPLE_MIGRATIONS], environment);
    expect({ code, err }).toEqual({ code: 0, err: [] });
    expect(out[0]).toBe('applied 1764000000001-database');
    expect(out.at(-1)).toMatch(/^done: \d+ applied, 0 applied before, 2 logins up to date$/);
    expect(out.join('\n')).not.toMatch(/app-word|audit-word/);
    for (const url of [settings.DATABASE_URL, settings.DATABASE_AUDIT_URL]) {
      expect(await sql(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    }
  });

  test('leaves logins alone whose URL is not given, and says so', async () => {
    const { code, out } = await run(['migrate'], { DATABASE_OWNER_URL: settings.DATABASE_OWNER_URL });
    expect(code).toBe(0);
    expect(out.filter((line) => line.includes('is not set'))).toHaveLength(2);
  });
});

describe('FLT-16 zero-trust migrate fails in one clear line, with exit code 1 and no secret in it', () => {
  const faults: [string, string[], Record<string, string | undefined>, RegExp][] = [
    ['no owner', ['migrate'], { DATABASE_URL: settings.DATABASE_URL }, /DATABASE_OWNER_URL is not set/],
    [
      'a setting twice',
      ['migrate'],
      { ...settings, DATABASE_URL_FILE: '/run/secrets/url' },
      /DATABASE_URL and DATABASE_URL_FILE are both set/,
    ],
    [
      'a file that is not there',
      ['migrate'],
      { DATABASE_OWNER_URL_FILE: '/nowhere/at/all' },
      /cannot be read: \/nowhere\/at\/all/,
    ],
    ['a URL that is none', ['migrate'], { DATABASE_OWNER_URL: 'secret-word' }, /owner's URL is not a URL/],
    [
      'nobody listening',
      ['migrate'],
      { DATABASE_OWNER_URL: 'postgres://o:secret-word@127.0.0.1:1/d' },
      /cannot be reached as the owner.*ECONNREFUSED/,
    ],
    [
      'a wrong password',
      ['migrate'],
      { DATABASE_OWNER_URL: urlOf(owner.username, 'secret-word') },
      /cannot be reached as the owner.*28P01/,
    ],
    [
      'a folder that is not there',
      ['migrate', '--dir', '/nowhere/at/all'],
      settings,
      /folder \/nowhere\/at\/all cannot be read/,
    ],
    [
      'a certificate that is none',
      ['migrate'],
      { ...settings, DATABASE_CA: 'secret-word' },
      /cannot be reached as the owner/,
    ],
    ['an unknown option', ['migrate', '--frobnicate'], settings, /unknown option '--frobnicate'/],
    ['an unknown command', ['frobnicate'], settings, /unknown command 'frobnicate'/],
  ];
  test.each(faults)('FLT-16 %s', async (_, argv, environment, message) => {
    const { code, out, err } = await run(argv, environment);
    expect(code).toBe(1);
    expect(err).toHaveLength(1);
    expect(err[0]).toMatch(/^error: [^\n]+$/);
    expect(err[0]).toMatch(message);
    expect([...out, ...err].join('\n')).not.toMatch(/secret-word|app-word/);
  });

  test('FLT-16 in production a plaintext connection beyond this machine', async () => {
    const before = process.env['NODE_ENV'];
    delete process.env['NODE_ENV'];
    try {
      const { code, err } = await run(['migrate'], {
        DATABASE_OWNER_URL: 'postgres://o:secret-word@db.example.test/d?sslmode=disable',
      });
      expect(code).toBe(1);
      expect(err.join()).toMatch(/^error: the owner's URL would send everything in the clear/);
    } finally {
      process.env['NODE_ENV'] = before;
    }
  });
});
