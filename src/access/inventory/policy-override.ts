import { ASSURANCE_LEVELS, type AssuranceDemand } from '../../core/assurance.js';
import { policyOf, type RoutePolicy } from '../../core/route-policy.js';

/**
 * What is wrong with a handler that overrides another one and lets in somebody whom that one keeps out: whoever
 * reviewed the base class relies on its demand. Every class of the chain counts, also above one that declares nothing.
 */
export function weakenedOverride(prototype: object, name: string): string | undefined {
  const chain = definitionsOf(prototype, name);
  const own = chain[0];
  if (!own) return undefined;
  const policy = policyOf(own.method);
  const weakened = chain.slice(1).find((base) => !isAsStrictAs(policy, policyOf(base.method)));
  if (!weakened) return undefined;
  const place = own.prototype === prototype ? '' : ` (in ${own.className})`;
  return (
    `demands ${demandOf(policy)}${place} and overrides ${weakened.className}.${name}, ` +
    `which demands ${demandOf(policyOf(weakened.method))}: demand at least as much, or give the handler another name`
  );
}

/** Whether everybody whom `policy` lets in is let in by `base` too. What nobody declared promises and opens nothing. */
export function isAsStrictAs(policy: RoutePolicy, base: RoutePolicy): boolean {
  if (policy.kind === 'undeclared' || base.kind === 'undeclared' || base.kind === 'public') return true;
  if (policy.kind === 'public' || !isAssuredAs(policy.assurance, base.assurance)) return false;
  if (base.kind === 'authenticated') return true;
  if (policy.kind === 'authenticated') return false;
  if (!base.permissions.every((permission) => policy.permissions.includes(permission))) return false;
  // What one resolver or rule lets through cannot be compared with another: anything but the same counts as weaker.
  const [own, above] = [new Map(narrowingOf(policy)), new Map(narrowingOf(base))];
  return own.size === above.size && [...above].every(([name, value]) => own.get(name) === value);
}

/** What a permission is asked about: the object, the list, the tenant. */
function narrowingOf(policy: Extract<RoutePolicy, { kind: 'permission' }>): [name: string, value: unknown][] {
  return Object.entries(policy).filter(([name]) => !['kind', 'permissions', 'assurance'].includes(name));
}

function isAssuredAs(demand: AssuranceDemand | undefined, base: AssuranceDemand | undefined): boolean {
  if (!base) return true;
  if (!demand || ASSURANCE_LEVELS.indexOf(demand.acr) < ASSURANCE_LEVELS.indexOf(base.acr)) return false;
  if (base.maxAgeSeconds === undefined) return true;
  return demand.maxAgeSeconds !== undefined && demand.maxAgeSeconds <= base.maxAgeSeconds;
}

interface Definition {
  readonly prototype: object;
  readonly className: string;
  readonly method: object;
}

/** Every method of this name from the class upwards, the one that is called first. */
function definitionsOf(prototype: object, name: string): readonly Definition[] {
  const found: Definition[] = [];
  for (let at: object | null = prototype; at; at = Object.getPrototypeOf(at) as object | null) {
    // Not read through the object: that would run a getter.
    const method: unknown = Object.getOwnPropertyDescriptor(at, name)?.value;
    if (typeof method !== 'function') continue;
    found.push({ prototype: at, className: at.constructor.name || 'a class without a name', method });
  }
  return found;
}

function demandOf(policy: RoutePolicy): string {
  if (policy.kind === 'public' || policy.kind === 'undeclared') return 'nothing';
  const { assurance } = policy;
  const age = assurance?.maxAgeSeconds === undefined ? '' : `/${assurance.maxAgeSeconds}s`;
  const narrowing = policy.kind === 'permission' ? narrowingOf(policy) : [];
  return [
    ...(policy.kind === 'permission' ? policy.permissions : ['any authenticated caller']),
    ...narrowing.map(([name, value]) => `${name} ${nameOf(value)}`),
    ...(assurance ? [`${assurance.acr}${age}`] : []),
  ].join(' ');
}

function nameOf(value: unknown): string {
  return typeof value === 'string' ? value : ((value as { readonly name?: string } | null)?.name ?? '');
}
