import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { beforeEach, describe, expect, test } from 'vitest';
import { Clock } from '../../src/core/clock.js';
import { PASSED, Pipeline, refused, type JudgedCall, type Verdict } from '../../src/core/pipeline.js';
import { messageContextOf, PipelineGuard } from '../../src/core/pipeline.guard.js';
import { RequestContext, type Transport } from '../../src/core/request-context.js';
import { Authenticated } from '../../src/core/route-policy.js';
import { SecurityEvents, type PublishedSecurityEvent } from '../../src/core/security-events.js';
import { ZeroTrustError, type ErrorCode } from '../../src/core/zero-trust-error.js';

class CatsController {
  @Authenticated()
  read(): string {
    return 'a cat';
  }
}

class FrozenClock extends Clock {
  nowMs(): number {
    return 1_764_000_000_123;
  }
}

let answer: () => unknown;
let calls: JudgedCall[];
let published: PublishedSecurityEvent[];
let listener: (event: PublishedSecurityEvent) => void | Promise<void>;
let guard: PipelineGuard;

beforeEach(() => {
  answer = () => PASSED;
  calls = [];
  published = [];
  listener = (event) => void published.push(event);
  const pipeline = new Pipeline();
  pipeline.useAuthenticator({ authenticate: () => ({ kind: 'account', subject: 'alice' }) });
  pipeline.register({
    name: 'authorize',
    judge: (call) => {
      calls.push(call);
      return answer() as Verdict;
    },
  });
  const clock = new FrozenClock();
  const events = new SecurityEvents(clock);
  events.subscribe((event) => listener(event));
  guard = new PipelineGuard(pipeline, events, clock);
});

function executionOf(type: string): ExecutionContextHost {
  const execution = new ExecutionContextHost(['request'], CatsController, CatsController.prototype.read);
  execution.setType(type);
  return execution;
}
const contextOf = (transport: Transport): RequestContext =>
  new RequestContext({ transport, receivedAtMs: 1 });
const refusing = (code: ErrorCode, detail = 'no'): Verdict =>
  refused(detail, new ZeroTrustError(code, { detail }));
/** What the guard throws, whether at once or later. */
const thrownBy = async (execution: ExecutionContextHost): Promise<unknown> => {
  try {
    return await guard.canActivate(execution);
  } catch (error) {
    return error;
  }
};

describe('the guard asks the pipeline', () => {
  test.each(['http', 'rpc', 'ws', 'graphql'])(
    'RBAC-01 of a call by %s with its policy, its handler and a context that names it',
    async (type) => {
      const execution = executionOf(type);
      expect(await guard.canActivate(execution)).toBe(true);
      expect(calls).toHaveLength(1);
      const [{ context, ...call }] = calls as [JudgedCall];
      expect(call).toEqual({
        execution,
        policy: { kind: 'authenticated' },
        handler: CatsController.prototype.read,
        controller: CatsController,
      });
      expect(context).toMatchObject({
        transport: type,
        handler: 'CatsController.read',
        receivedAtMs: 1_764_000_000_123,
      });
    },
  );

  test('and refuses what is not even judged like any other call: named, recorded, thrown', async () => {
    const error = new ZeroTrustError('permission-denied', { detail: 'nobody may' });
    await expect(guard.refuse(executionOf('ws'), error)).rejects.toBe(error);
    expect(calls).toEqual([]);
    expect(published).toMatchObject([
      { action: 'access.refused', reason: 'nobody may', transport: 'ws', handler: 'CatsController.read' },
    ]);
  });

  test('and answers without a promise where no stage needs one, or when the last one has answered', async () => {
    expect(guard.canActivate(executionOf('http'))).toBe(true);
    answer = () => Promise.resolve(PASSED);
    const answered = guard.canActivate(executionOf('http'));
    expect(answered).toBeInstanceOf(Promise);
    expect(await answered).toBe(true);
  });

  test.each(['task', 'smoke-signal'])(
    'RBAC-01 never of a call by %j: no transport that is unknown is served, and the refusal is recorded',
    async (type) => {
      expect(await thrownBy(executionOf(type))).toMatchObject({
        code: 'permission-denied',
        detail: 'the transport is unknown',
      });
      expect(calls).toEqual([]);
      expect(published).toMatchObject([
        {
          action: 'access.refused',
          reason: 'the transport is unknown',
          transport: 'rpc',
          handler: undefined,
        },
      ]);
    },
  );
});

