import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Authenticator } from '../../src/core/authenticator.js';
import {
  PASSED,
  Pipeline,
  PIPELINE,
  refused,
  type JudgedCall,
  type StageName,
} from '../../src/core/pipeline.js';
import type { Principal } from '../../src/core/principal.js';
import { ReportOnly, reportOnlyMarkOf, type WouldBeRefusal } from '../../src/core/report-only.js';
import { RequestContext } from '../../src/core/request-context.js';
import type { RoutePolicy } from '../../src/core/route-policy.js';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';

const ALICE: Principal = { kind: 'account', subject: 'alice' };
const NO = refused('no', new ZeroTrustError('permission-denied', { detail: 'no' }));
const coveredHandler = (): void => undefined;
const enforcedHandler = (): void => undefined;

function callOf(handler: object, policy: RoutePolicy = { kind: 'authenticated' }): JudgedCall {
  const context = new RequestContext({ transport: 'http', receivedAtMs: 0 });
  return { execution: new ExecutionContextHost([]), context, policy, handler, controller: Pipeline };
}

/** A pipeline whose every stage answers as `judges` says, with report-only for `coveredHandler`. */
function pipelineOf(judges: Partial<Record<StageName, () => unknown>>): {
  pipeline: Pipeline;
  asked: string[];
  told: (readonly WouldBeRefusal[])[];
} {
  const pipeline = new Pipeline();
  const asked: string[] = [];
  const told: (readonly WouldBeRefusal[])[] = [];
  for (const name of PIPELINE) {
    const judge = (): unknown => {
      asked.push(name);
      return judges[name] ? judges[name]() : name === 'authenticate' ? ALICE : PASSED;
    };
    if (name === 'authenticate') pipeline.useAuthenticator({ authenticate: judge } as Authenticator);
    else pipeline.register({ name, judge } as Parameters<Pipeline['register']>[0]);
  }
  pipeline.useReportOnly({
    covers: ({ handler }) => handler === coveredHandler,
    judged: (_call, refusals) => void told.push(refusals),
  });
  return { pipeline, asked, told };
}

