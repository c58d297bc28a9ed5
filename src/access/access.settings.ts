import { definePermissions, permissionNames } from '../core/permission.js';
import { BootError } from '../core/zero-trust-error.js';
import type {
  AccessOptions,
  AdapterRouteDeclaration,
  DeclaredRole,
  PublicRouteDeclaration,
  TenantOptions,
} from './access.options.js';
import { publicRoutesFaults } from './inventory/public-routes.js';
import {
  NOTHING_REPORT_ONLY,
  readReportOnly,
  type ReportOnlySettings,
} from './report-only/report-only.settings.js';
import {
  cycleThrough,
  isTooDeep,
  MAX_ROLE_DEPTH,
  type RoleDefinition,
  type RoleGraph,
} from './grants/role-graph.js';
import { isScopeKind, TENANT_KIND } from './grants/scope.js';
import { separationFaults, type SeparatedRoles } from './grants/separation-of-duty.js';

/** As in the database. */
const ROLE_NAME = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
const MAX_NAME_LENGTH = 64;
const OPTIONS: readonly (keyof AccessOptions)[] = [
  'permissions',
  'roles',
  'scopes',
  'tenants',
  'separationOfDuty',
  'adapterRoutes',
  'publicRoutes',
  'reportOnly',
];

export function isRoleName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && ROLE_NAME.test(name);
}

/** The options with every default filled in, checked once. */
export class AccessSettings {
  constructor(
    /** Every permission that anybody declared: the application's and the kit's. */
    readonly catalogue: ReadonlySet<string>,
    readonly roles: RoleGraph,
    readonly adapterRoutes: readonly AdapterRouteDeclaration[],
    /** Kinds of scope. */
    readonly scopes: readonly string[] = [],
    readonly separationOfDuty: readonly SeparatedRoles[] = [],
    readonly tenants?: TenantOptions & Required<Pick<TenantOptions, 'column'>>,
    /** Left out: nobody asked for the comparison. */
    readonly publicRoutes?: readonly PublicRouteDeclaration[],
    readonly reportOnly: ReportOnlySettings = NOTHING_REPORT_ONLY,
  ) {}
}

/** @throws BootError that names every fault and its mend. */
export function resolveAccessOptions(options: AccessOptions): AccessSettings {
  const faults = Object.keys(options)
    .filter((name) => !(OPTIONS as readonly string[]).includes(name))
    .map((name) => `unknown option "${name}": remove it or correct its spelling`);
  let catalogue = permissionNames({});
  try {
    catalogue = permissionNames(definePermissions(options.permissions ?? {}));
  } catch (error) {
    faults.push(`permissions: ${error instanceof Error ? error.message : 'could not be read'}`);
  }
  const roles: RoleGraph = new Map(
    Object.entries(options.roles ?? {}).map(([name, role]) => {
      if (!isDeclaration(role)) faults.push(`roles: "${name}" must be an object of lists of names`);
      return [name, definitionOf(isDeclaration(role) ? role : {})];
    }),
  );
  faults.push(...roleFaults(roles, catalogue).map((fault) => `roles: ${fault}`));
  const adapterRoutes = options.adapterRoutes ?? [];
  faults.push(...adapterRoutes.flatMap(declarationFaults));
  const { scopes = [], tenants, separationOfDuty = [], publicRoutes } = options;
  // Named and undefined is an import that went wrong, not a list that was left out.
  if ('publicRoutes' in options) {
    faults.push(...publicRoutesFaults(publicRoutes).map((fault) => `publicRoutes: ${fault}`));
  }
  const reportOnly = readReportOnly(options.reportOnly);
  faults.push(...reportOnly.faults);
  faults.push(...scopeFaults(scopes, tenants), ...separationFaults(separationOfDuty, roles));
  if (faults.length > 0) throw new BootError('AccessModule', faults);
  return new AccessSettings(
    catalogue,
    roles,
    adapterRoutes,
    scopes,
    separationOfDuty,
    tenants && { column: DEFAULT_TENANT_COLUMN, ...tenants },
    publicRoutes,
    reportOnly.settings,
  );
}

const DEFAULT_TENANT_COLUMN = 'tenant_id';

function scopeFaults(scopes: readonly string[], tenants: TenantOptions | undefined): readonly string[] {
  const faults = scopes
    .filter((kind) => !isScopeKind(kind))
    .map((kind) => `scopes: "${kind}" is no kind; use lower-case words joined by "-", e.g. project`);
  if (new Set(scopes).size < scopes.length) faults.push('scopes: a kind is named twice');
  if (!tenants) return faults;
  if (!scopes.includes(TENANT_KIND)) faults.push('tenants needs the kind "tenant" among the scopes: add it');
  const { header, column, ...unknown } = tenants;
  faults.push(...Object.keys(unknown).map((name) => `tenants: unknown option "${name}": remove it`));
  if (header !== undefined && !/^[a-z][a-z0-9-]*$/.test(header)) {
    faults.push('tenants.header must be the name of a header in lower case, e.g. x-tenant');
  }
  if (column !== undefined && !/^[a-z_][a-z0-9_]*$/.test(column)) {
    faults.push('tenants.column must be the name of a column in lower case, e.g. tenant_id');
  }
  return faults;
}

export function definitionOf(role: DeclaredRole): RoleDefinition {
  const list = (names: readonly string[] | undefined): readonly string[] => [...new Set(names ?? [])].sort();
  return {
    permissions: list(role.permissions),
    inherits: list(role.inherits),
    mayGrant: list(role.mayGrant),
  };
}

/** What is wrong with declared roles, each with its mend. */
export function roleFaults(roles: RoleGraph, catalogue: ReadonlySet<string>): readonly string[] {
  const faults: string[] = [];
  for (const [name, { permissions, inherits, mayGrant }] of roles) {
    if (!isRoleName(name)) faults.push(`"${name}" is not a role name: use lower-case words joined by "-"`);
    for (const permission of permissions) {
      if (catalogue.has(permission)) continue;
      faults.push(
        `"${name}" names "${permission}", which nobody declared: add it to permissions or correct it`,
      );
    }
    for (const other of [...inherits, ...mayGrant]) {
      if (!roles.has(other)) faults.push(`"${name}" points at "${other}", which is no declared role`);
    }
    const cycle = cycleThrough(roles, name);
    if (cycle) faults.push(`"${name}" inherits itself (${cycle.join(' → ')}): cut the circle`);
  }
  if (faults.length === 0 && isTooDeep(roles)) {
    faults.push(`a chain of inheritance is longer than ${MAX_ROLE_DEPTH}: flatten it`);
  }
  return faults;
}

/** The compiler says so too; JSON and JavaScript know no compiler. */
function isDeclaration(role: unknown): role is DeclaredRole {
  if (typeof role !== 'object' || role === null) return false;
  const { permissions, inherits, mayGrant } = role as Partial<Record<keyof DeclaredRole, unknown>>;
  return [permissions, inherits, mayGrant].every((list) => list === undefined || Array.isArray(list));
}

function declarationFaults(declaration: Partial<AdapterRouteDeclaration>): readonly string[] {
  const { method = '', path = '', reason = '' } = declaration;
  const faults: string[] = [];
  if (!/^[A-Z]+$/.test(method))
    faults.push(`adapterRoutes: method of "${path}" must be upper case, e.g. GET or USE`);
  if (!path.startsWith('/')) faults.push(`adapterRoutes: path "${path}" must begin with "/"`);
  if (reason.trim() === '') faults.push(`adapterRoutes: "${method} ${path}" needs a reason`);
  return faults;
}