describe('the context of a call', () => {
  test.each(['http', 'graphql'])(
    'by %s is the one that the edge has opened, and no other is kept for it',
    async (type) => {
      const execution = executionOf(type);
      const ambient = contextOf('http');
      expect(await RequestContext.run(ambient, () => guard.canActivate(execution))).toBe(true);
      expect(calls[0]?.context).toBe(ambient);
      expect(messageContextOf(execution)).toBeUndefined();
    },
  );

  test.each(['rpc', 'ws'])(
    'RBAC-10 by %s is one of its own, also within another, and is kept for its handler',
    async (type) => {
      const execution = executionOf(type);
      const ambient = contextOf('http');
      expect(await RequestContext.run(ambient, () => guard.canActivate(execution))).toBe(true);
      expect(calls[0]?.context).not.toBe(ambient);
      expect(calls[0]?.context.transport).toBe(type);
      expect(ambient.principal).toBeUndefined();
      expect(messageContextOf(execution)).toBe(calls[0]?.context);
      // Another message of the same handler has another one.
      const next = executionOf(type);
      expect(await guard.canActivate(next)).toBe(true);
      expect(messageContextOf(next)).not.toBe(messageContextOf(execution));
    },
  );

  test.each(['http', 'graphql', 'rpc', 'ws'])(
    'RBAC-10 by %s is the one in which every stage asks, within another one or not, and after waiting too',
    async (type) => {
      const seen: unknown[] = [];
      answer = async () => {
        seen.push(RequestContext.current());
        await Promise.resolve();
        seen.push(RequestContext.current());
        return PASSED;
      };
      const run = (): unknown => guard.canActivate(executionOf(type));
      await RequestContext.run(contextOf('http'), run);
      await run();
      expect(calls).toHaveLength(2);
      const [within, alone] = calls.map(({ context }) => context);
      expect(seen).toHaveLength(4);
      for (const [at, context] of [within, within, alone, alone].entries()) expect(seen[at]).toBe(context);
      expect(RequestContext.current()).toBeUndefined();
    },
  );

  test('by HTTP that no edge has opened is opened here', async () => {
    const execution = executionOf('http');
    await guard.canActivate(execution);
    expect(messageContextOf(execution)).toBe(calls[0]?.context);
  });
});

describe('a refusal', () => {
  test.each<[ErrorCode, string]>([
    ['authentication-required', 'authentication.refused'],
    ['too-many-requests', 'throttle.refused'],
    ['permission-denied', 'access.refused'],
    ['internal-error', 'access.refused'],
  ])('V16.3.2 with %s is recorded as %s before it is thrown, at once or later', async (code, action) => {
    for (const wait of [(verdict: Verdict) => verdict, (verdict: Verdict) => Promise.resolve(verdict)]) {
      published = [];
      const verdict = refusing(code, 'not today');
      answer = () => wait(verdict);
      expect(await thrownBy(executionOf('rpc'))).toBe((verdict as { error?: unknown }).error);
      const context = calls.at(-1)?.context;
      expect(published).toMatchObject([
        {
          action,
          outcome: 'failure',
          delivery: 'detached',
          reason: 'not today',
          actor: 'alice',
          requestId: context?.id,
          transport: 'rpc',
          handler: 'CatsController.read',
        },
      ]);
      expect(published[0]?.detail).toEqual({ code });
      expect(published[0]).not.toHaveProperty('target');
    }
  });

  test('names what was refused, and its facts beside the code', async () => {
    answer = () =>
      refused('no', new ZeroTrustError('not-found', { detail: 'no' }), {
        target: { type: 'document', id: '7' },
        detail: { permission: 'documents:read' },
      });
    await thrownBy(executionOf('http'));
    expect(published).toMatchObject([
      {
        target: { type: 'document', id: '7' },
        detail: { permission: 'documents:read', code: 'not-found' },
      },
    ]);
  });

  test('is recorded in the context of its request where there is one', async () => {
    answer = () => refusing('permission-denied');
    const ambient = contextOf('http');
    await RequestContext.run(ambient, () => thrownBy(executionOf('http')));
    expect(published).toMatchObject([{ requestId: ambient.id, transport: 'http' }]);
  });

  test('V16.5.3 is also what a stage throws, at once or later, and nothing of it is told the caller', async () => {
    const cause = new Error('the store says: secret');
    for (const fail of [
      () => {
        throw cause;
      },
      () => Promise.reject(cause),
    ]) {
      published = [];
      answer = fail;
      const error = await thrownBy(executionOf('http'));
      expect(error).toMatchObject({ code: 'temporarily-unavailable', cause });
      expect((error as Error).message).not.toContain('secret');
      expect(published).toMatchObject([
        { reason: 'a check could not be made', detail: { code: 'temporarily-unavailable' } },
      ]);
    }
  });

  test('V16.5.3 that cannot be recorded stays one, and says that a check could not be made', async () => {
    const cause = new Error('full');
    answer = () => refusing('permission-denied');
    for (const fail of [
      () => {
        throw cause;
      },
      () => Promise.reject(cause),
    ]) {
      listener = fail;
      expect(await thrownBy(executionOf('http'))).toMatchObject({
        code: 'temporarily-unavailable',
        detail: 'a refusal could not be recorded',
        cause,
      });
    }
  });

  test('is not thrown before it was recorded', async () => {
    let record: () => void = () => undefined;
    listener = () => new Promise((resolve) => (record = resolve));
    answer = () => refusing('permission-denied');
    let settled = false;
    const thrown = thrownBy(executionOf('http')).finally(() => (settled = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(settled).toBe(false);
    record();
    expect(await thrown).toMatchObject({ code: 'permission-denied' });
  });

  test('of a store that does not answer does not wait for it once more, and a record that fails later harms nobody', async () => {
    const verdict = refusing('temporarily-unavailable', 'the grants could not be read');
    answer = () => verdict;
    listener = () => new Promise(() => undefined);
    expect(await thrownBy(executionOf('http'))).toBe((verdict as { error?: unknown }).error);
    const unhandled: unknown[] = [];
    const heard = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', heard);
    try {
      listener = () => Promise.reject(new Error('down too'));
      expect(await thrownBy(executionOf('http'))).toBe((verdict as { error?: unknown }).error);
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', heard);
    }
  });
});
