import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import type { SerializedError } from 'vitest';
import type { Reporter, TestModule, TestSuite, Vitest } from 'vitest/node';

interface TestResult {
  readonly file: string;
  readonly name: string;
  readonly state: 'passed' | 'failed' | 'skipped';
}

/**
 * Ends the run with `N passed, N failed`, and writes each test's outcome to coverage/test-results.json, or where the
 * option `results` says, for the ledgers. Suites and hooks that failed and errors outside of any test count as failures; so does a skipped test.
 */
export default class ClosingLineReporter implements Reporter {
  readonly #results: string;
  #vitest: Vitest | undefined;

  constructor({ results = 'coverage/test-results.json' }: { readonly results?: string } = {}) {
    this.#results = results;
  }

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const root = this.#vitest?.config.root ?? process.cwd();
    const results = modules.flatMap((module) => resultsOf(module, relative(root, module.moduleId)));
    results.push(
      ...unhandled.map(({ message }): TestResult => ({
        file: '',
        name: `unhandled: ${message}`,
        state: 'failed',
      })),
    );
    mkdirSync(dirname(`${root}/${this.#results}`), { recursive: true });
    writeFileSync(`${root}/${this.#results}`, `${JSON.stringify(results, null, 1)}\n`);
    const count = (state: TestResult['state']): number =>
      results.filter((each) => each.state === state).length;
    const skipped = count('skipped');
    if (skipped > 0) process.exitCode = 1;
    // `npm test` adds its other checks and prints the line itself.
    if (process.env['CLOSING_LINE'] === 'off') return;
    const line = `${count('passed')} passed, ${count('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
    // After everything else, also after what Vitest prints on its way out.
    process.once('exit', () => {
      process.stdout.write(`${line}\n`);
    });
  }
}

function resultsOf(module: TestModule, file: string): TestResult[] {
  const results: TestResult[] = [];
  const broken = (where: TestModule | TestSuite, name: string): void => {
    for (const { message } of where.errors())
      results.push({ file, name: `${name}: ${message}`, state: 'failed' });
  };
  broken(module, 'file');
  for (const suite of module.children.allSuites()) broken(suite, suite.fullName);
  for (const test of module.children.allTests()) {
    const { state } = test.result();
    results.push({ file, name: test.fullName, state: state === 'pending' ? 'failed' : state });
  }
  return results;
}
