import { Logger } from '@nestjs/common';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { GrantsService } from '../../../src/access/grants/grants.service.js';
import { RolesService } from '../../../src/access/grants/roles.service.js';
import { accountsCommand } from '../../../src/cli/accounts.command.js';
import { runCli, type CliCommand } from '../../../src/cli/run-cli.js';
import { IdentityDatabase, MASTER_KEY, PASSWORD, type IdentityServices } from '../identity.services.js';

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

describe('zero-trust accounts', () => {
  let db: IdentityDatabase;
  let identity: IdentityServices;
  beforeAll(async () => {
    db = await IdentityDatabase.create();
    identity = await db.start();
    await identity.app.get(RolesService).put('admin', { permissions: ['accounts:read'] }, SYSTEM_PRINCIPAL);
  });
  afterAll(async () => {
    // The command gives Nest a logger of its own.
    Logger.overrideLogger(['fatal', 'error', 'warn', 'log']);
    await db.close();
  });
  beforeEach(() => {
    identity.events.length = 0;
  });

  async function zeroTrust(argv: string[], { stdin = '', environment = {} } = {}): Promise<Run> {
    const [out, err]: [string[], string[]] = [[], []];
    const io = {
      environment: {
        DATABASE_URL: db.database.appUrl,
        DATABASE_AUDIT_URL: db.database.auditUrl,
        ZERO_TRUST_MASTER_KEY: MASTER_KEY,
        NODE_ENV: 'test',
        ...environment,
      },
      out: (line: string) => void out.push(line),
      err: (line: string) => void err.push(line),
    };
    const command: CliCommand = (given) => accountsCommand(given, Readable.from([Buffer.from(stdin)]));
    const code = await runCli([command], ['accounts', ...argv], io);
    return { code, out: out.join('\n'), err: err.join('\n') };
  }

  test('OPS-03 makes the first administrator, with a random password that is shown once and works', async () => {
    const argv = ['create', '--email', 'Admin@example.test', '--name', 'Admin', '--role', 'admin'];
    const { code, out, err } = await zeroTrust(argv);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const password = /shown only this once: (\S+)$/.exec(out)![1]!;
    expect(password).toMatch(/^[A-Za-z0-9_-]{24}$/);
    await expect(identity.signInAs('admin@example.test', password)).resolves.toBeDefined();

    const account = await identity.accounts.findByEmail('admin@example.test');
    const grants = await identity.app.get(GrantsService).listOf(account!.id);
    expect(grants.map(({ role }) => role)).toEqual(['admin']);
    const entries = await db.rows<{ entry: Buffer }>('SELECT entry FROM audit.pending');
    const text = entries.map(({ entry }) => entry.toString()).join('\n');
    expect(text).toMatch(/account\.created/);
    expect(text).not.toContain(password);
    const stored = await db.rows('SELECT FROM identity.account WHERE strpos(account::text, $1) > 0', [
      password,
    ]);
    expect(stored).toEqual([]);

    const again = await zeroTrust(argv);
    expect(again).toEqual({ code: 1, out: '', err: 'error: the e-mail address has an account' });
  });

  test('takes a password from standard input, without its line end, and never shows it', async () => {
    const argv = ['create', '--email', 'stdin@example.test', '--name', 'Somebody', '--password-stdin'];
    const { code, out, err } = await zeroTrust(argv, { stdin: `${PASSWORD}\n` });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).not.toContain('tea');
    await expect(identity.signInAs('stdin@example.test', PASSWORD)).resolves.toBeDefined();
  });

  test('takes no password as an argument', async () => {
    const argv = ['create', '--email', 'a@example.test', '--name', 'A', '--password', PASSWORD];
    expect(await zeroTrust(argv)).toMatchObject({ code: 1, out: '' });
    expect(await identity.accounts.findByEmail('a@example.test')).toBeUndefined();
  });

  test.each([
    ['an address that is none', ['--email', 'nobody', '--name', 'A'], '', 'email must be one e-mail address'],
    [
      'a weak password',
      ['--email', 'w@example.test', '--name', 'A', '--password-stdin'],
      'passwordpassword',
      'attackers try first',
    ],
    ['no password', ['--email', 'w@example.test', '--name', 'A', '--password-stdin'], '', 'password must be'],
    [
      'a giant password',
      ['--email', 'w@example.test', '--name', 'A', '--password-stdin'],
      'x'.repeat(100_000),
      'password must be',
    ],
    [
      'an unknown role',
      ['--email', 'w@example.test', '--name', 'A', '--role', 'boss'],
      '',
      'there is no role "boss" (roles: admin)',
    ],
    ['no name', ['--email', 'w@example.test'], '', "required option '--name <name>'"],
  ])('refuses %s in one line, and makes nothing', async (_, argv, stdin, message) => {
    const { code, out, err } = await zeroTrust(['create', ...argv], { stdin });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(message);
    expect(err.split('\n')).toHaveLength(1);
    expect(err).not.toContain('passwordpassword');
    expect(await identity.accounts.findByEmail('w@example.test')).toBeUndefined();
  });

  test('lists accounts as text and as JSON, and nothing that proves or hides anything', async () => {
    await identity.create('listed@example.test');
    const { out } = await zeroTrust(['list', '--json']);
    const listed = JSON.parse(out) as { email: string }[];
    expect(listed.map(({ email }) => email)).toContain('listed@example.test');
    expect(out).not.toMatch(/argon2|hash/i);
    expect((await zeroTrust(['list'])).out).toMatch(/^[0-9a-f-]{36} {2}active {4}\S+@example\.test$/m);
  });

  test('disables by address or id, ends the sessions, and enables again', async () => {
    const { id } = await identity.create('leaver@example.test');
    await identity.signInAs('leaver@example.test', PASSWORD);
    expect(await zeroTrust(['disable', 'LEAVER@example.test'])).toEqual({
      code: 0,
      out: `disabled leaver@example.test (${id})`,
      err: '',
    });
    const alive = await db.rows('SELECT FROM sessions.session WHERE subject = $1 AND ended_at IS NULL', [id]);
    expect(alive).toEqual([]);
    const enabled = await zeroTrust(['enable', id]);
    expect(enabled).toMatchObject({ code: 0, out: `enabled leaver@example.test (${id})` });
    for (const unknown of ['nobody@example.test', 'nonsense']) {
      const refused = await zeroTrust(['disable', unknown]);
      expect(refused).toEqual({ code: 1, out: '', err: 'error: there is no such account' });
    }
  });

  test('says in one line which setting is missing or wrong, and no secret', async () => {
    const list = (environment: Record<string, string>): Promise<Run> => zeroTrust(['list'], { environment });
    expect((await list({ DATABASE_URL: '' })).err).toMatch(/^error: DATABASE_URL is not set/);
    expect((await list({ ZERO_TRUST_MASTER_KEY: '' })).err).toMatch(
      /^error: ZERO_TRUST_MASTER_KEY is not set/,
    );
    const weak = await list({ ZERO_TRUST_MASTER_KEY: 'changeme-changeme-changeme-changeme' });
    expect(weak).toMatchObject({ code: 1, out: '' });
    expect(weak.err).not.toContain('changeme-changeme');
    const url = new URL(db.database.appUrl);
    url.password = 'not-the-password-of-this-login';
    const wrong = await list({ DATABASE_URL: url.href });
    expect(wrong).toMatchObject({ code: 1, out: '' });
    expect(wrong.err).not.toContain('not-the-password');
  });
});
