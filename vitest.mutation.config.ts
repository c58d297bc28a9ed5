import { defineConfig, mergeConfig } from 'vitest/config';
import type { Reporter, TestModule, Vitest } from 'vitest/node';
import everyOther from './vitest.config.ts';

const { test, ...rest } = everyOther;

/**
 * A mutant with which a spec does not even load was noticed. Stryker looks at tests alone, finds none that failed, and
 * would call it a survivor; as an error outside of a test it counts as one that cannot live.
 */
class WhatDoesNotLoad implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestModuleEnd(module: TestModule): void {
    if (!module.children.allTests().next().done) return;
    for (const error of module.errors()) this.#vitest?.state.errorsSet.add(error);
  }
}

/** `npm run test:mutation`: only the specs that scripts/mutation.mjs names, and no results for the ledgers. */
export default mergeConfig(
  rest,
  defineConfig({
    test: {
      ...test,
      include: (process.env['MUTATION_SPECS'] ?? '').split(',').filter((name) => name !== ''),
      reporters: ['default', new WhatDoesNotLoad()],
    },
  }),
);
