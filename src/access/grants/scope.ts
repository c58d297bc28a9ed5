/** Where a grant counts: `kind:id`, e.g. `project:7`. */
export type Scope = `${string}:${string}`;

/** The kind that separates customers: an object of another tenant is refused whatever else is held. */
export const TENANT_KIND = 'tenant';

/** As in the database. The id says which one, in characters that need no escape anywhere. */
const SCOPE = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*:[A-Za-z0-9][A-Za-z0-9._~-]*$/;
const KIND = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
const MAX_SCOPE_LENGTH = 128;

/** Whether a text has the shape of a scope; it does not say that the kind was declared or that there is such a one. */
export function isScope(text: string): text is Scope {
  return text.length <= MAX_SCOPE_LENGTH && SCOPE.test(text);
}

export function isScopeKind(text: string): boolean {
  return text.length <= 64 && KIND.test(text);
}

export function kindOf(scope: string): string {
  return scope.slice(0, scope.indexOf(':'));
}

export function tenantScope(tenant: string): Scope {
  return `${TENANT_KIND}:${tenant}`;
}
