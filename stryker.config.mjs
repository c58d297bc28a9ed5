import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Started by scripts/mutation.mjs, one source file at a time, so that a mutant meets the specs that speak of its file and
 * no others: one that only some distant test notices counts as unnoticed.
 *
 * @type {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
export default {
  packageManager: 'npm',
  plugins: ['@stryker-mutator/vitest-runner'],
  testRunner: 'vitest',
  vitest: { configFile: 'vitest.mutation.config.ts', related: false },
  coverageAnalysis: 'perTest',
  // Each runner has a PostgreSQL of its own.
  concurrency: 1,
  // A mutant that waits for ever waits for the timeout of a test: cut before that.
  timeoutMS: 15_000,
  timeoutFactor: 2,
  dryRunTimeoutMinutes: 5,
  ignorePatterns: ['coverage', 'reports', 'dist', 'sample/dist', 'bench', 'docs', '.data'],
  reporters: ['clear-text', 'json'],
  clearTextReporter: {
    allowColor: false,
    allowEmojis: false,
    logTests: false,
    reportTests: false,
    reportMutants: true,
  },
  jsonReporter: { fileName: process.env.MUTATION_REPORT ?? 'reports/mutation/mutation.json' },
  // Not inside of the project, where lint and the check of the package would find copies of it.
  tempDirName: join(tmpdir(), 'zero-trust-mutation'),
  thresholds: { high: 100, low: 95, break: null },
};
