import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { AccessReport } from '../../src/access/report-only/access-report.js';
import { formatReport } from '../../src/cli/report.format.js';
import { asOwner } from '../access/access.fixtures.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { host, zeroTrust, type Run } from './zero-trust.js';

const APP = host('report-only.module.ts');
const report = (...argv: readonly string[]): Promise<Run> => zeroTrust('report', '--app', APP, ...argv);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(() => {
  vi.stubEnv('DATABASE_URL', database.appUrl);
  vi.stubEnv('DATABASE_AUDIT_URL', database.auditUrl);
  vi.stubEnv('ZERO_TRUST_MASTER_KEY', randomBytes(32).toString('base64'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await asOwner(database, 'TRUNCATE access.report');
});

interface Stored {
  readonly way: string;
  readonly handler: string;
  readonly reason: string;
  readonly permissions?: readonly string[];
  readonly times?: number;
  readonly subjects?: readonly string[];
  readonly hoursAgo?: number;
}

/** As another replica has written it. */
async function store(...rows: readonly Stored[]): Promise<void> {
  for (const { way, handler, reason, permissions = [], times = 1, subjects = [], hoursAgo = 0 } of rows) {
    await asOwner(
      database,
      `INSERT INTO access.report VALUES ($1, $2, $3, $4, $5, $6, now() - interval '9 days', now() - make_interval(hours => $7))`,
      [way, handler, reason, permissions, times, subjects, hoursAgo],
    );
  }
}

const READ = { way: 'GET /documents/read', handler: 'DocumentsController.read' };
const ABOUT = { way: 'GET /documents/about|us', handler: 'DocumentsController.about' };
const LACKS = { reason: 'a demanded permission is not held', permissions: ['documents:read'] };

describe('zero-trust report', () => {
  test('lists what would refuse the start, what would refuse calls, what was never called and what would pass', async () => {
    await store(
      { ...READ, ...LACKS, times: 12, subjects: [randomUUID(), randomUUID()] },
      { ...READ, reason: 'would pass', times: 5 },
      { ...ABOUT, reason: 'would pass', times: 7 },
    );
    const { code, out, err } = await report();
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const lines = out.split('\n');
    expect(lines[0]).toMatch(/^ENFORCED IT +WAY IN +WHY +TIMES +SUBJECTS +LAST SEEN +HANDLER$/);
    expect(lines[1]).toMatch(
      /^refuses the start +GET \/documents\/undeclared +has no policy: write .+ - +- +- +DocumentsController\.undeclared$/,
    );
    expect(lines[2]).toMatch(
      /^refuses calls +GET \/documents\/read +a demanded permission is not held: documents:read +12 +2 +\d{4}-.+Z +DocumentsController\.read$/,
    );
    expect(lines[3]).toMatch(/^was never called +GET \/notes\/reported +nothing is known about it /);
    expect(lines[4]).toMatch(/^passes +GET \/documents\/about\|us +- +7 +- +- +DocumentsController\.about$/);
    expect(lines.slice(5)).toEqual([
      '',
      '4 report-only: 1 would refuse the start, 1 would refuse calls, 1 never called, 1 would pass',
    ]);
    expect(out).not.toContain('enforced ');
  });

  test('prints as JSON what GET /admin/access/report answers, with the ids, and as Markdown a table that no path breaks', async () => {
    const subject = randomUUID();
    await store({ ...READ, ...LACKS, subjects: [subject] }, { ...ABOUT, reason: 'would pass' });
    const { out } = await report('--format', 'json');
    const parsed = JSON.parse(out) as AccessReport;
    expect(parsed.ways.find(({ handler }) => handler === READ.handler)).toMatchObject({
      ways: ['GET /documents/read'],
      state: 'would-refuse',
      permissions: ['documents:read'],
      findings: [{ ...LACKS, times: 1, subjects: [subject] }],
    });
    expect(formatReport(parsed, 'json')).toBe(out);
    const { out: table } = await report('--format', 'md');
    expect(table.split('\n')[1]).toBe('| --- | --- | --- | --- | --- | --- | --- |');
    expect(table).toContain(
      '| passes | GET /documents/about\\|us | - | 1 | - | - | DocumentsController.about |',
    );
  });

  test('with --since leaves out what was seen before, and calls it never called', async () => {
    await store({ ...READ, ...LACKS, hoursAgo: 30 }, { ...ABOUT, reason: 'would pass', hoursAgo: 1 });
    const stateOf = async (...argv: string[]): Promise<string | undefined> => {
      const { out } = await report('--format', 'json', ...argv);
      return (JSON.parse(out) as AccessReport).ways.find(({ handler }) => handler === READ.handler)?.state;
    };
    expect(await stateOf()).toBe('would-refuse');
    expect(await stateOf('--since', '2d')).toBe('would-refuse');
    expect(await stateOf('--since', '24h')).toBe('never-called');
    expect(await stateOf('--since', '90m')).toBe('never-called');
  });

  test('exits with 1 for findings only when it is asked to', async () => {
    expect((await report()).code).toBe(0);
    const { code, out, err } = await report('--fail-on-findings');
    expect(code).toBe(1);
    expect(out).toContain('1 would refuse the start');
    expect(err).toMatch(/^error: enforcing would break what the report names: [^\n]+$/);
  });

  test('of an application that enforces everything has nothing to say, and nothing fails', async () => {
    await store({ ...READ, ...LACKS });
    const { code, out } = await zeroTrust(
      ...['report', '--app', host('guarded.module.ts'), '--fail-on-findings'],
    );
    expect({ code, out }).toEqual({
      code: 0,
      out:
        '0 report-only: 0 would refuse the start, 0 would refuse calls, 0 never called, 0 would pass\n' +
        '1 findings are of handlers that are enforced by now, or gone: --clear forgets them',
    });
  });

  test('names calls that no handler can be named for', async () => {
    await store({
      ...{ way: '*', handler: '*', reason: 'more different findings than are told apart', times: 3 },
    });
    const { out } = await report();
    expect(out).toContain('3 more calls would be refused; there were too many kinds to tell apart');
  });

  test('forgets with --clear --yes what it has printed, and the audit log says so', async () => {
    await store({ ...READ, ...LACKS }, { ...ABOUT, reason: 'would pass' });
    const { code, out } = await report('--clear', '--yes');
    expect(code).toBe(0);
    expect(out).toContain('documents:read');
    expect(out.split('\n').at(-1)).toBe('forgot 2 findings');
    expect(await asOwner(database, 'SELECT 1 FROM access.report')).toEqual([]);
    const entries = await asOwner<{ entry: string }>(
      database,
      `SELECT convert_from(entry, 'UTF8') AS entry FROM audit.pending WHERE convert_from(entry, 'UTF8') LIKE '%report-cleared%'`,
    );
    expect(entries).toHaveLength(1);
    const again = await report('--clear', '--yes', '--format', 'json');
    expect(again.err).toBe('forgot 0 findings');
    expect((JSON.parse(again.out) as AccessReport).ways.length).toBe(4);
  });

  test.each([
    ['--clear without --yes', ['--clear'], /^error: --clear forgets what was found, for good: add --yes/],
    ['--clear with --since', ['--clear', '--yes', '--since', '24h'], /use one of the two$/],
    ['an age that is none', ['--since', 'yesterday'], /Write it like 30m, 24h or 7d/],
    ['an age of nothing', ['--since', '0h'], /Write it like 30m, 24h or 7d/],
    ['a format that is none', ['--format', 'xml'], /Allowed choices are table, json, md/],
  ])('FLT-16 %s is one clear line, and nothing is forgotten', async (_, argv, message) => {
    await store({ ...READ, ...LACKS });
    const { code, out, err } = await report(...argv);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err.split('\n')).toHaveLength(1);
    expect(err).toMatch(message);
    expect(await asOwner(database, 'SELECT 1 FROM access.report')).toHaveLength(1);
  });

  test('--help names every option, and what the exit code says', async () => {
    const { code, out } = await zeroTrust('report', '--help');
    expect(code).toBe(0);
    for (const word of [
      '--app <file>',
      '--format <format>',
      '--since <age>',
      '--fail-on-findings',
      '--clear',
      '--yes',
      'Exit code 0',
    ]) {
      expect(out).toContain(word);
    }
  });
});

describe('zero-trust routes', () => {
  test('shows what is report-only as open to everybody, and does not say that it would stop the start', async () => {
    const { code, out, err } = await zeroTrust('routes', '--app', APP);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^http +GET +\/documents\/undeclared +report-only \(undeclared\): .+ \* +Documents/m);
    expect(out).toMatch(/^http +GET +\/documents\/read +report-only \(documents:read\) +\* +Documents/m);
    expect(out).toMatch(/^http +GET +\/notes\/enforced +documents:read +- +NotesController\.enforced$/m);
    expect(out).toMatch(/ undeclared; 4 of them report-only, NOT PROTECTED$/);
  });
});
