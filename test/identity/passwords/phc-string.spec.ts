import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  isOutdated,
  isWithinCost,
  parametersOf,
  unmatchableHash,
} from '../../../src/identity/passwords/phc-string.js';

const costs = fc.record({
  memoryKib: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  iterations: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  parallelism: fc.integer({ min: 1, max: 255 }),
});

describe('a stored hash', () => {
  test('says its parameters', () => {
    fc.assert(
      fc.property(costs, (parameters) => {
        expect(parametersOf(unmatchableHash(parameters, randomBytes(16), randomBytes(32)))).toEqual(
          parameters,
        );
      }),
    );
  });

  test('PWD-28 whatever the kit would not have written is no hash', () => {
    const good = unmatchableHash(
      { memoryKib: 19456, iterations: 2, parallelism: 1 },
      randomBytes(16),
      randomBytes(32),
    );
    const bad = [
      good.replace('argon2id', 'argon2i'),
      good.replace('argon2id', 'argon2d'),
      good.replace('v=19', 'v=16'),
      good.replace('$v=19', ''),
      good.replace('m=19456', 'm=019456'),
      good.replace('m=19456', 'm=-1'),
      good.replace('m=19456', 'm=99999999999'),
      good.replace('t=2', 't=0'),
      good.replace('p=1', 'p=1,keyid=x'),
      good.replace('p=1', 'p=1,data=x'),
      good.slice(0, -1),
      `${good}A`,
      `${good}\n`,
      ` ${good}`,
      '$2b$12$abcdefghijklmnopqrstuv',
      '',
    ];
    expect(bad.filter((text) => parametersOf(text) !== undefined)).toEqual([]);
  });

  test('is outdated exactly when it is weaker than today in some respect', () => {
    fc.assert(
      fc.property(costs, costs, (stored, current) => {
        const weaker =
          stored.memoryKib < current.memoryKib ||
          stored.iterations < current.iterations ||
          stored.parallelism < current.parallelism;
        expect(isOutdated(stored, current)).toBe(weaker);
        expect(isWithinCost(current, stored)).toBe(!weaker);
      }),
    );
  });
});
