import { describe, expect, test } from 'vitest';
import { PASSED, refusalIn, refusalOf, refused } from '../../src/core/verdict.js';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';

const ERROR = new ZeroTrustError('permission-denied', { detail: 'the reason' });

describe('a verdict', () => {
  test('that passes is one frozen value', () => {
    expect(PASSED).toEqual({ passed: true });
    expect(Object.isFrozen(PASSED)).toBe(true);
    expect(refusalIn(PASSED)).toBeUndefined();
  });

  test('that refuses has its reason, its error and what was refused, which changes none of the three', () => {
    expect(refused('no', ERROR)).toEqual({ passed: false, reason: 'no', error: ERROR });
    const target = { type: 'document', id: '7' };
    const thing = { target, detail: { tries: 3 }, passed: true, reason: 'yes', error: undefined };
    expect(refused('no', ERROR, thing)).toEqual({
      passed: false,
      reason: 'no',
      error: ERROR,
      target,
      detail: { tries: 3 },
    });
    const verdict = refused('no', ERROR);
    expect(refusalIn(verdict)).toBe(verdict);
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'passed'],
    ['true', true],
    ['a yes that is not true', { passed: 1 }],
    ['a yes that is not true with an error beside it', { passed: 'true', error: ERROR }],
    ['an empty object', {}],
    ['an error alone', { error: ERROR }],
    ['a refusal without an error', { passed: false, reason: 'no' }],
    ['a refusal with an error that is none of ours', { passed: false, error: new Error('no') }],
  ])('V16.5.3 that is %s refuses, and says that there was none', (_name, verdict) => {
    const refusal = refusalIn(verdict);
    expect(refusal).toMatchObject({
      passed: false,
      reason: 'a stage gave no verdict',
      error: { code: 'permission-denied', detail: 'a stage gave no verdict' },
    });
    expect(Object.isFrozen(refusal)).toBe(true);
  });
});

describe('what is thrown', () => {
  test('V16.5.3 is a refusal: its own where it says which', () => {
    expect(refusalOf(ERROR)).toEqual({ passed: false, reason: 'the reason', error: ERROR });
  });

  test('V16.5.3 by anything else is a check that could not be made, with its cause', () => {
    for (const thrown of [new TypeError('secret'), 'secret', undefined]) {
      const { error, ...rest } = refusalOf(thrown);
      expect(rest).toEqual({ passed: false, reason: 'a check could not be made' });
      expect(error).toBeInstanceOf(ZeroTrustError);
      expect(error).toMatchObject({ code: 'temporarily-unavailable', detail: 'a check could not be made' });
      expect(error.cause).toBe(thrown);
    }
  });
});
