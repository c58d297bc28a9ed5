import { isAssuranceLevel, type AssuranceDemand } from './assurance.js';
import type { Permission } from './permission.js';

/** What `@RequirePermission` demands beside the permission. Left out: it must be held everywhere, by a grant without a scope. */
export interface PermissionDemand {
  /** The resolver (a provider that extends `ResourceResolver`) that loads the object, before the handler, to decide on it. */
  readonly resource?: ResourceClass;
  /** The rule of the objects that are listed: held in any scope it lets in, and the handler gets the filter (`@CurrentFilter()`). */
  readonly list?: ListRule;
  /** A grant in the tenant of the request is enough; a request without a tenant is refused. */
  readonly within?: 'tenant';
}

/** A class that extends `ResourceResolver`: a word of the access room, which is above this one. */
export type ResourceClass = abstract new (...injected: never[]) => { load(id: string): unknown };

/** An `ObjectRule` with a condition, as far as a decorator needs to know it. */
export interface ListRule {
  readonly type: string;
  readonly name: string;
}

/** What a handler demands of its caller. Exactly one of these holds; what nobody declared is `undeclared`. */
export type RoutePolicy =
  | { readonly kind: 'public' }
  | { readonly kind: 'authenticated'; readonly assurance?: AssuranceDemand }
  /** All of them must hold: naming two permissions is AND. */
  | (PermissionDemand & {
      readonly kind: 'permission';
      readonly permissions: readonly [Permission, ...Permission[]];
      readonly assurance?: AssuranceDemand;
    })
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
 * Lets only a principal call this handler who holds *all* the named permissions (ASVS 8.2.1), and, where the last
 * argument says so, on the very object that is asked for (ASVS 8.2.2):
 *
 * ```ts
 * @RequirePermission('documents:read', { resource: DocumentResource })
 * ```
 *
 * @throws TypeError when no permission is named: an empty demand would be met by everybody; when a demand is unknown,
 * undefined (an import that is not there yet) or contradicts another.
 */
export function RequirePermission(
  ...demands: [Permission, ...Permission[]] | [Permission, ...Permission[], PermissionDemand]
): MethodOnly {
  const last: unknown = demands.at(-1);
  const hasDemand = typeof last === 'object';
  const [first, ...others] = (hasDemand ? demands.slice(0, -1) : demands) as Permission[];
  if (
    first === undefined ||
    [first, ...others].some((name) => typeof name !== 'string' || name.trim() === '')
  ) {
    throw new TypeError(
      '@RequirePermission() needs at least one permission, e.g. @RequirePermission("documents:read").',
    );
  }
  const demand = hasDemand ? (last as PermissionDemand | null) : {};
  const fault = demandFault(demand);
  if (fault) throw new TypeError(`@RequirePermission(): ${fault}`);
  return mark('@RequirePermission()', { kind: 'permission', permissions: [first, ...others], ...demand });
}

function demandFault(demand: PermissionDemand | null): string | undefined {
  // A circle of imports leaves undefined behind: a demand that was written down must not vanish.
  for (const [name, value] of Object.entries(demand ?? { null: undefined })) {
    if (!['resource', 'list', 'within'].includes(name))
      return `"${name}" is no demand; use resource, list or within.`;
    if (value === undefined) return `"${name}" is undefined: is its file in a circle of imports?`;
  }
  const { resource, list, within } = demand ?? {};
  if (resource !== undefined && typeof resource !== 'function')
    return 'resource is a class that extends ResourceResolver.';
  // Null would be taken for a rule: each request would fail, and not the start.
  if (list !== undefined && (typeof list !== 'object' || (list as unknown) === null))
    return 'list is a rule that objectRule() made.';
  if (within !== undefined && (within as string) !== 'tenant') return 'within is "tenant" or left out.';
  return resource !== undefined && list !== undefined
    ? 'a handler answers one object or a list: keep one.'
    : undefined;
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
