import { ConfigurableModuleBuilder } from '@nestjs/common';
import { RouterModule } from '@nestjs/core';
import type { Permission, PermissionCatalogue } from '../core/permission.js';

/** A role as code declares it; `zero-trust access sync` brings it into the database. */
export interface DeclaredRole {
  readonly permissions?: readonly Permission[];
  /** Roles whose permissions this one has too. */
  readonly inherits?: readonly string[];
  /** Roles that a holder may grant to others although it does not hold what they convey. */
  readonly mayGrant?: readonly string[];
}

export type DeclaredRoles = Readonly<Record<string, DeclaredRole>>;

/** A route that something else than a Nest handler serves, and that no guard therefore sees. */
export interface AdapterRouteDeclaration {
  /** Upper case; `ALL` for every method, `USE` for what is mounted on a path with `app.use(path, …)`. */
  readonly method: string;
  /** As it was given to the adapter. No patterns: each route is reviewed by itself. */
  readonly path: string;
  /** Why it may be reached by anybody, for the next reader. */
  readonly reason: string;
}

/** Who may do what. Every option left out is the strict choice. */
export interface AccessOptions {
  /** The application's own permissions, from `definePermissions`. @default none beside the kit's own */
  readonly permissions?: PermissionCatalogue;
  /** Roles for `zero-trust access sync`; nothing is written when the application starts. @default none */
  readonly roles?: DeclaredRoles;
  /** The reviewed list of routes that bypass the pipeline. A stale entry fails the start too. @default none */
  readonly adapterRoutes?: readonly AdapterRouteDeclaration[];
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
