import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { BootError } from '../../src/core/zero-trust-error.js';
import { resolveIdentityOptions, type IdentityOptions } from '../../src/identity/identity.options.js';

function faults(options: object): readonly string[] {
  try {
    resolveIdentityOptions(options);
    return [];
  } catch (error) {
    return error instanceof BootError ? error.faults : [];
  }
}

describe('the options of IdentityModule', () => {
  test('left out, they are at least what OWASP and NIST ask for', () => {
    const settings = resolveIdentityOptions({});
    expect(settings).toMatchObject({
      minPasswordLength: 15,
      productName: '',
      contextWords: [],
      argonMemoryKib: 19_456,
      argonIterations: 2,
      argonParallelism: 1,
      hashQueueLimit: 32,
      sourceAttempts: 10,
      sourceAttemptsWindowSeconds: 900,
      accountAttempts: 100,
      accountAttemptsWindowSeconds: 3_600,
    });
    expect(settings.hashConcurrency).toBeGreaterThanOrEqual(1);
    expect(settings.hashConcurrency).toBeLessThan(4);
  });

  test.each<[string, IdentityOptions]>([
    ['less memory', { argonMemoryKib: 19_455 }],
    ['fewer passes', { argonIterations: 1 }],
    ['no lane', { argonParallelism: 0 }],
    ['a gigabyte', { argonMemoryKib: 1_048_576 }],
    ['no queue', { hashQueueLimit: 0 }],
    ['a million attempts', { accountAttempts: 1_000_000 }],
    ['a fraction', { hashConcurrency: 1.5 }],
    ['a text', { argonMemoryKib: '65536' as never }],
    ['a word that is in every password', { contextWords: ['a'] }],
    ['all threads', { hashConcurrency: 63 }],
  ])('%s is refused, with the option named', (_, options) => {
    expect(faults(options)).toEqual([expect.stringContaining(Object.keys(options)[0]!)]);
  });

  test('PWD-22 limits that shut an owner out for more than 15 minutes are refused', () => {
    expect(faults({ accountAttempts: 3 })).toEqual([expect.stringContaining('accountAttempts')]);
    expect(faults({ sourceAttempts: 1, sourceAttemptsWindowSeconds: 901 })).toHaveLength(1);
    expect(faults({ sourceAttempts: 1, sourceAttemptsWindowSeconds: 900 })).toEqual([]);
  });

  test('every fault is named at once, a misspelt option too', () => {
    expect(faults({ argonMemory: 1, argonIterations: 1, minPasswordLength: 4 })).toHaveLength(3);
  });

  test('the chapter names the defaults that hold', async () => {
    const chapter = await readFile(new URL('../../docs/identity.md', import.meta.url), 'utf8');
    const { hashConcurrency, productName, contextWords, ...numbers } = resolveIdentityOptions({});
    expect([hashConcurrency >= 1, productName, contextWords]).toEqual([true, '', []]);
    for (const [name, value] of Object.entries(numbers)) {
      expect(chapter, name).toMatch(new RegExp(`\\| \`${name}\` +\\| ${value} +\\|`));
    }
  });
});
