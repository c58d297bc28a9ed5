import type { Transport } from '../../core/request-context.js';
import { policyOf, type RoutePolicy } from '../../core/route-policy.js';
import { policyKey } from './policy-identity.js';
import type { TaskPolicy } from './task-policy.js';
import { weakenedOverride } from './policy-override.js';

/** One way into the application: a handler under one address. */
export interface RouteEntry {
  readonly transport: Transport;
  /** HTTP: the method, or `ALL`. Else: `MESSAGE`, `EVENT`, `CONNECT`, `QUERY`, `MUTATION`, `SUBSCRIPTION`, `FIELD`, and of tasks how they are called. */
  readonly method: string;
  /** HTTP: the path as it is served. Else: the pattern, the event, or `Type.field`. */
  readonly path: string;
  readonly version?: string;
  readonly host?: string;
  readonly className: string;
  readonly handlerName: string;
  readonly policy: RoutePolicy | TaskPolicy;
  /** Present where the policy is not enforced: what it would refuse is recorded and let through. */
  readonly reportOnly?: true;
}

/** One that the guard judges, HTTP's above all. */
export type JudgedEntry = RouteEntry & { readonly policy: RoutePolicy };

/** What Nest registered a class as: the prototype it reads metadata from, and the instance where there is one. */
export interface HandlerHost {
  readonly name: string;
  readonly type: object;
  readonly prototype: Readonly<Record<string, unknown>>;
  readonly instance: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The policy of a method as it will be called. Nest reads a route from the prototype and may call what stands on the
 * instance: when a tracer or a decorator has put something else there, both must say the same. One that overrides
 * another may only tighten what that one demands.
 */
export function policyOfMethod({ prototype, instance }: HandlerHost, name: string): RoutePolicy {
  const weakened = weakenedOverride(prototype, name);
  if (weakened !== undefined) return { kind: 'undeclared', fault: weakened };
  const declared = policyOf(prototype[name] as object);
  const called = instance?.[name];
  if (typeof called !== 'function' || called === prototype[name]) return declared;
  const effective = policyOf(called);
  if (policyKey(effective) === policyKey(declared)) return declared;
  const fault =
    'is replaced on its instance by a function with another policy: wrap the method of the class instead';
  return { kind: 'undeclared', fault };
}

export function metadataOf(key: string, target: unknown): unknown {
  return typeof target === 'function' ? (Reflect.getMetadata(key, target) as unknown) : undefined;
}
