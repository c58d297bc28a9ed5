import { isAssuranceLevel, type AssuranceDemand } from './assurance.js';
import type { Permission } from './permission.js';

/** What a handler demands of its caller. Exactly one of these holds; what nobody declared is `undeclared`. */
export type RoutePolicy =
  | { readonly kind: 'public' }
  | { readonly kind: 'authenticated'; readonly assurance?: AssuranceDemand }
  /** All of them must hold: naming two permissions is AND. */
  | {
      readonly kind: 'permission';
      readonly permissions: readonly [Permission, ...Permission[]];
      readonly assurance?: AssuranceDemand;
    }
  /** Refused for everybody. `fault` says what to mend. */
  | { readonly kind: 'undeclared'; readonly fault: string };

/** One list a handler: each decorator appends, so that two that contradict each other stay visible. */
const POLICY_MARKS = Symbol('nestjs-zero-trust:route-policy');
const ASSURANCE_MARKS = Symbol('nestjs-zero-trust:assurance');

type MethodOnly = <T>(target: object, key: string | symbol, descriptor: TypedPropertyDescriptor<T>) => void;

function mark(decorator: string, policy: RoutePolicy): MethodOnly {
  return append(decorator, POLICY_MARKS, policy);
}

function append(decorator: string, list: symbol, value: unknown): MethodOnly {
  return (_target, key, descriptor) => {
    // A mark on a class would be inherited by every subclass: an inherited @Public() opens what nobody looked at.
    if ((descriptor as unknown) === undefined || typeof descriptor.value !== 'function') {
      throw new TypeError(`${decorator} belongs on a method, not on a class or property (${String(key)}).`);
    }
    const handler = descriptor.value as object;
    const marks = Reflect.getOwnMetadata(list, handler) as unknown[] | undefined;
    Reflect.defineMetadata(list, [...(marks ?? []), value], handler);
  };
}

/** Lets anybody call this handler, also without credentials. Still throttled, counted and logged. */
export function Public(): MethodOnly {
  return mark('@Public()', { kind: 'public' });
}

/** Lets every authenticated principal call this handler: for what concerns only the caller, e.g. `GET /auth/me`. */
export function Authenticated(): MethodOnly {
  return mark('@Authenticated()', { kind: 'authenticated' });
}

/**
 * Lets only a principal call this handler who holds *all* the named permissions (ASVS 8.2.1).
 *
 * @throws TypeError when no permission is named: an empty demand would be met by everybody.
 */
export function RequirePermission(...permissions: [Permission, ...Permission[]]): MethodOnly {
  if (
    permissions.length === 0 ||
    permissions.some((name) => typeof name !== 'string' || name.trim() === '')
  ) {
    throw new TypeError(
      '@RequirePermission() needs at least one permission, e.g. @RequirePermission("documents:read").',
    );
  }
  return mark('@RequirePermission()', { kind: 'permission', permissions });
}

/**
 * Demands beside `@RequirePermission` or `@Authenticated` how surely, and how lately, the caller has authenticated
 * (ASVS 8.4.2, NIST SP 800-63B). Whoever falls short gets 401 with the challenge of RFC 9470, and may step up.
 *
 * @throws TypeError when the level is none, or the age is not a positive whole number of seconds.
 */
export function RequireAssurance(demand: AssuranceDemand): MethodOnly {
  const { acr, maxAgeSeconds } = demand;
  if (!isAssuranceLevel(acr)) {
    throw new TypeError('@RequireAssurance() needs acr: "aal1", "aal2" or "aal3" (NIST SP 800-63B).');
  }
  if (maxAgeSeconds !== undefined && (!Number.isInteger(maxAgeSeconds) || maxAgeSeconds < 1)) {
    throw new TypeError('@RequireAssurance(): maxAgeSeconds is a whole number of seconds, 1 or more.');
  }
  return append('@RequireAssurance()', ASSURANCE_MARKS, Object.freeze({ ...demand }));
}

const compiled = new WeakMap<object, RoutePolicy>();

/**
 * The one reader of route marks. Reads the handler's own metadata, never its class: an inherited handler keeps
 * its mark because it is the same function, an overriding one must say its policy again.
 */
export function policyOf(handler: object): RoutePolicy {
  const known = compiled.get(handler);
  if (known) return known;
  const policy = read(handler);
  compiled.set(handler, policy);
  return policy;
}

const MEND = 'write @RequirePermission(…), @Authenticated() or @Public() on the method';

function read(handler: object): RoutePolicy {
  const marks: unknown = Reflect.getOwnMetadata(POLICY_MARKS, handler);
  if (!Array.isArray(marks) || marks.length === 0) {
    return { kind: 'undeclared', fault: `has no policy: ${MEND}` };
  }
  if (marks.length > 1) {
    const names = (marks as RoutePolicy[]).map((each) => each.kind).join(', ');
    return { kind: 'undeclared', fault: `has ${String(marks.length)} policies (${names}): keep exactly one` };
  }
  const policy = marks[0] as RoutePolicy;
  if (policy.kind === 'permission' && policy.permissions.length === 0) {
    return { kind: 'undeclared', fault: `demands no permission: ${MEND}` };
  }
  return withAssurance(policy, Reflect.getOwnMetadata(ASSURANCE_MARKS, handler));
}

function withAssurance(policy: RoutePolicy, marks: unknown): RoutePolicy {
  if (!Array.isArray(marks)) return policy;
  if (marks.length > 1) return { kind: 'undeclared', fault: 'demands assurance twice: keep one' };
  if (policy.kind === 'public' || policy.kind === 'undeclared') {
    const fault = 'demands assurance of callers that nobody authenticates: take @Public() away';
    return policy.kind === 'public' ? { kind: 'undeclared', fault } : policy;
  }
  return { ...policy, assurance: marks[0] as AssuranceDemand };
}
