import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { ThrottlerStorage } from '@nestjs/throttler';
import { BootError } from '../core/zero-trust-error.js';
import { isWithin, MAX_REQUESTS, MAX_WINDOW_SECONDS } from './gcra.js';

/** How often. Every option left out is the strict choice; no limit can be switched off. */
export interface ThrottlingOptions {
  /** Requests that one source address may make within `sourceWindowSeconds`, whatever they ask for. @default 300 */
  readonly sourceRequests?: number;
  /** @default 60 */
  readonly sourceWindowSeconds?: number;
  /** Calls of one handler by one source within `routeWindowSeconds`; `@Throttle({ default: … })` overrides. @default 120 */
  readonly routeRequests?: number;
  /** @default 60 */
  readonly routeWindowSeconds?: number;
  /** Calls of one handler by one principal within `principalWindowSeconds`; `@Throttle({ principal: … })` overrides. @default 120 */
  readonly principalRequests?: number;
  /** @default 60 */
  readonly principalWindowSeconds?: number;
  /** Calls by one source of a handler marked `@ThrottleStrictly()`, sign-in above all (ASVS 6.3.1). @default 5 */
  readonly strictRequests?: number;
  /** @default 60 */
  readonly strictWindowSeconds?: number;
  /** Messages to one microservice handler whose transport names no peer (brokers): all callers together. @default 6000 */
  readonly messageRequests?: number;
  /** @default 60 */
  readonly messageWindowSeconds?: number;
  /**
   * Streams over sockets, subscriptions and microservices that one caller may have running at once in this process. An
   * answer is one once it says a second thing, or has lasted for a second.
   *
   * @default 100
   */
  readonly streamsPerCaller?: number;
  /** Leading bits of an IPv6 address that count as one source: a customer is given at least a /64. @default 64 */
  readonly ipv6PrefixBits?: number;
  /** Keys that one table remembers at once, about 150 bytes each. @default 100000 */
  readonly maxKeys?: number;
  /** A storage that replicas share. Left out: the kit's own, in this process. The limit per source stays in this process. */
  readonly storage?: ThrottlerStorage;
  /** Milliseconds that a shared storage gets for one answer. @default 250 */
  readonly storageDeadlineMs?: number;
  /** Percent of each limit that this process grants on its own while the shared storage does not answer. @default 50 */
  readonly outagePercent?: number;
  /** Whether answers that are within the limits carry `RateLimit` and `RateLimit-Policy` too. @default true */
  readonly announceQuota?: boolean;
}

/** The options with every default filled in. */
export type ThrottlingSettings = Required<Omit<ThrottlingOptions, 'storage'>> &
  Pick<ThrottlingOptions, 'storage'>;

export const THROTTLING_SETTINGS = Symbol('nestjs-zero-trust:throttling-settings');

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<ThrottlingOptions>({ moduleName: 'Throttling' })
    .setClassMethodName('forRoot')
    .build();

const DEFAULTS = {
  sourceRequests: 300,
  sourceWindowSeconds: 60,
  routeRequests: 120,
  routeWindowSeconds: 60,
  principalRequests: 120,
  principalWindowSeconds: 60,
  strictRequests: 5,
  strictWindowSeconds: 60,
  messageRequests: 6_000,
  messageWindowSeconds: 60,
  streamsPerCaller: 100,
  ipv6PrefixBits: 64,
  maxKeys: 100_000,
  storageDeadlineMs: 250,
  outagePercent: 50,
  announceQuota: true,
} as const;

/** The highest value of every option that is a number; the lowest is 1 unless `LOWEST` says otherwise. */
const HIGHEST: Readonly<Record<Exclude<keyof typeof DEFAULTS, 'announceQuota'>, number>> = {
  sourceRequests: MAX_REQUESTS,
  sourceWindowSeconds: MAX_WINDOW_SECONDS,
  routeRequests: MAX_REQUESTS,
  routeWindowSeconds: MAX_WINDOW_SECONDS,
  principalRequests: MAX_REQUESTS,
  principalWindowSeconds: MAX_WINDOW_SECONDS,
  strictRequests: MAX_REQUESTS,
  strictWindowSeconds: MAX_WINDOW_SECONDS,
  messageRequests: MAX_REQUESTS,
  messageWindowSeconds: MAX_WINDOW_SECONDS,
  streamsPerCaller: 100_000,
  // Longer prefixes would hand a new bucket to whoever takes the next of his own addresses.
  ipv6PrefixBits: 64,
  maxKeys: 10_000_000,
  storageDeadlineMs: 10_000,
  outagePercent: 100,
};
const LOWEST: Readonly<Record<string, number>> = { ipv6PrefixBits: 16, maxKeys: 1_000 };

/** Fills in the defaults. @throws BootError that names every option that is out of range. */
export function resolveThrottlingOptions(given: ThrottlingOptions): ThrottlingSettings {
  const chosen = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const resolved = { ...DEFAULTS, ...chosen } as ThrottlingSettings;
  const faults = Object.keys(chosen)
    .filter((name) => name !== 'storage' && !Object.hasOwn(DEFAULTS, name))
    .map((name) => `unknown option "${name}": remove it or correct its spelling`);
  for (const [name, highest] of Object.entries(HIGHEST) as [keyof typeof HIGHEST, number][]) {
    const lowest = LOWEST[name] ?? 1;
    if (!isWithin(resolved[name], highest) || resolved[name] < lowest) {
      faults.push(`${name} must be a whole number from ${String(lowest)} to ${String(highest)}`);
    }
  }
  if (typeof resolved.announceQuota !== 'boolean') faults.push('announceQuota must be true or false');
  if (resolved.storage !== undefined && typeof (resolved.storage as unknown) !== 'object') {
    faults.push('storage must be a ThrottlerStorage: give an object with increment()');
  } else if (
    resolved.storage &&
    typeof (resolved.storage as Partial<ThrottlerStorage>).increment !== 'function'
  ) {
    faults.push('storage has no increment(): give a ThrottlerStorage of @nestjs/throttler');
  }
  if (faults.length > 0) throw new BootError('ThrottlingModule', faults);
  return resolved;
}
