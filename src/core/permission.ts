/** The kit's own permissions, for the endpoints that it brings itself. */
export const KIT_PERMISSIONS = {
  access: ['read', 'explain'],
  accounts: ['read', 'disable', 'end-sessions'],
  audit: ['read'],
  grants: ['read', 'write'],
  roles: ['read', 'write'],
} as const;

/** Resource name → its actions. */
export type PermissionCatalogue = Readonly<Record<string, readonly string[]>>;

/** `{ documents: ['read'] }` → `'documents:read'`. */
export type PermissionsOf<Catalogue extends PermissionCatalogue> = {
  [Resource in keyof Catalogue & string]: `${Resource}:${Catalogue[Resource][number]}`;
}[keyof Catalogue & string];

/**
 * The place where an application tells the compiler about its own catalogue:
 *
 * ```ts
 * declare module 'nestjs-zero-trust' {
 *   interface Register { permissions: typeof permissions }
 * }
 * ```
 *
 * From then on a misspelt permission does not compile.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled by the host through interface merging
export interface Register {}

/** A permission's name. As wide as `resource:action` until the host has registered its catalogue. */
export type Permission =
  | PermissionsOf<typeof KIT_PERMISSIONS>
  | (Register extends { permissions: infer Catalogue extends PermissionCatalogue }
      ? PermissionsOf<Catalogue>
      : `${string}:${string}`);

/** Lower-case words joined by `-`, on both sides of one colon (INCITS 359: an operation on an object). */
const PERMISSION_PART = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;

/** Whether a text has the shape `resource:action`; it does not say that anybody declared it. */
export function isPermissionName(name: string): name is Permission {
  const parts = name.split(':');
  return parts.length === 2 && parts.every((part) => PERMISSION_PART.test(part));
}

/**
 * Declares an application's permissions once: resource → actions.
 *
 * @throws TypeError when a name is not lower-case words joined by `-`, when a resource has no action, or when
 * it would redefine one of the kit's own resources.
 */
export function definePermissions<const Catalogue extends PermissionCatalogue>(
  catalogue: Catalogue,
): Catalogue {
  for (const [resource, actions] of Object.entries(catalogue)) {
    if (Object.hasOwn(KIT_PERMISSIONS, resource)) {
      throw new TypeError(
        `definePermissions: "${resource}" belongs to the kit; choose another resource name.`,
      );
    }
    if (actions.length === 0) {
      throw new TypeError(
        `definePermissions: "${resource}" has no action; name at least one or leave it out.`,
      );
    }
    for (const action of actions) {
      if (!isPermissionName(`${resource}:${action}`)) {
        throw new TypeError(
          `definePermissions: "${resource}:${action}" is not resource:action in lower-case words joined by "-".`,
        );
      }
    }
    if (new Set(actions).size !== actions.length) {
      throw new TypeError(`definePermissions: "${resource}" names an action twice.`);
    }
  }
  return Object.freeze(catalogue);
}

/** Every permission name of a host's catalogue and of the kit's. */
export function permissionNames(catalogue: PermissionCatalogue): ReadonlySet<string> {
  const names = [KIT_PERMISSIONS as PermissionCatalogue, catalogue].flatMap((part) =>
    Object.entries(part).flatMap(([resource, actions]) => actions.map((action) => `${resource}:${action}`)),
  );
  return new Set(names);
}
