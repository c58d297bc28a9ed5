import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test, vi } from 'vitest';
import type { AccessMatrixRow } from '../../src/access/inventory/access-matrix.js';
import { formatRoutes } from '../../src/cli/routes.format.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startSample } from '../support/sample.js';
import { host, sample, zeroTrust } from './zero-trust.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(() => {
  vi.stubEnv('DATABASE_URL', database.appUrl);
  vi.stubEnv('DATABASE_AUDIT_URL', database.auditUrl);
  vi.stubEnv('ZERO_TRUST_MASTER_KEY', randomBytes(32).toString('base64'));
  vi.stubEnv('PUBLIC_URL', 'https://portal.example.test');
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const rowsOf = (text: string): readonly AccessMatrixRow[] =>
  (JSON.parse(text) as { routes: readonly AccessMatrixRow[] }).routes;

describe('zero-trust routes --diff', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'routes-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const app = sample('src/app.module.ts');

  test('says nothing of the same list, names what opened up, and exits with 1 for that alone', async () => {
    const file = join(folder, 'before.json');
    const { out } = await zeroTrust('routes', '--app', app, '--format', 'json');
    await writeFile(file, out);
    expect(await zeroTrust('routes', '--app', app, '--diff', file)).toMatchObject({
      code: 0,
      out: 'nothing changed',
    });

    const stricter = JSON.parse(out) as { routes: AccessMatrixRow[] };
    stricter.routes = stricter.routes
      .filter(({ path }) => path !== '/health/live')
      .map((row) =>
        row.path === '/auth/me' ? { ...row, policy: 'permission', permissions: ['a:b'], roles: [] } : row,
      );
    await writeFile(file, JSON.stringify(stricter));
    const opened = await zeroTrust('routes', '--app', app, '--diff', file);
    expect(opened.code).toBe(1);
    expect(opened.out).toContain('opened     GET /auth/me  a:b → authenticated');
    expect(opened.out).toContain('opened     GET /health/live  new, public');
    expect(opened.err).toContain('2 ways in opened up');

    const looser = JSON.parse(out) as { routes: AccessMatrixRow[] };
    looser.routes.push({ ...looser.routes[0]!, path: '/gone' });
    await writeFile(file, JSON.stringify(looser));
    expect(await zeroTrust('routes', '--app', app, '--diff', file)).toMatchObject({ code: 0 });
  });

  test.each([['not json'], ['{"routes":[{"method":"GET"}]}'], ['[]'], ['null']])(
    'a file that is no list (%s) is one clear line',
    async (text) => {
      const file = join(folder, 'broken.json');
      await writeFile(file, text);
      const { code, out, err } = await zeroTrust('routes', '--app', app, '--diff', file);
      expect([code, out, err.split('\n').length]).toEqual([1, '', 1]);
      expect(err).toContain('--format json');
    },
  );
});

