import { Controller, Get, Injectable, type Type } from '@nestjs/common';
import { minutes, SkipThrottle, Throttle } from '@nestjs/throttler';
import { Test } from '@nestjs/testing';
import { describe, expect, test } from 'vitest';
import { Public } from '../../src/core/route-policy.js';
import { limitsOf } from '../../src/throttler/handler.limits.js';
import { ThrottleStrictly } from '../../src/throttler/throttle.decorators.js';
import { resolveThrottlingOptions } from '../../src/throttler/throttling.options.js';
import { limitedModule } from './limited.application.js';

async function faultOf(controller: Type): Promise<string> {
  const testing = await Test.createTestingModule({
    imports: [limitedModule({ controllers: [controller] })],
  }).compile();
  const app = testing.createNestApplication();
  try {
    await app.init();
    return '';
  } catch (error) {
    return (error as Error).message;
  } finally {
    await app.close();
  }
}

/** A controller whose one handler, or the class itself, bears the marks. */
function marked(on: { method?: MethodDecorator[]; type?: ClassDecorator[] }): Type {
  @Controller('marked')
  class MarkedController {
    @Get()
    @Public()
    handle(): object {
      return {};
    }
  }
  const descriptor = Object.getOwnPropertyDescriptor(MarkedController.prototype, 'handle')!;
  for (const decorate of on.method ?? []) decorate(MarkedController.prototype, 'handle', descriptor);
  for (const decorate of on.type ?? []) decorate(MarkedController);
  return MarkedController;
}

describe('marks that would weaken a limit stop the start', () => {
  test.each<[string, Parameters<typeof marked>[0], string]>([
    ['@SkipThrottle on a handler', { method: [SkipThrottle()] }, 'has @SkipThrottle(): remove it'],
    ['@SkipThrottle on a class', { type: [SkipThrottle()] }, 'MarkedController has @SkipThrottle()'],
    [
      '@SkipThrottle(false), which undoes one on the class',
      { method: [SkipThrottle({ default: false })] },
      'has @SkipThrottle()',
    ],
    [
      'a name that no limit has',
      { method: [Throttle({ short: { limit: 1, ttl: 1_000 } })] },
      'has @Throttle for "short", which nothing enforces',
    ],
    [
      'a limit that depends on the request',
      { method: [Throttle({ default: { limit: () => 1_000, ttl: 1_000 } })] },
      'whose limit is not a whole number',
    ],
    ['no limit at all', { method: [Throttle({ default: { limit: 0, ttl: 1_000 } })] }, 'whose limit is not'],
    ['an endless ttl', { method: [Throttle({ default: { limit: 1, ttl: 1e12 } })] }, 'whose ttl is not'],
    [
      'a tracker of its own',
      { method: [Throttle({ default: { limit: 1, ttl: 1_000, getTracker: () => 'everybody' } })] },
      'has @Throttle with blockDuration, getTracker or generateKey',
    ],
    [
      'two limits',
      { method: [ThrottleStrictly(), Throttle({ default: { limit: 1_000, ttl: 1_000 } })] },
      'has both @Throttle for "default" and @ThrottleStrictly()',
    ],
  ])('%s', async (_name, on, expected) => {
    expect(await faultOf(marked(on))).toContain(expected);
  });

  test('what can be enforced starts', async () => {
    const limit = { default: { limit: 10, ttl: minutes(1) }, principal: { limit: 5, ttl: minutes(1) } };
    expect(await faultOf(marked({ method: [Throttle(limit)] }))).toBe('');
    expect(await faultOf(marked({ type: [Throttle(limit)] }))).toBe('');
    expect(await faultOf(marked({ method: [ThrottleStrictly()] }))).toBe('');
  });
});

describe('the limits of a handler', () => {
  const settings = resolveThrottlingOptions({ strictRequests: 7, strictWindowSeconds: 30 });
  const limits = (controller: Type): ReturnType<typeof limitsOf> =>
    limitsOf((controller.prototype as { handle: object }).handle, controller, settings);

  test('are those of the options, unless a mark says otherwise; the method wins over its class', () => {
    expect(limits(marked({})).route).toMatchObject({ requests: 120, windowSeconds: 60 });
    const limit = (requests: number): MethodDecorator & ClassDecorator =>
      Throttle({ default: { limit: requests, ttl: 10_000 } });
    expect(limits(marked({ type: [limit(9)] })).route).toMatchObject({ requests: 9, windowSeconds: 10 });
    expect(limits(marked({ type: [limit(9)], method: [limit(3)] })).route).toMatchObject({ requests: 3 });
  });

  test('a mark that gives only the limit keeps the window of the options', () => {
    const { route } = limits(marked({ method: [Throttle({ default: { limit: 9 } })] }));
    expect(route).toMatchObject({ requests: 9, windowSeconds: 60 });
  });

  test('strictly means the strict limit of the options, whatever the class says', () => {
    const wide = Throttle({ default: { limit: 1_000, ttl: 1_000 } });
    const { route, shared } = limits(marked({ type: [wide], method: [ThrottleStrictly()] }));
    expect(route).toMatchObject({ requests: 7, windowSeconds: 30 });
    expect(shared).toBe(route);
  });

  test('@ThrottleStrictly on a class is a mistake', () => {
    expect(() => {
      (ThrottleStrictly() as ClassDecorator)(Injectable);
    }).toThrow(TypeError);
  });
});
