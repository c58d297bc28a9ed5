import type { RoutePolicy } from '../../core/route-policy.js';
import type { AccessSettings } from '../access.settings.js';
import type { ObjectRule } from '../objects/object-rule.js';
import { TENANT_KIND } from '../grants/scope.js';

type PermissionPolicy = Extract<RoutePolicy, { kind: 'permission' }>;

/** What is wrong with a policy in this very application, each with its mend: what it demands must have been declared. */
export function policyFaults(policy: PermissionPolicy, settings: AccessSettings): readonly string[] {
  const { permissions, list, within } = policy;
  return [
    ...permissions
      .filter((permission) => !settings.catalogue.has(permission))
      .map(
        (permission) =>
          `demands "${permission}", which nobody declared: ` +
          'add it to AccessModule\'s "permissions" or correct it',
      ),
    ...(within === 'tenant' && !settings.tenants
      ? ['is within the tenant, and there are none: declare AccessModule\'s "tenants"']
      : []),
    ...(list === undefined ? [] : listFaults(list as ObjectRule<unknown>, within, settings)),
  ];
}

/** What is wrong with a rule: a scope or a permission that nobody declared would never let anybody in, or be misread. */
export function ruleFaults(
  { type, name, scopes, overriddenBy }: ObjectRule<unknown>,
  settings: AccessSettings,
): readonly string[] {
  const title = `the rule "${name}" of ${type}`;
  return [
    ...Object.keys(scopes ?? {})
      .filter((kind) => !settings.scopes.includes(kind))
      .map(
        (kind) =>
          `${title} asks for the scope "${kind}", which nobody declared: add it to AccessModule's "scopes"`,
      ),
    ...(Object.hasOwn(scopes ?? {}, TENANT_KIND) && !settings.tenants
      ? [`${title} belongs to tenants, and there are none: declare AccessModule's "tenants"`]
      : []),
    ...(overriddenBy !== undefined && !settings.catalogue.has(overriddenBy)
      ? [
          `${title} is overridden by "${overriddenBy}", which nobody declared: add it to AccessModule's "permissions"`,
        ]
      : []),
  ];
}

/** The compiler says so too; what is written in JavaScript knows none. */
function listFaults(
  list: ObjectRule<unknown>,
  within: PermissionPolicy['within'],
  settings: AccessSettings,
): readonly string[] {
  const { type, name, when, scopes } = list;
  if (typeof list.holds !== 'function') return ['lists by a rule that is none: give it one of objectRule()'];
  if (when === undefined) {
    return [
      `lists by the rule "${name}" of ${type}, which is a predicate, and PostgreSQL cannot ask it: ` +
        'declare it with "when"',
    ];
  }
  return [
    ...ruleFaults(list, settings),
    ...(within === 'tenant' && !Object.hasOwn(scopes ?? {}, TENANT_KIND)
      ? [
          `lists within the tenant by the rule "${name}" of ${type}, which a grant in the tenant does not reach: ` +
            'give it scopes: { tenant: … }',
        ]
      : []),
  ];
}