describe('zero-trust routes', () => {
  test('prints as JSON exactly what GET /admin/access/routes answers', async () => {
    const service = await startSample();
    try {
      vi.stubEnv('DATABASE_URL', service.database.appUrl);
      vi.stubEnv('DATABASE_AUDIT_URL', service.database.auditUrl);
      const admin = await service.signIn('admin');
      const answer = await admin.get('/admin/access/routes');
      const app = sample('src/app.module.ts');
      const { code, out, err } = await zeroTrust('routes', '--app', app, '--format', 'json');
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(JSON.parse(out)).toEqual(answer.body);
      expect(rowsOf(out).length).toBeGreaterThan(20);
      expect(rowsOf(out)).toContainEqual({
        transport: 'http',
        method: 'POST',
        path: '/documents',
        handler: 'DocumentsController.create',
        policy: 'permission',
        permissions: ['documents:write'],
        roles: ['editor'],
      });
    } finally {
      await service.close();
    }
  });

  test('prints a table with a head, one line a way in, and a count', async () => {
    const { code, out, err } = await zeroTrust('routes', '--app', host('guarded.module.ts'));
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const lines = out.split('\n');
    expect(lines[0]).toMatch(/^TRANSPORT +METHOD +PATH +DEMANDS +ROLES +HANDLER$/);
    expect(out).toMatch(/^http +GET +\/documents +documents:read +- +DocumentsController\.list$/m);
    expect(out).toMatch(/^http +GET +\/documents\/about +public +\* +DocumentsController\.about$/m);
    expect(lines.at(-1)).toMatch(
      /^\d+ ways in: \d+ with a permission, \d+ authenticated, \d+ public, 0 undeclared$/,
    );
    expect(lines.at(-1)).toContain(`${lines.length - 3} ways in`);
  });

  test('prints a Markdown table whose cells a path cannot break', async () => {
    const { code, out } = await zeroTrust('routes', '--app', host('guarded.module.ts'), '--format', 'md');
    expect(code).toBe(0);
    expect(out.split('\n')[1]).toBe('| --- | --- | --- | --- | --- | --- |');
    expect(out).toContain('| http | GET | /documents | documents:read | - | DocumentsController.list |');
    const row: AccessMatrixRow = {
      ...{ transport: 'http', method: 'GET', path: '/a|b\\', handler: 'C.m', version: '2', host: 'x.test' },
      ...{ policy: 'public', permissions: [], roles: ['*'] },
    };
    expect(formatRoutes([row], 'md').split('\n')[2]).toBe(
      '| http | GET | /a\\|b\\\\ v2 on x.test | public | * | C.m |',
    );
  });

  test('calls an exported function, and so sees the prefix that it sets, without its output', async () => {
    const app = host('guarded.module.ts');
    const argv = ['routes', '--app', app, '--export', 'createApplication', '--format', 'json'];
    const { code, out, err } = await zeroTrust(...argv);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const paths = rowsOf(out).map(({ path }) => path);
    expect(paths).toContain('/api/documents');
    expect(paths).not.toContain('/documents');
  });

  test('RBAC-06 RBAC-07 names versions, hosts, wildcards, redirects, streams and lazy modules once, as they are served', async () => {
    const argv = ['routes', '--app', host('shapes.module.ts'), '--export', 'createApplication'];
    const { code, out, err } = await zeroTrust(...argv);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const ours = /(CatsController|ProfileController|FallbackController|ReportsController)/;
    const rows = out
      .split('\n')
      .filter((line) => ours.test(line))
      .map((line) => line.split(/ {2,}/).slice(1, 4).join(' | '));
    expect(rows.sort()).toEqual([
      'ALL | /api/files/*path | documents:read',
      'GET | /api/cats version-neutral | documents:read',
      'GET | /api/profile on :account.example.test | documents:read',
      'GET | /api/v1/cats v1 | documents:read',
      'GET | /api/v2/cats v2 | documents:write',
      'GET | /api/v2/cats/old v2 | public',
      'GET | /reports | documents:read',
    ]);
  });

  test('lists what an application that refuses to start has not declared, and exits with 1', async () => {
    const { code, out, err } = await zeroTrust('routes', '--app', host('undeclared.module.ts'));
    expect(code).toBe(1);
    expect(out).toMatch(/^http +GET +\/forgotten +undeclared: .+ - +ForgottenController\.open$/m);
    expect(out).toMatch(/^http +GET +\/forgotten\/both +undeclared: .+ - +ForgottenController\.both$/m);
    expect(out).toMatch(/^http +DELETE +\/forgotten +documents:shred +- +ForgottenController\.shred$/m);
    expect(out).toMatch(/, 2 undeclared$/);
    expect(err.split('\n')).toHaveLength(1);
    expect(err).toMatch(/^error: the application would refuse to start: declare Forgotten/);
    for (const name of ['open', 'both', 'shred']) expect(err).toContain(`ForgottenController.${name}`);
  });

  test('lists a route that the HTTP adapter serves by itself and nobody reviewed, and exits with 1', async () => {
    const argv = ['routes', '--app', host('undeclared.module.ts'), '--export', 'createBypassed'];
    const { code, out, err } = await zeroTrust(...argv);
    expect(code).toBe(1);
    expect(out).toMatch(/^http +GET +\/pages +undeclared: .+ \* +adapter$/m);
    expect(err).toBe('error: the application would refuse to start: declare GET /pages');
  });

  test('--help names every option, every format, and what the exit code says', async () => {
    const { code, out } = await zeroTrust('routes', '--help');
    expect(code).toBe(0);
    for (const word of ['--app <file>', '--export <name>', '--format <format>', '"table", "json", "md"']) {
      expect(out).toContain(word);
    }
    expect(out).toContain('Exit code 1');
  });
});

