import { Logger, type INestApplication } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { AccessReport } from '../../src/access/report-only/access-report.js';
import { ReportOnlyRecorder } from '../../src/access/report-only/report-only.recorder.js';
import { RouteInventory } from '../../src/access/inventory/route-inventory.js';
import { zeroTrust } from '../cli/zero-trust.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import type { User } from './before/token.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'docs/introduce.md'), 'utf8');

/** Each step of the page, with the files that it shows, in its order. */
const steps = page
  .split(/^## (?=\d)/m)
  .slice(1)
  .map((text) => ({
    number: Number(text[0]),
    files: [...text.matchAll(/^`([\w.-]+\.ts)`\n\n```ts\n([^]*?)^```/gm)].map(
      ([, name, content]) => [name!, content!] as const,
    ),
  }));

/** The application after each step: a folder each, 0 as it was before. Where step 4 shows what step 5 begins with. */
const folders: string[] = [];
let folder: string;
let database: TestDatabase;

const keeper: User = { sub: randomUUID(), role: 'keeper' };
const visitor: User = { sub: randomUUID(), role: 'visitor' };
const stranger: User = { sub: randomUUID(), role: 'visitor' };

beforeAll(async () => {
  database = await createTestDatabase();
  mkdirSync(join(root, 'reports'), { recursive: true });
  folder = mkdtempSync(join(root, 'reports/introduce-'));
  folders.push(join(folder, '0'));
  cpSync(join(root, 'test/introduce/before'), folders[0]!, { recursive: true });
  for (const { number, files } of steps) {
    const into = join(folder, String(number));
    cpSync(folders.at(-1)!, into, { recursive: true });
    for (const [name, content] of files) writeFileSync(join(into, name), content);
    folders.push(into);
  }
  for (const each of folders) build(each);
});

/** As the application's own compiler does: the commands of the page name what comes of it. */
function build(at: string): void {
  for (const name of readdirSync(at)) {
    const { outputText } = ts.transpileModule(readFileSync(join(at, name), 'utf8'), {
      compilerOptions: { ...compilerOptions(), module: ts.ModuleKind.ESNext, noEmit: false },
    });
    writeFileSync(join(at, name.replace(/\.ts$/, '.js')), outputText);
  }
}

function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile.bind(ts.sys)) as {
    config: object;
  };
  return ts.parseJsonConfigFileContent(config, ts.sys, root).options;
}

afterAll(async () => {
  rmSync(folder, { recursive: true });
  await database.drop();
});
beforeEach(() => {
  vi.stubEnv('SHELTER_SECRET', 'a secret of the shelter');
  vi.stubEnv('DATABASE_URL', database.appUrl);
  vi.stubEnv('DATABASE_AUDIT_URL', database.auditUrl);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

type Ask = (method: string, path: string, as?: User, body?: object) => Promise<[number, unknown]>;

/** The application as it stands after a step, listening. */
async function running<T>(
  step: number,
  work: (ask: Ask, app: INestApplication, warnings: readonly string[]) => Promise<T>,
): Promise<T> {
  const warnings: string[] = [];
  vi.spyOn(Logger.prototype, 'warn').mockImplementation((text: unknown) => void warnings.push(String(text)));
  for (const level of ['log', 'error'] as const) {
    vi.spyOn(Logger.prototype, level).mockImplementation(() => undefined);
  }
  const at = folders[step]!;
  const { createApplication } = (await import(join(at, 'application.js'))) as {
    createApplication: () => Promise<INestApplication>;
  };
  const { signToken } = (await import(join(at, 'token.js'))) as { signToken: (user: User) => string };
  const app = await createApplication();
  try {
    await app.listen(0, '127.0.0.1');
    const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
    const ask: Ask = async (method, path, as, body) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        headers: {
          ...(as && { authorization: `Bearer ${signToken(as)}` }),
          ...(body && { 'content-type': 'application/json' }),
        },
        ...(body && { body: JSON.stringify(body) }),
      });
      return [response.status, await response.json()];
    };
    return await work(ask, app, warnings);
  } finally {
    await app.close();
  }
}

/** Everybody asks for everything; what changes something is undone by itself. */
async function answersOf(ask: Ask): Promise<Record<string, unknown>> {
  const answers: Record<string, unknown> = {};
  for (const [name, as] of [
    ['nobody', undefined],
    ['stranger', stranger],
    ['visitor', visitor],
    ['keeper', keeper],
  ] as const) {
    for (const [method, path, body] of [
      ['GET', '/cats', undefined],
      ['POST', '/cats', { id: name, name: 'Mia' }],
      ['POST', '/cats', { id: '', name: 'Mia' }],
      ['DELETE', `/cats/${name}`, undefined],
      ['DELETE', '/cats/nowhere', undefined],
      ['GET', '/visits/hours', undefined],
      ['GET', '/visits/mine', undefined],
      ['GET', '/visits/all', undefined],
    ] as const) {
      answers[`${name}: ${method} ${path} ${JSON.stringify(body ?? null)}`] = await ask(
        method,
        path,
        as,
        body,
      );
    }
  }
  return answers;
}

