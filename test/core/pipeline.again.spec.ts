import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { describe, expect, test } from 'vitest';
import { PASSED, Pipeline, PIPELINE, refused, type JudgedCall, type Stage } from '../../src/core/pipeline.js';
import { RequestContext } from '../../src/core/request-context.js';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';

const NO = refused('no', new ZeroTrustError('permission-denied', { detail: 'no' }));
/** They ask how often one calls: what stays open calls nobody. */
const COUNTING = ['throttle-route', 'throttle-principal'];

function callOf(): JudgedCall {
  const context = new RequestContext({ transport: 'ws', receivedAtMs: 0 });
  return {
    execution: new ExecutionContextHost([]),
    context,
    policy: { kind: 'authenticated' },
    handler: callOf,
    controller: Pipeline,
  };
}

/** Whoever is asked writes down its name; `stages` are registered the last one first. */
function pipelineOf(
  judges: Readonly<Record<string, () => unknown>> = {},
  stages: readonly string[] = PIPELINE,
): { pipeline: Pipeline; asked: string[] } {
  const pipeline = new Pipeline();
  const asked: string[] = [];
  for (const name of stages.toReversed()) {
    const judge = (): unknown => {
      asked.push(name);
      return judges[name]?.() ?? PASSED;
    };
    if (name === 'authenticate') {
      pipeline.useAuthenticator({
        authenticate: () => {
          asked.push(name);
          return { kind: 'account', subject: 'alice' };
        },
      });
    } else pipeline.register({ name, judge } as Stage);
  }
  return { pipeline, asked };
}

describe('what is still open is judged again', () => {
  test('RBAC-10 by every stage in its order, but by none that asks how often', async () => {
    const { pipeline, asked } = pipelineOf();
    expect(await pipeline.judgeAgain(callOf())).toBe(PASSED);
    expect(asked).toEqual(PIPELINE.filter((name) => !COUNTING.includes(name)));
    // A call is counted all the same.
    asked.length = 0;
    expect(await pipeline.judge(callOf())).toBe(PASSED);
    expect(asked).toEqual([...PIPELINE]);
  });

  test('RBAC-10 and refused by the first that has something against it now, at once or later', async () => {
    for (const answer of [() => NO, () => Promise.resolve(NO)]) {
      const { pipeline, asked } = pipelineOf({ authorize: answer });
      expect(await pipeline.judgeAgain(callOf())).toBe(NO);
      expect(asked.at(-1)).toBe('authorize');
    }
  });

  test.each(['authenticate', 'authorize'])(
    'RBAC-10 and refused where %s is missing, with nobody asked',
    async (missing) => {
      const { pipeline, asked } = pipelineOf(
        {},
        PIPELINE.filter((name) => name !== missing),
      );
      expect(await pipeline.judgeAgain(callOf())).toMatchObject({
        passed: false,
        reason: `the pipeline has no "${missing}" stage`,
        error: { code: 'internal-error' },
      });
      expect(asked).toEqual([]);
    },
  );

  test('and let alone where it is report-only: what was said of it was told when it was let in', async () => {
    const told: unknown[] = [];
    for (const covered of [true, false]) {
      const { pipeline, asked } = pipelineOf({ authorize: () => NO });
      pipeline.useReportOnly({ covers: () => covered, judged: (call) => void told.push(call) });
      expect(await pipeline.judgeAgain(callOf())).toBe(covered ? PASSED : NO);
      expect(asked.includes('authorize')).toBe(!covered);
    }
    expect(told).toEqual([]);
  });
});
