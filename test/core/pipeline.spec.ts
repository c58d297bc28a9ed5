import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Authenticator } from '../../src/core/authenticator.js';
import {
  PASSED,
  Pipeline,
  PIPELINE,
  refused,
  type JudgedCall,
  type Verdict,
} from '../../src/core/pipeline.js';
import type { Principal } from '../../src/core/principal.js';
import { RequestContext } from '../../src/core/request-context.js';
import type { RoutePolicy } from '../../src/core/route-policy.js';
import { SystemTask } from '../../src/core/system-task.js';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';

type Judge = () => unknown;

const ALICE: Principal = { kind: 'account', subject: 'alice' };
const NO = refused('no', new ZeroTrustError('permission-denied', { detail: 'no' }));

function callOf(policy: RoutePolicy = { kind: 'authenticated' }): JudgedCall {
  const context = new RequestContext({ transport: 'http', receivedAtMs: 0 });
  return { execution: new ExecutionContextHost([]), context, policy, handler: callOf, controller: Pipeline };
}

/** Registers in the order of the names; whoever is asked writes down its name. */
function pipelineOf(
  names: readonly string[],
  judges: Readonly<Record<string, Judge>> = {},
): { pipeline: Pipeline; asked: string[] } {
  const pipeline = new Pipeline();
  const asked: string[] = [];
  for (const name of names) {
    const judge = (): unknown => {
      asked.push(name);
      return judges[name] ? judges[name]() : name === 'authenticate' ? ALICE : PASSED;
    };
    if (name === 'authenticate') pipeline.useAuthenticator({ authenticate: judge } as Authenticator);
    else pipeline.register({ name, judge } as Parameters<Pipeline['register']>[0]);
  }
  return { pipeline, asked };
}

describe('the order of a judgement', () => {
  test('is that of the list, whatever the order of registration, and whoever takes its time', async () => {
    const order = fc.shuffledSubarray([...PIPELINE], { minLength: PIPELINE.length });
    await fc.assert(
      fc.asyncProperty(order, fc.subarray([...PIPELINE]), async (registered, slow) => {
        const judges = Object.fromEntries(
          slow.map((name) => [name, () => Promise.resolve(name === 'authenticate' ? ALICE : PASSED)]),
        );
        const { pipeline, asked } = pipelineOf(registered, judges);
        expect(await pipeline.judge(callOf())).toBe(PASSED);
        expect(asked).toEqual([...PIPELINE]);
      }),
    );
  });

  test('ends with the first refusal, which is the verdict: nobody after it is asked', async () => {
    for (const [at, name] of PIPELINE.entries()) {
      if (name === 'authenticate') continue;
      for (const judge of [() => NO, () => Promise.resolve(NO)]) {
        const { pipeline, asked } = pipelineOf(PIPELINE, { [name]: judge });
        expect(await pipeline.judge(callOf())).toBe(NO);
        expect(asked).toEqual(PIPELINE.slice(0, at + 1));
      }
    }
  });

  test('goes on after a stage that passes by a verdict of its own', async () => {
    for (const judge of [() => ({ passed: true }), () => Promise.resolve({ passed: true })]) {
      const { pipeline, asked } = pipelineOf(PIPELINE, { 'throttle-route': judge, segment: judge });
      expect(await pipeline.judge(callOf())).toBe(PASSED);
      expect(asked).toEqual([...PIPELINE]);
    }
  });

  test('costs no turn of the loop where no stage needs one', () => {
    expect(pipelineOf(PIPELINE).pipeline.judge(callOf())).toBe(PASSED);
  });

  test('knows only what is registered: the other places stay empty', async () => {
    const { pipeline, asked } = pipelineOf(['authorize', 'authenticate']);
    expect(await pipeline.judge(callOf())).toBe(PASSED);
    expect(asked).toEqual(['authenticate', 'authorize']);
  });
});

describe('a stage that gives no verdict refuses', () => {
  const shapes: [string, unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['true', true],
    ['a yes that is not true', { passed: 'yes' }],
    ['a yes that is not true, with a refusal beside it', { ...NO, passed: 'yes' }],
    ['an empty object', {}],
    ['a refusal without an error', { passed: false, reason: 'no' }],
  ];
  test.each(shapes)('%s, at once or later', async (_name, shape) => {
    for (const answer of [shape, Promise.resolve(shape)]) {
      const { pipeline, asked } = pipelineOf(PIPELINE, { segment: () => answer });
      const verdict = await pipeline.judge(callOf());
      expect(verdict).toMatchObject({ passed: false, reason: 'a stage gave no verdict' });
      expect((verdict as Extract<Verdict, { passed: false }>).error).toMatchObject({
        code: 'permission-denied',
        detail: 'a stage gave no verdict',
      });
      expect(asked.at(-1)).toBe('segment');
    }
  });

  test('a promise of another library is waited for, and its refusal is one', async () => {
    for (const [answer, expected] of [
      [PASSED, PASSED],
      [NO, NO],
    ] as const) {
      const { pipeline } = pipelineOf(PIPELINE, { authorize: () => thenable(answer) });
      expect(await pipeline.judge(callOf())).toBe(expected);
    }
  });
});

/** What other promise libraries, and promises of another realm, look like from here. */
function thenable(value: unknown): unknown {
  return {
    then: (done: (value: unknown) => void) => {
      done(value);
    },
  };
}

