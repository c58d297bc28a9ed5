import { ConfigurableModuleBuilder } from '@nestjs/common';
import { RouterModule } from '@nestjs/core';
import type { Permission, PermissionCatalogue } from '../core/permission.js';
import type { SeparatedRoles } from './grants/separation-of-duty.js';
import type { ReportOnlyOptions } from './report-only/report-only.settings.js';

/** A role as code declares it; `zero-trust access sync` brings it into the database. */
export interface DeclaredRole {
  readonly permissions?: readonly Permission[];
  /** Roles whose permissions this one has too. */
  readonly inherits?: readonly string[];
  /** Roles that a holder may grant to others although it does not hold what they convey. */
  readonly mayGrant?: readonly string[];
}

export type DeclaredRoles = Readonly<Record<string, DeclaredRole>>;

/** A way in that anybody reaches, as somebody has reviewed it. */
export interface PublicRouteDeclaration {
  /** As `zero-trust routes --check` names it, e.g. `GET /health/live`. */
  readonly route: string;
  /** Why anybody may reach it, for the next reader. */
  readonly reason: string;
}

/** A route that something else than a Nest handler serves, and that no guard therefore sees. */
export interface AdapterRouteDeclaration {
  /** Upper case; `ALL` for every method, `USE` for what is mounted on a path with `app.use(path, …)`. */
  readonly method: string;
  /** As it was given to the adapter. No patterns: each route is reviewed by itself. */
  readonly path: string;
  /** Why it may be reached by anybody, for the next reader. */
  readonly reason: string;
}

/** How requests get their tenant, and what PostgreSQL is asked to keep apart as the second lock. */
export interface TenantOptions {
  /**
   * The header by which a caller who belongs to several tenants says which one is meant; in lower case. It chooses among
   * the caller's own and never beyond. @default none: who belongs to several has no tenant
   */
  readonly header?: string;
  /**
   * The column by which a table is known to belong to tenants: every such table must have row-level security, forced, or
   * the start is refused. @default 'tenant_id'
   */
  readonly column?: string;
}

/** Who may do what. Every option left out is the strict choice. */
export interface AccessOptions {
  /** The application's own permissions, from `definePermissions`. @default none beside the kit's own */
  readonly permissions?: PermissionCatalogue;
  /** Roles for `zero-trust access sync`; nothing is written when the application starts. @default none */
  readonly roles?: DeclaredRoles;
  /**
   * The kinds of scope that a grant may have: `['tenant', 'project']`. For each, somebody says which there are
   * (`Scopes.knownBy`). @default none: every grant counts everywhere
   */
  readonly scopes?: readonly string[];
  /** Tenants, with the kind of scope `tenant`. @default none: a request has no tenant */
  readonly tenants?: TenantOptions;
  /** Roles that one subject may not hold together (INCITS 359: static separation of duty). @default none */
  readonly separationOfDuty?: readonly SeparatedRoles[];
  /** The reviewed list of routes that bypass the pipeline. A stale entry fails the start too. @default none */
  readonly adapterRoutes?: readonly AdapterRouteDeclaration[];
  /**
   * The reviewed list of what anybody reaches, as `zero-trust.routes.json` holds it. Whatever else is open to anybody, an
   * entry that is stale and one without a reason fail the start. An empty list: nothing may be.
   * @default not compared at the start: `@Public()` says it already, and `zero-trust routes --check` asks for the review
   */
  readonly publicRoutes?: readonly PublicRouteDeclaration[];
  /** What is recorded and let through, and NOT protected, while the kit is being introduced. @default nothing */
  readonly reportOnly?: ReportOnlyOptions;
}

/** Fixed when the module is declared, also with `forRootAsync`: routes exist before any factory has run. */
export interface AccessExtras {
  /** Where the endpoints of this module mount. @default 'admin' */
  readonly adminPrefix?: string;
}

const DEFAULTS: Required<AccessExtras> = { adminPrefix: 'admin' };

export const { ConfigurableModuleClass: AccessModuleBase, MODULE_OPTIONS_TOKEN: ACCESS_OPTIONS } =
  new ConfigurableModuleBuilder<AccessOptions>({ moduleName: 'Access' })
    .setClassMethodName('forRoot')
    .setExtras<AccessExtras>(DEFAULTS, (definition, { adminPrefix = DEFAULTS.adminPrefix }) => ({
      ...definition,
      imports: [
        ...(definition.imports ?? []),
        RouterModule.register([{ path: adminPrefix, module: definition.module }]),
      ],
    }))
    .build();
