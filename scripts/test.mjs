// `npm test`: every check that must hold, in one run; the last line is `N passed, N failed`.
//   npm test                 everything
//   npm test -- --help       this text
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

if (process.argv.includes('--help')) {
  console.log('npm test: lint, format, types, build, unit and end-to-end tests, ledgers. Takes no options.');
  console.log(
    'TEST_DATABASE_URL: a login that may create databases and roles; default: an embedded PostgreSQL.',
  );
  process.exit(0);
}

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
const results = fileURLToPath(new URL('../coverage/test-results.json', import.meta.url));
const bin = (name, file) => require.resolve(`${name}/package.json`).replace(/package\.json$/, file);

const steps = [
  ['build', bin('typescript', 'bin/tsc'), '-b', 'sample/tsconfig.json'],
  ['types', bin('typescript', 'bin/tsc'), '--noEmit', '-p', 'tsconfig.json'],
  ['lint', bin('eslint', 'bin/eslint.js'), '.'],
  ['format', bin('prettier', 'bin/prettier.cjs'), '--check', '--log-level', 'warn', '.'],
  ['tests', bin('vitest', 'vitest.mjs'), 'run'],
  ['ledgers', 'scripts/ledgers.mjs', '--check'],
];

rmSync(results, { force: true });
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

try {
  const tests = JSON.parse(readFileSync(results, 'utf8'));
  passed += tests.filter((test) => test.state === 'passed').length;
  failed += tests.filter((test) => test.state !== 'passed').length;
} catch {
  console.log('   no test results were written');
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > steps.length ? 0 : 1);