const statusesOf = (answers: Record<string, unknown>): Record<string, number> =>
  Object.fromEntries(Object.entries(answers).map(([key, value]) => [key, (value as [number])[0]]));

async function reportOf(step: number): Promise<AccessReport> {
  const app = join(folders[step]!, 'app.module.js');
  const { code, out, err } = await zeroTrust('report', '--app', app, '--format', 'json');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out) as AccessReport;
}

describe('docs/introduce.md, followed on an application that was there before', () => {
  test('shows six steps, and every file of it compiles where it is written', () => {
    expect(steps.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(steps.map(({ files }) => files.length)).toEqual([3, 0, 5, 4, 2, 0]);
    const shown = folders.flatMap((at, step) =>
      (steps[step - 1]?.files ?? []).map(([name]) => join(at, name)),
    );
    const program = ts.createProgram(shown, compilerOptions());
    expect(
      shown.flatMap((path) =>
        ts
          .getPreEmitDiagnostics(program, program.getSourceFile(path))
          .map(({ messageText }) => `${path}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`),
      ),
    ).toEqual([]);
  }, 120_000);

  test('step 1 changes no answer, says at the start what is not protected, and reports everything', async () => {
    const before = await running(0, answersOf);
    expect(Object.keys(before)).toHaveLength(32);
    const after = await running(1, async (ask, app, warnings) => {
      const answers = await answersOf(ask);
      const entries = app.get(RouteInventory, { strict: false }).entries();
      const own = entries.filter(({ className }) => /^(Cats|Visits)/.test(className));
      expect(own.map(({ reportOnly }) => reportOnly)).toEqual(Array(6).fill(true));
      expect(entries.filter(({ reportOnly }) => reportOnly)).toHaveLength(6);
      const [banner] = warnings.filter((text) => text.startsWith('REPORT-ONLY: 6 of '));
      for (const { className, handlerName } of own) {
        expect(banner).toMatch(new RegExp(`- ${className}\\.${handlerName} \\(http .*\\) has no policy`));
      }
      // The kit's own endpoints answer nobody.
      for (const path of ['/admin/roles', '/admin/access/report', '/admin/audit']) {
        expect((await ask('GET', path))[0]).toBe(500);
        expect((await ask('GET', path, keeper))[0]).toBe(500);
      }
      return answers;
    });
    expect(after).toEqual(before);

    const { ways } = await reportOf(1);
    expect(ways.map(({ handler, state, findings }) => [handler, state, findings[0]?.reason])).toEqual(
      [
        'VisitsController.all',
        'VisitsController.hours',
        'VisitsController.mine',
        'CatsController.giveAway',
        'CatsController.list',
        'CatsController.take',
      ]
        .map((handler) => [handler, 'refuses-start', 'the handler has no policy'])
        .sort((a, b) => (wayOf(ways, a[0]!) < wayOf(ways, b[0]!) ? -1 : 1)),
    );
    const [listed] = ways.filter(({ handler }) => handler === 'CatsController.list');
    expect(listed?.findings[0]?.times).toBe(4);
    expect(listed?.findings[0]?.subjects).toEqual([keeper.sub, visitor.sub, stranger.sub].sort());
  }, 60_000);

  test('step 3 changes no answer, and reports who lacks which permission', async () => {
    const before = await running(0, answersOf);
    const app = join(folders[3]!, 'app.module.js');
    expect(await zeroTrust('access', 'sync', '--app', app)).toMatchObject({ code: 0 });
    const { grantRoles } = (await import(join(folders[3]!, 'grant-roles.js'))) as {
      grantRoles: (users: readonly User[]) => Promise<void>;
    };
    vi.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    vi.spyOn(Logger.prototype, 'log').mockImplementation(() => undefined);
    await grantRoles([keeper, visitor]);
    expect((await zeroTrust('report', '--app', app, '--clear', '--yes')).code).toBe(0);

    expect(
      await running(3, async (ask, running) => {
        const answers = await answersOf(ask);
        expect(running.get(ReportOnlyRecorder, { strict: false }).counts().wouldRefuse).toBeGreaterThan(5);
        return answers;
      }),
    ).toEqual(before);

    const { ways } = await reportOf(3);
    expect(ways.filter(({ state }) => state === 'refuses-start')).toEqual([]);
    const found = (handler: string): unknown =>
      ways
        .find((way) => way.handler === handler)
        ?.findings.map(({ reason, permissions, subjects }) => [reason, permissions, subjects])
        .sort();
    const lacks = (permission: string, ...users: User[]): unknown[] => [
      'a demanded permission is not held',
      [permission],
      users.map(({ sub }) => sub).sort(),
    ];
    const unproved = ['no credentials were presented', [], []];
    expect(found('CatsController.list')).toEqual([lacks('cats:read', stranger), unproved]);
    expect(found('CatsController.giveAway')).toEqual([lacks('cats:give-away', stranger, visitor), unproved]);
    expect(found('VisitsController.all')).toEqual([lacks('visits:read-all', stranger, visitor), unproved]);
    expect(found('VisitsController.hours')).toEqual([]);
    const failing = ['report', '--app', app, '--since', '24h', '--fail-on-findings'];
    expect((await zeroTrust(...failing)).code).toBe(1);
  }, 60_000);

  test('step 4 enforces the first module, in one shape, while the other is let through and reported', async () => {
    await running(4, async (ask) => {
      const statuses = statusesOf(await answersOf(ask));
      for (const [key, status] of Object.entries(statuses)) {
        if (!key.includes('/cats')) continue;
        const [who] = key.split(':');
        const isAllowed = who === 'keeper' || (who === 'visitor' && !key.includes('DELETE'));
        const isValid = !key.includes('"id":""');
        const granted = !isValid ? 400 : key.includes('POST') ? 201 : 200;
        expect([key, status]).toEqual([key, isAllowed ? granted : who === 'nobody' ? 401 : 403]);
      }
      expect(await ask('GET', '/cats')).toMatchObject([401, { code: 'authentication-required' }]);
      expect(await ask('GET', '/cats', stranger)).toMatchObject([403, { code: 'permission-denied' }]);
      // Not yet: nobody ever wrote a guard here, and that is on the list.
      expect((await ask('GET', '/visits/all'))[0]).toBe(200);
      expect((await ask('GET', '/admin/roles'))[0]).toBe(401);
    });
    const app = join(folders[4]!, 'app.module.js');
    const { out } = await zeroTrust('routes', '--app', app);
    expect(out).toMatch(/^http +GET +\/visits\/all +report-only \(visits:read-all\) +\* /m);
    expect(out).toMatch(/^http +GET +\/cats +cats:read +keeper visitor /m);
  }, 60_000);

  test('step 5 leaves nothing open that does not say so, and the list of before shows what closed', async () => {
    await running(5, async (ask, app, warnings) => {
      expect(warnings.filter((text) => text.includes('REPORT-ONLY'))).toEqual([]);
      const entries = app.get(RouteInventory, { strict: false }).entries();
      expect(entries.filter(({ reportOnly }) => reportOnly)).toEqual([]);
      const open = entries.filter(({ policy }) => policy.kind === 'public');
      expect(open.map(({ path }) => path)).toEqual(['/visits/hours']);
      const statuses = statusesOf(await answersOf(ask));
      const reached = Object.keys(statuses).filter((key) => statuses[key]! < 300 && key.startsWith('nobody'));
      expect(reached).toEqual(['nobody: GET /visits/hours null']);
      expect((await ask('GET', '/visits/all', visitor))[0]).toBe(403);
      expect((await ask('GET', '/visits/all', keeper))[0]).toBe(200);
      // The guard and the look at the role are gone from the handlers: the kit refuses what they refused.
      expect((await ask('DELETE', '/cats/tom', visitor))[0]).toBe(403);
    });
    const before = await zeroTrust('routes', '--app', join(folders[4]!, 'app.module.js'), '--format', 'json');
    const file = join(folder, 'access-matrix.json');
    writeFileSync(file, before.out);
    const after = await zeroTrust('routes', '--app', join(folders[5]!, 'app.module.js'), '--diff', file);
    expect(after).toMatchObject({ code: 0 });
    expect(after.out).toContain(
      'tightened  GET /visits/all  report-only (visits:read-all) → visits:read-all',
    );
    // And back again is called what it is.
    writeFileSync(
      file,
      (await zeroTrust('routes', '--app', join(folders[5]!, 'app.module.js'), '--format', 'json')).out,
    );
    const back = await zeroTrust('routes', '--app', join(folders[4]!, 'app.module.js'), '--diff', file);
    expect(back.code).toBe(1);
    expect(back.out).toContain('opened     GET /visits/all  visits:read-all → report-only (visits:read-all)');
  }, 60_000);
});

function wayOf(ways: AccessReport['ways'], handler: string): string {
  return `${ways.find((way) => way.handler === handler)?.ways.join(' ') ?? ''} ${handler}`;
}
