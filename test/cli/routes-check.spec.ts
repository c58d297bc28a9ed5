import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { PublicRouteDeclaration } from '../../src/access/access.options.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { host, sample, zeroTrust } from './zero-trust.js';

let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  database = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'routes-check-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await database.drop();
});
beforeEach(() => {
  vi.stubEnv('DATABASE_URL', database.appUrl);
  vi.stubEnv('DATABASE_AUDIT_URL', database.auditUrl);
  vi.stubEnv('ZERO_TRUST_MASTER_KEY', randomBytes(32).toString('base64'));
  vi.stubEnv('PUBLIC_URL', 'https://portal.example.test');
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const app = host('guarded.module.ts');
const ABOUT = 'GET /documents/about';
const read = async (file: string): Promise<PublicRouteDeclaration[]> =>
  (JSON.parse(await readFile(file, 'utf8')) as { public: PublicRouteDeclaration[] }).public;
const write = (file: string, list: readonly unknown[]): Promise<void> =>
  writeFile(file, JSON.stringify({ public: list }));
/** A list that somebody has reviewed. */
const reviewed = async (file: string): Promise<PublicRouteDeclaration[]> => {
  await zeroTrust('routes', '--app', app, '--check', file, '--write');
  const list = (await read(file)).map(({ route }) => ({ route, reason: `why ${route}` }));
  await write(file, list);
  return list;
};

describe('zero-trust routes --check', () => {
  test('V8.1.1 exits with 0 for a list that says what is open and why', async () => {
    const file = join(folder, 'reviewed.json');
    const list = await reviewed(file);
    expect(list.map(({ route }) => route)).toContain(ABOUT);
    expect(await zeroTrust('routes', '--app', app, '--check', file)).toEqual({
      code: 0,
      out: `${list.length} ways in that anybody reaches, each reviewed`,
      err: '',
    });
  });

  test('V8.1.1 exits with 1 and names what is not listed, what is stale and what nobody explained', async () => {
    const file = join(folder, 'differs.json');
    const list = await reviewed(file);
    await write(file, [
      ...list
        .filter(({ route }) => route !== ABOUT)
        .map((entry, at) => (at === 0 ? { ...entry, reason: ' ' } : entry)),
      { route: 'GET /documents', reason: 'asks for a permission' },
    ]);
    const { code, out, err } = await zeroTrust('routes', '--app', app, '--check', file);
    expect(code).toBe(1);
    expect(out.split('\n')).toEqual([
      `not listed  ${ABOUT}`,
      'stale       GET /documents',
      `no reason   ${list.find(({ route }) => route !== ABOUT)?.route ?? ''}`,
    ]);
    expect(err).toBe(
      `error: ${file}: 1 not listed, 1 stale, 1 without a reason; review each, write why it is open, or close it`,
    );
    const json = await zeroTrust('routes', '--app', app, '--check', file, '--format', 'json');
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({ unlisted: [ABOUT], stale: ['GET /documents'] });
  });

  test('V8.1.1 --write makes the list, and it fails until somebody has written each reason', async () => {
    const file = join(folder, 'made.json');
    const made = await zeroTrust('routes', '--app', app, '--check', file, '--write');
    expect(made.code).toBe(1);
    const list = await read(file);
    expect(list).toContainEqual({ route: ABOUT, reason: '' });
    expect(list.map(({ route }) => route)).toEqual(list.map(({ route }) => route).sort());
    expect(made.err).toContain(`wrote ${file}: ${list.length} added, 0 removed`);
    expect(made.err).toContain(`0 not listed, 0 stale, ${list.length} without a reason`);
    expect((await zeroTrust('routes', '--app', app, '--check', file)).code).toBe(1);
  });

  test('V8.1.1 --write keeps what somebody wrote, drops what is stale, and is done when nothing is new', async () => {
    const file = join(folder, 'kept.json');
    const list = await reviewed(file);
    await write(file, [...list, { route: 'GET /gone', reason: 'was open once' }]);
    const { code, out, err } = await zeroTrust('routes', '--app', app, '--check', file, '--write');
    expect({ code, err }).toEqual({ code: 0, err: `wrote ${file}: 0 added, 1 removed` });
    expect(out).toContain('each reviewed');
    expect(await read(file)).toEqual(list);
  });

  test('V8.1.1 an undeclared way in stops it too, and one of the adapter is open to anybody', async () => {
    const file = join(folder, 'bypassed.json');
    await reviewed(file);
    const argv = ['--app', host('undeclared.module.ts'), '--export', 'createBypassed', '--check', file];
    const { code, out, err } = await zeroTrust('routes', ...argv);
    expect({ code, out }).toEqual({ code: 1, out: 'not listed  GET /pages' });
    expect(err).toBe('error: the application would refuse to start: declare GET /pages');
  });

  test.each([
    ['not json', /cannot be read as JSON$/],
    ['[]', /public: must be a list of \{ route, reason \}$/],
    ['null', /public: must be a list/],
    ['{"public":{}}', /public: must be a list/],
    ['{"public":[],"routes":[]}', /unknown key "routes": it holds "public" alone$/],
    ['{"public":[],"__proto__":[]}', /unknown key "__proto__"/],
    ['{"public":[{"route":"GET /a"}]}', /public: entry 1 must be \{ route, reason \}/],
    ['{"public":[{"route":"GET /a","reason":"x","by":"me"}]}', /public: entry 1 must be/],
    [
      '{"public":[{"route":"GET /a","reason":"x"},{"route":"GET /a","reason":"y"}]}',
      /public: "GET \/a" is listed twice: remove one$/,
    ],
  ])(
    'V2.2.1 a file that is no list (%s) is one clear line, and is not written over',
    async (text, message) => {
      const file = join(folder, 'broken.json');
      for (const more of [[], ['--write']]) {
        await writeFile(file, text);
        const { code, out, err } = await zeroTrust('routes', '--app', app, '--check', file, ...more);
        expect([code, out, err.split('\n').length]).toEqual([1, '', 1]);
        expect(err).toMatch(message);
        expect(await readFile(file, 'utf8')).toBe(text);
      }
    },
  );

  test('V8.1.1 a list that is not there is a fault, and not an empty one', async () => {
    const file = join(folder, 'nowhere.json');
    const { code, out, err } = await zeroTrust('routes', '--app', app, '--check', file);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toBe(`error: ${file} is not there: make it with --write, then write each reason`);
    // Unnamed it stands beside the package.json of the application, wherever the command is run.
    expect((await zeroTrust('routes', '--app', app, '--check')).err).toBe(
      'error: zero-trust.routes.json is not there: make it with --write, then write each reason',
    );
  });

  test('a list and an earlier matrix are not compared at once', async () => {
    for (const option of ['--check', '--write']) {
      const { code, err } = await zeroTrust('routes', '--app', app, option, '--diff', 'before.json');
      expect([code, err]).toEqual([1, expect.stringContaining("cannot be used with option '--diff <file>'")]);
    }
  });
});

describe('the sample', () => {
  test('V8.1.1 has a reviewed list of what anybody reaches, and nothing else is open', async () => {
    const { code, out, err } = await zeroTrust('routes', '--app', sample('src/app.module.ts'), '--check');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^\d+ ways in that anybody reaches, each reviewed$/);
  });
});
