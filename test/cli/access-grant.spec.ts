import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { asOwner, newSubject, storeGrant } from '../access/access.fixtures.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { host, zeroTrust, type Run } from './zero-trust.js';

const APP = host('separated.module.ts');

describe('separation of duty and scopes on the command line', () => {
  let database: TestDatabase;
  let account: string;
  const run = (...argv: string[]): Promise<Run> => zeroTrust(...argv);
  const sync = (...argv: string[]): Promise<Run> => run('access', 'sync', '--app', APP, ...argv);
  const grant = (...argv: string[]): Promise<Run> =>
    run('access', 'grant', '--app', APP, '--reason', 'test', ...argv);
  const grants = (): Promise<object[]> =>
    asOwner(
      database,
      'SELECT subject, role, scope FROM access."grant" WHERE revoked_at IS NULL ORDER BY role',
    );

  beforeAll(() => {
    vi.stubEnv('ZERO_TRUST_MASTER_KEY', randomBytes(32).toString('base64'));
  });
  afterAll(() => {
    vi.unstubAllEnvs();
  });
  beforeEach(async () => {
    database = await createTestDatabase();
    vi.stubEnv('DATABASE_URL', database.appUrl);
    vi.stubEnv('DATABASE_AUDIT_URL', database.auditUrl);
    await sync();
    const made = await run('accounts', 'create', '--email', 'you@example.test', '--name', 'You');
    account = /[0-9a-f-]{36}/.exec(made.out)![0];
  });
  afterEach(() => database.drop());

  test('access grant grants a role everywhere or in a scope, by id or e-mail address, until a time', async () => {
    const first = await grant('--to', 'you@example.test', '--role', 'clerk', '--scope', 'project:7');
    expect(first).toMatchObject({ code: 0, err: '' });
    expect(first.out).toMatch(
      new RegExp(`^granted clerk to ${account}, project:7, until it is revoked \\(.{36}\\)$`),
    );
    const second = await grant(
      '--to',
      account,
      '--role',
      'clerk',
      '--until',
      '2039-01-31T12:00:00+01:00',
      '--json',
    );
    expect(JSON.parse(second.out)).toMatchObject({
      subject: account,
      scope: null,
      expiresAt: '2039-01-31T11:00:00.000Z',
      grantedBy: 'system',
      reason: 'test',
    });
    expect(await grants()).toMatchObject([{ scope: 'project:7' }, { scope: null }]);
  });

  test.each([
    [['--scope', 'project:8'], 'scope must name one that exists'],
    [['--scope', 'team:7'], 'scope must be of a kind that the application declares'],
    [['--scope', 'project'], 'scope must be kind:id, e.g. project:7'],
    [['--until', 'tomorrow'], '--until must be a time with its offset, e.g. 2030-01-31T12:00:00Z'],
    [['--until', '2039-01-31T12:00:00'], '--until must be a time with its offset, e.g. 2030-01-31T12:00:00Z'],
    [['--until', '2001-01-31T12:00:00Z'], 'expiresAt must be in the future'],
    [['--role', 'boss'], 'role must name a role that exists'],
    [['--to', 'nobody@example.test'], 'there is no account with this e-mail address'],
    [['--to', newSubject()], 'there is no such account'],
  ])('access grant with %j is refused in one line, and nothing is written', async (more, fault) => {
    expect(await grant('--to', account, '--role', 'clerk', ...more)).toEqual({
      code: 1,
      out: '',
      err: `error: ${fault}`,
    });
    expect(await grants()).toEqual([]);
  });

  test('access grant breaks no separation of duty, and accounts create takes one role for that reason', async () => {
    await grant('--to', account, '--role', 'clerk', '--scope', 'project:7');
    const broken = await grant('--to', account, '--role', 'approver');
    expect(broken.code).toBe(1);
    expect(broken.err).toMatch(/^error: separation of duty \(who makes does not approve\)/);
    const both = await run(
      ...['accounts', 'create', '--email', 'both@example.test', '--name', 'Both'],
      ...['--role', 'clerk', '--role', 'approver'],
    );
    expect(both).toMatchObject({ code: 1, out: '' });
    expect(both.err).toMatch(/^error: several roles .* `zero-trust access grant/);
    expect(await grants()).toEqual([{ subject: account, role: 'clerk', scope: 'project:7' }]);
  });

  test('access sync says who holds what is to be separate, and fails for it when it is told to', async () => {
    expect(await sync('--fail-on-violations')).toMatchObject({ code: 0 });
    const subjects = Array.from({ length: 21 }, newSubject).sort();
    for (const subject of subjects) {
      await storeGrant(database, subject, 'clerk');
      await storeGrant(database, subject, 'approver');
    }
    for (const mode of [[], ['--dry-run']]) {
      const { code, out } = await sync(...mode);
      expect(code).toBe(0);
      expect(out.split('\n').slice(1)).toEqual([
        'separation of duty: 21 subjects hold roles that are to be separate',
        ...subjects.slice(0, 20).map((each) => `${each}: clerk and approver (who makes does not approve)`),
        '… and 1 more',
      ]);
    }
    const failed = await sync('--dry-run', '--fail-on-violations', '--json');
    expect(failed).toMatchObject({
      code: 1,
      err: 'error: 21 subjects hold roles that are to be separate: revoke one of each',
    });
    const report = JSON.parse(failed.out) as { violations: { count: number; subjects: object[] } };
    expect(report.violations.count).toBe(21);
    expect(report.violations.subjects[0]).toEqual({
      subject: subjects[0],
      broken: [{ separation: 'who makes does not approve', roles: ['clerk', 'approver'] }],
    });
  });
});