describe('a call that is judged without consequences', () => {
  test('passes whatever a stage says, throws or forgets to say, and each refusal is told with its stage', async () => {
    const bad: [() => unknown, string][] = [
      [() => NO, 'permission-denied'],
      [() => Promise.resolve(NO), 'permission-denied'],
      [() => undefined, 'permission-denied'],
      [() => Promise.reject(new Error('down')), 'temporarily-unavailable'],
      [
        () => {
          throw new ZeroTrustError('too-many-requests', { detail: 'slow down' });
        },
        'too-many-requests',
      ],
    ];
    for (const [judge, code] of bad) {
      for (const name of PIPELINE) {
        if (name === 'authenticate') continue;
        const { pipeline, asked, told } = pipelineOf({ [name]: judge });
        expect(await pipeline.judge(callOf(coveredHandler))).toBe(PASSED);
        expect(asked).toEqual([...PIPELINE]);
        expect(told.map((each) => each.map(({ stage, refusal }) => [stage, refusal.error.code]))).toEqual([
          [[name, code]],
        ]);
      }
    }
  });

  test('has the principal that was proved, although an earlier stage would have refused it', async () => {
    const { pipeline } = pipelineOf({ 'throttle-route': () => NO, authorize: () => NO });
    const call = callOf(coveredHandler);
    await pipeline.judge(call);
    expect(call.context.principal).toEqual(ALICE);
  });

  test('has no principal where none was proved, and nobody asks further about one', async () => {
    for (const authenticate of [
      () => undefined,
      () => Promise.reject(new ZeroTrustError('invalid-credentials', { detail: 'forged' })),
    ]) {
      const { pipeline, asked, told } = pipelineOf({ authenticate });
      const call = callOf(coveredHandler);
      expect(await pipeline.judge(call)).toBe(PASSED);
      expect(call.context.principal).toBeUndefined();
      expect(asked.at(-1)).toBe('authenticate');
      expect(told[0]?.map(({ stage }) => stage)).toEqual(['authenticate']);
    }
  });

  test('that would have passed is told too, so that what was never called can be told apart', async () => {
    const { pipeline, told } = pipelineOf({});
    expect(await pipeline.judge(callOf(coveredHandler))).toBe(PASSED);
    expect(told).toEqual([[]]);
  });

  test('is let through although whoever counts fails', async () => {
    const { pipeline } = pipelineOf({ authorize: () => NO });
    pipeline.useReportOnly({
      covers: () => true,
      judged: () => {
        throw new Error('full');
      },
    });
    expect(await pipeline.judge(callOf(coveredHandler))).toBe(PASSED);
  });

  describe('with time as a value', () => {
    beforeEach(() => {
      vi.useFakeTimers();
    });
    afterEach(() => {
      vi.useRealTimers();
    });

    test('waits one second in all for checks that do not end, then passes and says so', async () => {
      const never = (): Promise<never> => new Promise(() => undefined);
      const { pipeline, told } = pipelineOf({ 'throttle-route': never, segment: never, authorize: never });
      const verdict = Promise.resolve(pipeline.judge(callOf(coveredHandler)));
      await vi.advanceTimersByTimeAsync(999);
      expect(told).toEqual([]);
      await vi.advanceTimersByTimeAsync(1);
      expect(await verdict).toBe(PASSED);
      expect(told[0]?.map(({ stage, refusal }) => [stage, refusal.error.code])).toEqual([
        ['throttle-route', 'temporarily-unavailable'],
        ['segment', 'temporarily-unavailable'],
        ['authorize', 'temporarily-unavailable'],
      ]);
      for (const { refusal } of told[0] ?? []) {
        expect(refusal.error.cause).toEqual(new Error('the checks took too long'));
      }
    });

    test('waits for the proof of who is asking for as long as it takes', async () => {
      let prove: (principal: Principal) => void = () => undefined;
      const { pipeline, told } = pipelineOf({
        authenticate: () => new Promise((resolve) => (prove = resolve)),
      });
      const call = callOf(coveredHandler);
      const verdict = Promise.resolve(pipeline.judge(call));
      await vi.advanceTimersByTimeAsync(10_000);
      expect(told).toEqual([]);
      prove(ALICE);
      expect(await verdict).toBe(PASSED);
      // Nobody was refused: not for the time that it took either.
      expect(told).toEqual([[]]);
      expect(call.context.principal).toEqual(ALICE);
      expect(vi.getTimerCount()).toBe(0);
    });
  });
});

describe('every other call', () => {
  test('is refused as ever, in the same turn, and nothing is told of it', () => {
    const { pipeline, told } = pipelineOf({ authorize: () => NO });
    expect(pipeline.judge(callOf(enforcedHandler))).toBe(NO);
    expect(told).toEqual([]);
  });

  test('is refused by a pipeline that is not whole, also where it would be report-only', async () => {
    const pipeline = new Pipeline();
    pipeline.useReportOnly({ covers: () => true, judged: () => undefined });
    expect(await pipeline.judge(callOf(coveredHandler))).toMatchObject({
      passed: false,
      reason: 'the pipeline has no "authenticate" stage',
    });
  });
});

describe('@ReportOnly()', () => {
  test('is read from the handler itself, and says where it was written', () => {
    class Marked {
      @ReportOnly()
      marked(): void {
        return;
      }
      plain(): void {
        return;
      }
    }
    class Overriding extends Marked {
      override marked(): void {
        return;
      }
    }
    expect(reportOnlyMarkOf(Marked.prototype.marked)).toBe(Marked.prototype);
    expect(reportOnlyMarkOf(Marked.prototype.plain)).toBeUndefined();
    expect(reportOnlyMarkOf(Overriding.prototype.marked)).toBeUndefined();
  });

  test('on a class or a property is a mistake that is named', () => {
    class Plain {}
    expect(() => {
      (ReportOnly() as unknown as (target: object) => void)(Plain);
    }).toThrow('@ReportOnly() belongs on a method');
    expect(() => {
      (ReportOnly() as unknown as (target: object, key: string) => void)(Plain.prototype, 'x');
    }).toThrow('@ReportOnly() belongs on a method, not on a class or property (x).');
  });
});
