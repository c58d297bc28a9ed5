import type { AssuranceDemand } from '../core/assurance.js';
import type { PermissionDemand, ResourceClass, RoutePolicy } from '../core/route-policy.js';
import type { ResourceResolver } from '../access/objects/resource.resolver.js';

/** What a policy demands, as the document says it. */
export interface Demand {
  readonly access: 'public' | 'authenticated' | 'permission';
  readonly permissions?: readonly string[];
  /** The kind of object that is decided on, by which rule, and whether it is one or a list. */
  readonly object?: { readonly type: string; readonly rule: string; readonly of: 'one' | 'list' };
  /** Whether a grant in the tenant of the request is enough. */
  readonly tenant?: true;
  readonly assurance?: AssuranceDemand;
}

/** The resolver that loads what a handler is asked for. */
export type ResolverOf = (resource: ResourceClass) => ResourceResolver<unknown>;

/** Undefined for what is refused for everybody: the document does not offer it. */
export function demandOf(policy: RoutePolicy, resolverOf: ResolverOf): Demand | undefined {
  if (policy.kind === 'undeclared') return undefined;
  if (policy.kind === 'public') return { access: 'public' };
  return {
    access: policy.kind,
    ...(policy.kind === 'permission' && {
      permissions: [...policy.permissions],
      ...objectOf(policy, resolverOf),
      ...(policy.within === 'tenant' && { tenant: true }),
    }),
    ...(policy.assurance && { assurance: policy.assurance }),
  };
}

function objectOf({ resource, list }: PermissionDemand, resolverOf: ResolverOf): Pick<Demand, 'object'> {
  const rule = resource ? resolverOf(resource).rule : list;
  return rule ? { object: { type: rule.type, rule: rule.name, of: resource ? 'one' : 'list' } } : {};
}

/** The demand for readers, in sentences. */
export function inWords({ access, permissions = [], object, tenant, assurance }: Demand): string {
  if (access === 'public') return 'Open to everybody.';
  const names = permissions.map((permission) => `\`${permission}\``).join(' and ');
  return [
    access === 'authenticated' ? 'For whoever is authenticated.' : `Demands ${names}.`,
    ...(object?.of === 'one' ? [`Decided on the ${object.type} itself, by the rule "${object.rule}".`] : []),
    ...(object?.of === 'list'
      ? [`Lists each ${object.type} that the rule "${object.rule}" lets through.`]
      : []),
    ...(tenant ? ['A grant in the tenant of the request is enough.'] : []),
    ...(assurance ? [assuranceInWords(assurance)] : []),
  ].join(' ');
}

function assuranceInWords({ acr, maxAgeSeconds }: AssuranceDemand): string {
  const age = maxAgeSeconds === undefined ? '' : ` not longer than ${duration(maxAgeSeconds)} ago`;
  return `The caller must have been authenticated at \`${acr}\`${age}; otherwise 401 says how (RFC 9470).`;
}

function duration(seconds: number): string {
  const [count, unit] = seconds % 60 === 0 ? [seconds / 60, 'minute'] : [seconds, 'second'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
