import { rate, type Rate } from './gcra.js';
import { STRICT_MARK } from './throttle.decorators.js';
import type { ThrottlingSettings } from './throttling.options.js';

/** The limits of one handler: `default` is the limit per source, `principal` the one per principal. */
export interface HandlerLimits {
  readonly route: Rate;
  readonly principal: Rate;
  /** For callers that the transport does not tell apart. */
  readonly shared: Rate;
}

type LimitName = 'default' | 'principal';

/** What `@Throttle` of @nestjs/throttler writes: one key a property and throttler name. */
const STOCK_MARK = /^THROTTLER:(LIMIT|TTL|BLOCK_DURATION|TRACKER|KEY_GENERATOR|SKIP)(.*)$/;

/** Reads what `@Throttle` and `@ThrottleStrictly` say of a handler; the method wins over its class, as in the stock guard. */
export function limitsOf(handler: object, controller: object, options: ThrottlingSettings): HandlerLimits {
  const strict = Reflect.hasOwnMetadata(STRICT_MARK, handler);
  const marked = (name: LimitName, requests: number, windowSeconds: number): Rate => {
    const ttlMs = mark(`THROTTLER:TTL${name}`, handler, controller);
    return rate(
      (mark(`THROTTLER:LIMIT${name}`, handler, controller) ?? requests) as number,
      ttlMs === undefined ? windowSeconds : Math.ceil((ttlMs as number) / 1000),
    );
  };
  const route = strict
    ? rate(options.strictRequests, options.strictWindowSeconds)
    : marked('default', options.routeRequests, options.routeWindowSeconds);
  const hasOwn = strict || mark('THROTTLER:LIMITdefault', handler, controller) !== undefined;
  return {
    route,
    principal: marked('principal', options.principalRequests, options.principalWindowSeconds),
    shared: hasOwn ? route : rate(options.messageRequests, options.messageWindowSeconds),
  };
}

/** What is wrong with the throttle marks of a handler or a class, each with its mend. Empty when all can be enforced. */
export function markFaults(target: object, isStrict = Reflect.hasOwnMetadata(STRICT_MARK, target)): string[] {
  const faults: string[] = [];
  for (const key of Reflect.getMetadataKeys(target) as unknown[]) {
    const [, property, name] = (typeof key === 'string' && STOCK_MARK.exec(key)) || [];
    if (property === undefined || name === undefined) continue;
    const value: unknown = Reflect.getMetadata(key, target);
    if (value === undefined) continue;
    if (property === 'SKIP') {
      faults.push('has @SkipThrottle(): remove it; give the handler a wider @Throttle instead');
    } else if (name !== 'default' && name !== 'principal') {
      faults.push(
        `has @Throttle for "${name}", which nothing enforces: use "default" (per source) or "principal"`,
      );
    } else if (property === 'BLOCK_DURATION' || property === 'TRACKER' || property === 'KEY_GENERATOR') {
      faults.push('has @Throttle with blockDuration, getTracker or generateKey: give limit and ttl alone');
    } else if (property === 'LIMIT' && !isRate(value, 60)) {
      faults.push(`has @Throttle for "${name}" whose limit is not a whole number from 1 to 1,000,000`);
    } else if (property === 'TTL' && !(typeof value === 'number' && isRate(1, Math.ceil(value / 1000)))) {
      faults.push(
        `has @Throttle for "${name}" whose ttl is not a number of milliseconds up to one day: use seconds(…)`,
      );
    } else if (isStrict && name === 'default' && !isStrictDefault(property, value)) {
      faults.push('has both @Throttle for "default" and @ThrottleStrictly(): keep one of them');
    }
  }
  return [...new Set(faults)];
}

/** What @ThrottleStrictly() itself writes for the stock guard. */
function isStrictDefault(property: string, value: unknown): boolean {
  return value === (property === 'LIMIT' ? 5 : 60_000);
}

function isRate(requests: unknown, windowSeconds: number): boolean {
  try {
    rate(requests as number, windowSeconds);
    return true;
  } catch {
    return false;
  }
}

function mark(key: string, handler: object, controller: object): unknown {
  return (Reflect.getMetadata(key, handler) ?? Reflect.getMetadata(key, controller)) as unknown;
}
