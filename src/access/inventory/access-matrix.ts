import type { AdapterRouteDeclaration } from '../access.options.js';
import type { AdapterRoute } from './adapter-routes.js';
import { permissionsOf, type RoleGraph } from '../grants/role-graph.js';
import type { RouteEntry } from './route-entry.js';

/** One line of the access matrix (ASVS 8.1.1): a way in, what it demands, and which roles get through. */
export interface AccessMatrixRow {
  readonly transport: string;
  readonly method: string;
  readonly path: string;
  readonly version?: string;
  readonly host?: string;
  /** `Class.method`, or `adapter` for what bypasses Nest. */
  readonly handler: string;
  /** `system`: a task, which is called by a clock or a queue; its permissions are what it holds, not what it demands. */
  readonly policy: 'public' | 'authenticated' | 'permission' | 'system' | 'undeclared';
  readonly permissions: readonly string[];
  /** What is decided on beside the permissions: the resolver of the object, the rule of the list, the tenant. */
  readonly object?: string;
  /** Present where nothing of it is enforced: a refusal is recorded, and everybody gets through. */
  readonly mode?: 'report-only';
  /** How surely and how lately its caller must have authenticated, e.g. `aal2/600s`. */
  readonly assurance?: string;
  /** Roles that hold everything demanded; `*` is everybody who is authenticated, or everybody. */
  readonly roles: readonly string[];
  /** Why it is open, for routes of the adapter; what is wrong, for undeclared ones. */
  readonly note?: string;
}

/** What the inventory says, with the roles that reach each way in; sorted, so that two of them can be compared. */
export function accessMatrix(
  entries: readonly RouteEntry[],
  adapterRoutes: readonly AdapterRouteDeclaration[],
  roles: RoleGraph,
  undeclaredRoutes: readonly AdapterRoute[] = [],
  undeclaredAreReported = false,
): readonly AccessMatrixRow[] {
  const holding = [...roles.keys()].map((role) => [role, permissionsOf(roles, [role])] as const);
  const rows = entries.map((entry): AccessMatrixRow => {
    const { policy, transport, method, path, version, host, className, handlerName, reportOnly } = entry;
    const permissions = policy.kind === 'permission' || policy.kind === 'system' ? policy.permissions : [];
    const reaching = holding.filter(([, held]) => permissions.every((permission) => held.has(permission)));
    return {
      transport,
      method,
      path,
      ...(version !== undefined && { version }),
      ...(host !== undefined && { host }),
      handler: `${className}.${handlerName}`,
      policy: policy.kind,
      permissions,
      ...objectOf(policy),
      ...(reportOnly && { mode: 'report-only' }),
      ...assuranceOf(policy),
      roles: reportOnly
        ? ['*']
        : rolesOf(
            policy.kind,
            reaching.map(([role]) => role),
          ),
      ...(policy.kind === 'undeclared' && { note: policy.fault }),
    };
  });
  const bypassing = [
    ...adapterRoutes.map(({ reason, ...route }) => bypass(route, 'public', reason)),
    ...undeclaredRoutes.map((route) => ({
      ...bypass(route, 'undeclared', 'is served where no guard sees it'),
      ...(undeclaredAreReported && { mode: 'report-only' as const }),
    })),
  ];
  return [...rows, ...bypassing].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** No guard sees it, so everybody gets through, reviewed or not. */
function bypass(
  { method, path }: AdapterRoute,
  policy: 'public' | 'undeclared',
  note: string,
): AccessMatrixRow {
  return { transport: 'http', method, path, handler: 'adapter', policy, permissions: [], roles: ['*'], note };
}

/** Names alone: in preview no resolver is made, and its rule cannot be asked. */
function objectOf(policy: RouteEntry['policy']): Pick<AccessMatrixRow, 'object'> {
  if (policy.kind !== 'permission') return {};
  const { resource, list, within } = policy;
  const parts = [
    ...(resource ? [`one by ${resource.name}`] : []),
    ...(list ? [`list of ${list.type}: ${list.name}`] : []),
    ...(within ? ['within the tenant'] : []),
  ];
  return parts.length === 0 ? {} : { object: parts.join(', ') };
}

function assuranceOf(policy: RouteEntry['policy']): Pick<AccessMatrixRow, 'assurance'> {
  const demand =
    policy.kind === 'permission' || policy.kind === 'authenticated' ? policy.assurance : undefined;
  if (!demand) return {};
  const age = demand.maxAgeSeconds === undefined ? '' : `/${demand.maxAgeSeconds}s`;
  return { assurance: `${demand.acr}${age}` };
}

function rolesOf(policy: AccessMatrixRow['policy'], reaching: readonly string[]): readonly string[] {
  if (policy === 'permission') return reaching;
  return policy === 'undeclared' || policy === 'system' ? [] : ['*'];
}

function keyOf({ transport, path, method, handler }: AccessMatrixRow): string {
  return [transport, path, method, handler].join('\u0000');
}