describe('FLT-16 zero-trust routes and access sync fail in one clear line, with exit code 1 and no secret', () => {
  const guarded = host('guarded.module.ts');
  const away = 'postgres://portal:secret-word@127.0.0.1:1/portal';
  const faults: [string, string[], Record<string, string>, RegExp][] = [
    ['no --app', [], {}, /required option '--app <file>' not specified/],
    ['a file that is not there', ['--app', 'dist/nowhere.js'], {}, /dist\/nowhere\.js is not there; build/],
    ['a folder', ['--app', host('')], {}, /cannot be loaded/],
    [
      'no module in the file',
      ['--app', host('../zero-trust.ts')],
      {},
      /exports no Nest module \(it exports host, /,
    ],
    [
      'several modules in the file',
      ['--app', host('several.module.ts')],
      {},
      /exports several Nest modules \(FirstModule, SecondModule\); name one with --export/,
    ],
    [
      'a module without the kit',
      ['--app', host('several.module.ts'), '--export', 'FirstModule'],
      {},
      /the application has no AccessSettings; import ZeroTrustModule or AccessModule/,
    ],
    [
      'an export that is not there',
      ['--app', guarded, '--export', 'Nobody'],
      {},
      /has no export "Nobody" \(it exports /,
    ],
    [
      'an export that is no module',
      ['--app', guarded, '--export', 'port'],
      {},
      /exports "port", which is no Nest module/,
    ],
    [
      'a function that makes no application',
      ['--app', guarded, '--export', 'notAnApplication'],
      {},
      /notAnApplication\(\) returned no Nest application/,
    ],
    [
      'a function that fails with several lines',
      ['--app', guarded, '--export', 'failing'],
      {},
      /^error: the licence: has ended and was lost$/,
    ],
    [
      'a database that is down',
      ['--app', guarded],
      { DATABASE_URL: away },
      /cannot be reached.*ECONNREFUSED/,
    ],
    [
      'a database that is down, for an application that makes itself',
      ['--app', guarded, '--export', 'createApplication'],
      { DATABASE_URL: away },
      /cannot be reached.*ECONNREFUSED/,
    ],
    [
      'a setting of the application that is missing',
      ['--app', sample('src/app.module.ts')],
      { PUBLIC_URL: '' },
      /PUBLIC_URL is missing/,
    ],
    ['an unknown option', ['--app', guarded, '--frobnicate'], {}, /unknown option '--frobnicate'/],
    ['an argument too many', ['--app', guarded, 'frobnicate'], {}, /too many arguments/],
  ];
  describe.each([[['routes']], [['access', 'sync']]])('%j', (command) => {
    test.each(faults)('FLT-16 %s', async (_, argv, environment, message) => {
      for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
      const { code, out, err } = await zeroTrust(...command, ...argv);
      expect({ code, out }).toEqual({ code: 1, out: '' });
      expect(err).toMatch(/^error: [^\n]+$/);
      expect(err).toMatch(message);
      expect(err).not.toContain('secret-word');
    });

    test('FLT-16 a schema that was never migrated', async () => {
      const bare = await createBareDatabase();
      try {
        vi.stubEnv('DATABASE_URL', bare.url);
        const { code, out, err } = await zeroTrust(...command, '--app', guarded);
        expect({ code, out }).toEqual({ code: 1, out: '' });
        expect(err).toMatch(
          /^error: DatabaseModule refuses to start: [^\n]*run `zero-trust migrate` first\.$/,
        );
      } finally {
        await bare.drop();
      }
    });
  });

  test.each([
    [
      'a format that is none',
      ['routes', '--app', guarded, '--format', 'xml'],
      /Allowed choices are table, json, md/,
    ],
    ['access without a command', ['access', 'frobnicate'], /unknown command 'frobnicate'/],
  ])('FLT-16 %s', async (_, argv, message) => {
    const { code, out, err } = await zeroTrust(...argv);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err.split('\n')).toHaveLength(1);
    expect(err).toMatch(message);
  });
});

/** The login may connect and finds nothing. */
async function createBareDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const { default: pg } = await import('pg');
  const name = `${database.name}_bare_${randomBytes(3).toString('hex')}`;
  const admin = async (text: string): Promise<void> => {
    const client = new pg.Client({ connectionString: database.superuserUrl });
    await client.connect();
    await client.query(text).finally(() => client.end());
  };
  await admin(`CREATE DATABASE ${name}`);
  const url = Object.assign(new URL(database.appUrl), { pathname: `/${name}` }).href;
  return { url, drop: () => admin(`DROP DATABASE ${name} WITH (FORCE)`) };
}