describe('a pipeline that lacks what nothing may be served without', () => {
  test.each(['authenticate', 'authorize'])('%s refuses every call, and asks nobody', async (missing) => {
    const { pipeline, asked } = pipelineOf(PIPELINE.filter((name) => name !== missing));
    const detail = `the pipeline has no "${missing}" stage`;
    expect(await pipeline.judge(callOf({ kind: 'public' }))).toMatchObject({
      passed: false,
      reason: detail,
      error: { code: 'internal-error', detail },
    });
    expect(asked).toEqual([]);
  });

  test('does not start, and says what to mend', () => {
    const faultOf = (names: readonly string[]): string => {
      try {
        pipelineOf(names).pipeline.onApplicationBootstrap();
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(faultOf([])).toMatch(/The pipeline refuses to start[^]*no authenticator: [^]*no authorisation: /);
    expect(faultOf(['authorize'])).toContain(
      'no authenticator: import SessionsModule, or call Pipeline.useAuthenticator(…) with your own',
    );
    expect(faultOf(['authorize'])).not.toContain('no authorisation');
    expect(faultOf(['authenticate'])).not.toContain('no authenticator');
    expect(faultOf(['authenticate'])).toContain('no authorisation: import AccessModule');
    expect(faultOf(PIPELINE)).toBe('');
    expect(faultOf([...PIPELINE, 'segment'])).toContain(
      'stage "segment" was registered twice: import the module that brings it with one configuration',
    );
    expect(faultOf([...PIPELINE, 'authenticate'])).toContain('stage "authenticate" was registered twice');
  });

  test('a stage that is registered twice is asked once, as it was first', async () => {
    const { pipeline, asked } = pipelineOf([...PIPELINE, 'authorize']);
    expect(await pipeline.judge(callOf())).toBe(PASSED);
    expect(asked).toEqual([...PIPELINE]);
  });
});

describe('authentication', () => {
  const immediate: ((value: unknown) => unknown)[] = [(value) => value, (value) => Promise.resolve(value)];

  test('writes who is asking into the context before the next stage is asked', async () => {
    for (const answer of [...immediate, thenable]) {
      const call = callOf();
      const seen: unknown[] = [];
      const { pipeline } = pipelineOf(PIPELINE, {
        authenticate: () => answer(ALICE),
        'throttle-principal': () => {
          seen.push(call.context.principal);
          return PASSED;
        },
      });
      expect(await pipeline.judge(call)).toBe(PASSED);
      expect(seen).toEqual([ALICE]);
    }
  });

  test('that finds nobody is a challenge, and nobody else is asked', async () => {
    for (const answer of [...immediate, thenable]) {
      const call = callOf();
      const { pipeline, asked } = pipelineOf(PIPELINE, { authenticate: () => answer(undefined) });
      expect(await pipeline.judge(call)).toMatchObject({
        passed: false,
        reason: 'no credentials were presented',
        error: {
          code: 'authentication-required',
          detail: 'no credentials were presented',
          headers: { 'WWW-Authenticate': 'Bearer' },
        },
      });
      expect(call.context.principal).toBeUndefined();
      expect(asked.at(-1)).toBe('authenticate');
    }
  });

  test('RBAC-01 that answers with the principal of a task proves nothing: nobody asks as one', async () => {
    class Tasks {
      @SystemTask({ name: 'nightly', permissions: ['documents:read'] })
      nightly(): Principal | undefined {
        return RequestContext.current()?.principal;
      }
    }
    const principal = new Tasks().nightly();
    expect(principal?.kind).toBe('system');
    for (const answer of [...immediate, thenable]) {
      const call = callOf();
      const { pipeline, asked } = pipelineOf(PIPELINE, { authenticate: () => answer(principal) });
      expect(await pipeline.judge(call)).toMatchObject({
        passed: false,
        reason: 'a task proves nothing on a request',
        error: {
          code: 'authentication-required',
          detail: 'a task proves nothing on a request',
          headers: { 'WWW-Authenticate': 'Bearer' },
        },
      });
      expect(call.context.principal).toBeUndefined();
      expect(asked.at(-1)).toBe('authenticate');
    }
  });

  test('is not asked about a public handler', async () => {
    const call = callOf({ kind: 'public' });
    const { pipeline, asked } = pipelineOf(PIPELINE, { authenticate: () => expect.fail('asked') });
    expect(await pipeline.judge(call)).toBe(PASSED);
    expect(asked).toEqual(PIPELINE.filter((name) => name !== 'authenticate'));
    expect(call.context.principal).toBeUndefined();
  });

  test('is asked once a request, also where one request calls several handlers', async () => {
    const call = callOf();
    const { pipeline, asked } = pipelineOf(PIPELINE);
    expect(await pipeline.judge(call)).toBe(PASSED);
    expect(await pipeline.judge(call)).toBe(PASSED);
    expect(asked.filter((name) => name === 'authenticate')).toHaveLength(1);
  });

  test('is asked about a handler that declares nothing: it is refused, not open', async () => {
    const { pipeline, asked } = pipelineOf(PIPELINE);
    await pipeline.judge(callOf({ kind: 'undeclared', fault: 'has no policy' }));
    expect(asked).toContain('authenticate');
  });
});
