import { execFile } from 'node:child_process';
import { mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const REPORTER = fileURLToPath(new URL('./closing-line.reporter.ts', import.meta.url));
const vitest = dirname(createRequire(import.meta.url).resolve('vitest/package.json'));
let project: string;

beforeAll(async () => {
  project = await realpath(await mkdtemp(join(tmpdir(), 'closing-line-')));
  await symlink(dirname(vitest), join(project, 'node_modules'));
  const config = { root: project, test: { include: ['*.spec.js'], reporters: ['default', REPORTER] } };
  await writeFile(join(project, 'vitest.config.js'), `export default ${JSON.stringify(config)}`);
});
afterAll(() => rm(project, { recursive: true }));

interface Run {
  readonly code: number;
  readonly last: string | undefined;
  readonly results: unknown;
}

async function runWith(body: string, environment: NodeJS.ProcessEnv = {}): Promise<Run> {
  await writeFile(
    join(project, 'sample.spec.js'),
    `import { test, describe, beforeAll } from 'vitest';\nconst no = () => { throw new Error('no'); };\n${body}`,
  );
  const env = { ...process.env, CLOSING_LINE: '', ...environment };
  const { code, stdout } = await new Promise<{ code: number; stdout: string }>((resolve) => {
    const arguments_ = [join(vitest, 'vitest.mjs'), 'run', '--config', join(project, 'vitest.config.js')];
    execFile(process.execPath, arguments_, { cwd: project, env }, (error, out) => {
      resolve({ code: error ? Number(error.code) : 0, stdout: out });
    });
  });
  const results: unknown = JSON.parse(await readFile(join(project, 'coverage/test-results.json'), 'utf8'));
  return { code, last: stdout.trimEnd().split('\n').at(-1), results };
}

describe('the closing line', () => {
  test('counts tests, and each outcome is written down for the ledgers', async () => {
    const run = await runWith(`describe('a', () => { test('good', () => {}); test('bad', no); });`);
    expect(run).toEqual({
      code: 1,
      last: '1 passed, 1 failed',
      results: [
        { file: 'sample.spec.js', name: 'a > good', state: 'passed' },
        { file: 'sample.spec.js', name: 'a > bad', state: 'failed' },
      ],
    });
  });

  test('is green only when all passed', async () => {
    expect(await runWith(`test('good', () => {});`)).toMatchObject({ code: 0, last: '1 passed, 0 failed' });
  });

  test('a skipped test fails the run', async () => {
    const run = await runWith(`test('good', () => {}); test.skip('later', () => {});`);
    expect(run).toMatchObject({ code: 1, last: '1 passed, 0 failed, 1 skipped' });
  });

  test.each([
    ['a hook', `describe('a', () => { beforeAll(no); test('never', () => {}); });`],
    ['a file that cannot be loaded', `test('never', () => {}); no();`],
    [
      'an error outside of any test',
      `test('good', () => { setTimeout(no); return new Promise((r) => setTimeout(r, 50)); });`,
    ],
  ])('%s counts as a failure', async (_, body) => {
    const run = await runWith(body);
    expect(run.code).toBe(1);
    expect(run.last).toMatch(/^\d+ passed, [1-9]\d* failed/);
  });

  test('is left to npm test where that adds its other checks', async () => {
    const run = await runWith(`test('good', () => {});`, { CLOSING_LINE: 'off' });
    expect(run.last).not.toMatch(/passed, \d+ failed/);
    expect(run.results).toHaveLength(1);
  });

  test('leaves the outcomes where the option says, so that two runs do not overwrite each other', async () => {
    const other = join(project, 'other.config.js');
    const reporters = [[REPORTER, { results: 'coverage/other.json' }]];
    await writeFile(
      other,
      `export default ${JSON.stringify({ root: project, test: { include: ['*.spec.js'], reporters } })}`,
    );
    await runWith(`test('of the first', () => {});`);
    await promisify(execFile)(process.execPath, [join(vitest, 'vitest.mjs'), 'run', '--config', other], {
      cwd: project,
    });
    const names = async (file: string): Promise<unknown> =>
      JSON.parse(await readFile(join(project, file), 'utf8'));
    expect(await names('coverage/other.json')).toEqual(await names('coverage/test-results.json'));
  });
});
