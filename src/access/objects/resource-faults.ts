import type { AccessSettings } from '../access.settings.js';
import { ruleFaults } from '../inventory/policy-faults.js';
import type { ResourceResolver } from './resource.resolver.js';
import type { RouteEntry } from '../inventory/route-entry.js';
import { TENANT_KIND } from '../grants/scope.js';

/** Longer, a timer of Node.js would end at once. */
const MAX_TIMEOUT_MS = 2_147_483_647;

/** What is wrong with a resolver, with its mend; the compiler says most of it too, JavaScript knows none. */
export function resolverFault(
  name: string,
  resolver: ResourceResolver<unknown>,
  settings: AccessSettings,
): string | undefined {
  const { rule, visible, parameter, idFormat, timeoutMs } = resolver as Partial<ResourceResolver<unknown>>;
  if (typeof rule?.holds !== 'function') return `${name} has no rule: give it one of objectRule()`;
  if (
    visible !== undefined &&
    typeof (visible as Partial<typeof visible> | null)?.rule?.holds !== 'function'
  ) {
    return `${name} is visible by a rule that is none: give it one of objectRule()`;
  }
  if (visible !== undefined && !settings.catalogue.has(visible.permission)) {
    return `${name} is visible with "${visible.permission}", which nobody declared: add it to AccessModule's "permissions"`;
  }
  if (typeof parameter !== 'string' || parameter === '' || !(idFormat instanceof RegExp)) {
    return `${name} needs the name of a parameter and an idFormat`;
  }
  if (typeof timeoutMs !== 'number' || !(timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS)) {
    return `${name} needs a timeoutMs above 0 and at most ${MAX_TIMEOUT_MS}`;
  }
  return [rule, ...(visible ? [visible.rule] : [])].flatMap((each) => ruleFaults(each, settings))[0];
}

/** What is wrong with the place where a handler demands the object of a resolver, with its mend. */
export function placeFault(
  { transport, method, path, policy }: RouteEntry,
  name: string,
  { parameter, rule }: ResourceResolver<unknown>,
): string | undefined {
  if (transport === 'ws' && method === 'CONNECT') {
    return `a socket that is opened names no object: demand ${name} of its messages`;
  }
  const isNamed = path.split(/[/{}]/).some((part) => partNames(part).includes(parameter));
  if (transport === 'http' && !isNamed) {
    return `the path ${path} has no ":${parameter}" for ${name}: add it, or say in the resolver which parameter is meant`;
  }
  const isWithinTenant = policy.kind === 'permission' && policy.within === 'tenant';
  return isWithinTenant && !Object.hasOwn(rule.scopes ?? {}, TENANT_KIND)
    ? `a grant in the tenant would reach nothing by the rule "${rule.name}": give it scopes: { tenant: … }`
    : undefined;
}

/** `:id`, `:id(\\d+)`, `:from-:to`, `*rest`. */
function partNames(part: string): readonly string[] {
  return [...part.matchAll(/[:*](\w+)/g)].map(([, name]) => name ?? '');
}
