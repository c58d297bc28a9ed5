import { defineConfig, mergeConfig } from 'vitest/config';
import everyOther from './vitest.config.ts';

const { test, ...rest } = everyOther;

/** `npm run test:browser`: what only a real browser can prove. */
export default mergeConfig(
  rest,
  defineConfig({
    test: {
      ...test,
      include: ['test/browser/**/*.spec.ts'],
      exclude: [],
      reporters: [
        'default',
        ['test/support/closing-line.reporter.ts', { results: 'coverage/browser-results.json' }],
      ],
    },
  }),
);
