// `npm test`: every check that must hold, in one run; the last line is `N passed, N failed`.
//   npm test                    everything that needs nothing but Node.js, and with Redis where that is installed
//   TEST_BROWSER=on npm test    the tests in a real Chromium too, as .ci/run does
//   TEST_REDIS=on npm test      a Redis that is missing is a failure, as in .ci/run
//   npm test -- --help          this text
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

if (process.argv.includes('--help')) {
  console.log('npm test: lint, format, types, build, unit and end-to-end tests, ledgers. Takes no options.');
  console.log(
    'TEST_BROWSER=on: the tests in a real Chromium too (CHROMIUM_PATH, default /usr/bin/chromium).',
  );
  console.log(
    'TEST_REDIS=on: fails without a Redis (REDIS_SERVER_PATH, default /usr/bin/redis-server), which else leaves out what needs it.',
  );
  console.log(
    'TEST_DATABASE_URL: a login that may create databases and roles; default: an embedded PostgreSQL.',
  );
  process.exit(0);
}

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
const browser = process.env.TEST_BROWSER === 'on';
const resultsOf = (run) => fileURLToPath(new URL(`../coverage/${run}-results.json`, import.meta.url));
const bin = (name, file) => require.resolve(`${name}/package.json`).replace(/package\.json$/, file);

const steps = [
  ['build', bin('typescript', 'bin/tsc'), '-b', 'sample/tsconfig.json'],
  ['types', bin('typescript', 'bin/tsc'), '--noEmit', '-p', 'tsconfig.json'],
  ['lint', bin('eslint', 'bin/eslint.js'), '.'],
  ['format', bin('prettier', 'bin/prettier.cjs'), '--check', '--log-level', 'warn', '.'],
  ['tests', bin('vitest', 'vitest.mjs'), 'run'],
  ...(browser
    ? [['browser', bin('vitest', 'vitest.mjs'), 'run', '--config', 'vitest.browser.config.ts']]
    : []),
  ['ledgers', 'scripts/ledgers.mjs', '--check', ...(browser ? ['--browser'] : [])],
];

// Also those of a browser run of before: what they say may be true no longer.
for (const run of ['test', 'browser']) rmSync(resultsOf(run), { force: true });
let passed = 0;
let failed = 0;
for (const [name, file, ...args] of steps) {
  console.log(`\n── ${name}`);
  const { status } = spawnSync(process.execPath, [file, ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, NODE_ENV: 'test', CLOSING_LINE: 'off' },
  });
  if (status === 0) passed += 1;
  else failed += 1;
  console.log(status === 0 ? `   ${name}: ok` : `   ${name}: FAILED (exit ${status ?? 'by signal'})`);
}

for (const run of browser ? ['test', 'browser'] : ['test']) {
  try {
    const tests = JSON.parse(readFileSync(resultsOf(run), 'utf8'));
    passed += tests.filter((test) => test.state === 'passed').length;
    failed += tests.filter((test) => test.state !== 'passed').length;
  } catch {
    console.log(`   no ${run} results were written`);
    failed += 1;
  }
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > steps.length ? 0 : 1);
