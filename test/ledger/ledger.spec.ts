import { execFile } from 'node:child_process';
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const script = join(root, 'scripts/ledgers.mjs');

interface Run {
  readonly code: number;
  readonly lines: readonly string[];
}

function ledgers(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, [script, ...args], (error, stdout, stderr) => {
      const code = typeof error?.code === 'number' ? error.code : error ? 1 : 0;
      resolve({ code, lines: `${stdout}${stderr}`.trimEnd().split('\n') });
    });
  });
}

describe('the ledgers', () => {
  test('have a row for every applicable requirement and every case, and their pages are fresh', async () => {
    expect(await ledgers('--rows')).toEqual({
      code: 0,
      lines: [expect.stringMatching(/^ledgers: 272 requirements \(\d+ open\), 204 cases \(\d+ later\)$/)],
    });
  });
});

describe('the check of the ledgers', () => {
  let copy: string;
  const asvs = 'V1.1.1\tenforced\thttp\tsrc/edge.ts\ttest/edge.spec.ts › decodes once\n';
  const attacks = 'WEB-01\ttest\thttp\t\ttest/edge.spec.ts › WEB-01 cookies are strict\n';
  const passed = [
    { file: 'test/edge.spec.ts', name: 'the edge > decodes once', state: 'passed' },
    { file: 'test/edge.spec.ts', name: 'the edge > WEB-01 cookies are strict', state: 'passed' },
  ];

  const write = (path: string, text: string): Promise<void> => writeFile(join(copy, path), text);
  const writeAsvs = (rows: string): Promise<void> => write('docs/ledgers/asvs.tsv', `id\tstate\n${rows}`);
  const writeAttacks = (rows: string): Promise<void> =>
    write('docs/ledgers/attacks.tsv', `id\tstate\n${rows}`);
  const writeResults = (results: object): Promise<void> =>
    write('coverage/test-results.json', JSON.stringify(results));
  const check = async (): Promise<Run> => {
    await ledgers('--root', copy);
    return ledgers('--root', copy, '--check');
  };

  /** A project with one requirement and one case, both proven. */
  beforeEach(async () => {
    copy = await mkdtemp(join(tmpdir(), 'ledgers-'));
    for (const folder of ['docs/ledgers', 'test/standards', 'test/attacks', 'coverage', 'src']) {
      await mkdir(join(copy, folder), { recursive: true });
    }
    await write(
      'test/standards/asvs-applicable.tsv',
      'id\tlevel\nV1.1.1\tL2\tV1\tV1.1\tDecode once.\tkit\tcheck\n',
    );
    await write(
      'test/attacks/attacks.md',
      '### WEB — Cookies (1 cases)\n\n- **WEB-01** (H) Cookie attributes\n  - Src: ASVS 1.1.1\n',
    );
    await write('src/edge.ts', '');
    await writeAsvs(asvs);
    await writeAttacks(attacks);
    await writeResults(passed);
  });
  afterEach(() => rm(copy, { recursive: true, force: true }));

  test('is content when every row is proven by a test that passed', async () => {
    expect(await check()).toEqual({
      code: 0,
      lines: ['ledgers: 1 requirements (0 open), 1 cases (0 later)'],
    });
    expect(await readFile(join(copy, 'docs/attacks.md'), 'utf8')).toContain('WEB-01 cookies are strict');
  });

  test('finds a test whose name ends in a blank', async () => {
    await writeResults([passed[0]!, { ...passed[1]!, name: `${passed[1]!.name} ` }]);
    expect((await check()).code).toBe(0);
  });

  test.each<[string, () => Promise<void>, RegExp]>([
    ['a row is missing', () => writeAsvs(''), /V1\.1\.1 is missing/],
    ['a case is missing', () => writeAttacks(''), /WEB-01 is missing/],
    ['a row stands twice', () => writeAttacks(attacks + attacks), /WEB-01 stands twice/],
    [
      'an id is unknown',
      () => writeAsvs(`${asvs}V99.1.1\troom\thttp\n`),
      /V99\.1\.1 is not in the catalogue/,
    ],
    ['a state is unknown', () => writeAttacks('WEB-01\tdone\thttp\n'), /state "done"/],
    ['a room is unknown', () => writeAttacks('WEB-01\tlater\tattic\n'), /room "attic"/],
    ['a proof is missing', () => writeAttacks('WEB-01\ttest\thttp\n'), /WEB-01 names no test/],
    ['a reason is missing', () => writeAttacks('WEB-01\tn/a\thttp\n'), /WEB-01 does not say why/],
    [
      'a path is not there',
      () => writeAsvs(asvs.replace('src/edge.ts', 'src/gone.ts')),
      /src\/gone\.ts, which is not there/,
    ],
    [
      'documents stand in for a test',
      () => writeAsvs('V1.1.1\tdocumented\thttp\tsrc/edge.ts\n'),
      /name the test that proves it/,
    ],
    [
      'a named test did not run',
      () => writeResults(passed.slice(0, 1)),
      /WEB-01 is proven by a test that did not run/,
    ],
    [
      'a named test failed',
      () => writeResults([passed[0]!, { ...passed[1]!, state: 'failed' }]),
      /WEB-01 is proven by a test that failed/,
    ],
    [
      'one of two tests of that name failed',
      () => writeResults([...passed, { ...passed[1]!, state: 'failed' }]),
      /WEB-01 is proven by a test that failed/,
    ],
    ['no test ran', () => rm(join(copy, 'coverage'), { recursive: true }), /run the tests first/],
  ])('fails when %s', async (_what, damage, fault) => {
    await damage();
    const { code, lines } = await check();
    expect(code).toBe(1);
    expect(lines.join('\n')).toMatch(fault);
  });

  test('fails when a page is stale', async () => {
    await check();
    await write('docs/asvs.md', 'old');
    const { code, lines } = await ledgers('--root', copy, '--check');
    expect([code, ...lines]).toEqual([1, 'ledgers: docs/asvs.md is stale: run npm run ledgers']);
  });

  test('suggests the row of a case whose test passes, and writes it when asked to', async () => {
    await writeAttacks('WEB-01\tlater\thttp\n');
    // Run on two adapters, it is named once.
    await writeResults([...passed, { ...passed[1]!, name: 'the other edge > WEB-01 cookies are strict' }]);
    expect((await ledgers('--root', copy, '--suggest')).lines[0]).toBe(attacks.trimEnd());
    expect(await readFile(join(copy, 'docs/ledgers/attacks.tsv'), 'utf8')).toContain('later');
    await ledgers('--root', copy, '--apply');
    expect(await readFile(join(copy, 'docs/ledgers/attacks.tsv'), 'utf8')).toContain(attacks);
    expect((await check()).code).toBe(0);
  });

  test('suggests to look again where no passing test bears the id, and where an open requirement has cases', async () => {
    await writeAsvs('V1.1.1\troom\thttp\n');
    await writeResults(passed.slice(0, 1));
    expect((await ledgers('--root', copy, '--suggest')).lines[0]).toMatch(/^\? WEB-01 has no passing test/);
    await writeResults(passed);
    expect((await ledgers('--root', copy, '--suggest')).lines[0]).toBe(
      '? V1.1.1 is open, yet these cases stand: WEB-01',
    );
  });

  describe('with a test that needs a browser', () => {
    const inBrowser = 'test/browser/cookies.spec.ts › WEB-01 no script reads one';
    const results = (state: string): Promise<void> =>
      write(
        'coverage/browser-results.json',
        JSON.stringify([{ file: 'test/browser/cookies.spec.ts', name: 'WEB-01 no script reads one', state }]),
      );
    const checkWith = async (...more: string[]): Promise<Run> => {
      await ledgers('--root', copy);
      return ledgers('--root', copy, '--check', ...more);
    };
    beforeEach(async () => {
      await mkdir(join(copy, 'test/browser'), { recursive: true });
      await write('test/browser/cookies.spec.ts', '');
      await writeAttacks(`${attacks.trimEnd()}\t${inBrowser}\n`);
    });

    test('asks for its result where a browser ran, and where one has to', async () => {
      expect((await checkWith()).code).toBe(0);
      const { code, lines } = await checkWith('--browser');
      expect(code).toBe(1);
      expect(lines.join('\n')).toMatch(/browser-results\.json is not there/);
      expect(lines.join('\n')).toMatch(/WEB-01 is proven by a test that did not run: test\/browser/);
      await results('passed');
      expect((await checkWith('--browser')).code).toBe(0);
      await results('failed');
      for (const more of [[], ['--browser']])
        expect((await checkWith(...more)).lines.join('\n')).toMatch(/WEB-01 is proven by a test that failed/);
    });

    test('asks for its file where none ran, and keeps its row', async () => {
      const before = await readFile(join(copy, 'docs/ledgers/attacks.tsv'), 'utf8');
      await ledgers('--root', copy, '--apply');
      expect(await readFile(join(copy, 'docs/ledgers/attacks.tsv'), 'utf8')).toBe(before);
      await rm(join(copy, 'test/browser/cookies.spec.ts'));
      expect((await checkWith()).lines.join('\n')).toMatch(/WEB-01 is proven by test\/browser\/.*not there/);
    });
  });
});
