import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

interface CruiseResult {
  summary: { violations: { rule: { name: string }; from: string; to: string }[]; totalCruised: number };
}

async function cruise(cwd: string, ...paths: string[]): Promise<CruiseResult['summary']> {
  const bin = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const options = ['--config', '.dependency-cruiser.cjs', '--output-type', 'json'];
  const answer = await run(process.execPath, [bin, ...options, ...paths], {
    cwd,
    maxBuffer: 1 << 26,
  }).catch(
    // It exits with the number of violations, and prints all the same.
    (failed: unknown) => failed as { stdout: string },
  );
  return (JSON.parse(answer.stdout) as CruiseResult).summary;
}

describe('the floors of the house', () => {
  // A copy: other tests read the sources at the same moment.
  let copy: string;
  beforeAll(async () => {
    copy = await mkdtemp(join(tmpdir(), 'architecture-'));
    for (const each of ['src', '.dependency-cruiser.cjs', 'tsconfig.json', 'package.json'])
      await cp(join(root, each), join(copy, each), { recursive: true });
    await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  });
  afterAll(() => rm(copy, { recursive: true, force: true }));

  test('no module imports from its own or a higher floor, in a circle, or through the door', async () => {
    const { violations, totalCruised } = await cruise(root, 'src', 'sample/src');
    expect(totalCruised).toBeGreaterThan(100);
    expect(violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)).toEqual([]);
  }, 120_000);

  test('the rules do find an import that goes upstairs', async () => {
    const intruder = join(copy, 'src/core/architecture-probe');
    await mkdir(intruder, { recursive: true });
    await writeFile(
      join(intruder, 'upstairs.ts'),
      "export { decide } from '../../access/decision/decide.js';\n",
    );
    const { violations } = await cruise(copy, 'src/core/architecture-probe');
    expect(violations.map(({ rule }) => rule.name)).toContain('floor-core');
  }, 120_000);

  test('no room has a drawer', async () => {
    const files = (await readdir(join(root, 'src'), { recursive: true })).concat(
      await readdir(join(root, 'sample/src'), { recursive: true }),
    );
    expect(
      files.filter((file) =>
        /(^|\/|\.)(utils?|helpers?|common|shared|types|interfaces|misc)([/.]|$)/.test(file),
      ),
    ).toEqual([]);
  });

  test('what npm ships says nothing of a machine or of unfinished work', async () => {
    const files = (await readdir(join(root, 'src'), { recursive: true })).filter((file) =>
      file.endsWith('.ts'),
    );
    const texts = await Promise.all(
      files.map(async (file) => [file, await readFile(join(root, 'src', file), 'utf8')] as const),
    );
    expect(
      texts
        .filter(([, text]) => /\b(TODO|FIXME|XXX|HACK)\b|not implemented/i.test(text))
        .map(([file]) => file),
    ).toEqual([]);
  });
});
