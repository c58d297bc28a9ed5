import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { runsWithRedis } from './test/support/redis.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^nestjs-zero-trust$/, replacement: here('./src/index.ts') },
      { find: /^nestjs-zero-trust\/openapi$/, replacement: here('./src/openapi/index.ts') },
      { find: /^nestjs-zero-trust\/testing$/, replacement: here('./src/testing/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.spec.ts'],
    // They need a Chromium: vitest.browser.config.ts.
    exclude: ['test/browser/**', ...(runsWithRedis() ? [] : ['test/access/queue.spec.ts'])],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/setup.ts'],
    isolate: false,
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    passWithNoTests: false,
    allowOnly: false,
    reporters: ['default', 'test/support/closing-line.reporter.ts'],
  },
});
