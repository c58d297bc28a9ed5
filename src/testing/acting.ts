import { ASSURANCE_LEVELS, isAssuranceLevel, type AssuranceLevel } from '../core/assurance.js';
import { isPermissionName, type Permission } from '../core/permission.js';
import type { Principal } from '../core/principal.js';
import { isRoleName } from '../access/access.settings.js';
import { canHoldGrants } from '../access/decision/held-permissions.js';
import { isScope, tenantScope, type Scope } from '../access/grants/scope.js';

/** What somebody holds: permissions by name, and whatever the declared roles convey. */
export interface Holdings {
  readonly permissions?: readonly Permission[];
  /** Roles as code declares them, with what they inherit; the roles in a database are not asked. */
  readonly roles?: readonly string[];
}

/** As whom a test asks. Everything left out is the least: somebody who is authenticated by a password, and holds nothing. */
export interface Acting extends Holdings {
  /** The id of the subject, a UUID: the owner of an object, say. @default somebody new */
  readonly subject?: string;
  /** The tenant in which `permissions` and `roles` are held. @default they are held everywhere */
  readonly tenant?: string;
  /** What is held in scopes beside: `{ 'project:7': { roles: ['editor'] } }`. @default nothing */
  readonly scopes?: Readonly<Record<Scope, Holdings>>;
  /** How surely they authenticated. @default 'aal1' */
  readonly acr?: AssuranceLevel;
  /** How (RFC 8176). @default a password, and with aal2 or aal3 a second factor */
  readonly amr?: readonly string[];
  /** Since when, in seconds since the epoch. @default their first request, by the clock of the application */
  readonly authTime?: number;
  /** How long the credential holds from its first request on, by the clock of the application. @default as long as the process */
  readonly expiresInSeconds?: number;
}

const OPTIONS: Readonly<Record<keyof Acting, true>> = {
  permissions: true,
  roles: true,
  subject: true,
  tenant: true,
  scopes: true,
  acr: true,
  amr: true,
  authTime: true,
  expiresInSeconds: true,
};

/** By the object itself: a principal that looks the same and was made elsewhere acts as nobody. */
const acting = new WeakMap<Principal, Acting>();

/** As whom this very principal acts; undefined of everybody who was proved by something else than a test. */
export function actingOf(principal: Principal | undefined): Acting | undefined {
  return principal && acting.get(principal);
}

/** Somebody as the pipeline knows them. `nowSeconds`: when they authenticated, unless they say. */
export function principalOf(as: Acting & { readonly subject: string }, nowSeconds: number): Principal {
  const {
    subject,
    acr = 'aal1',
    amr = acr === 'aal1' ? ['pwd'] : ['pwd', 'otp'],
    authTime = nowSeconds,
  } = as;
  const principal = Object.freeze({ kind: 'account', subject, acr, amr: Object.freeze([...amr]), authTime });
  acting.set(principal, as);
  return principal;
}

/** What is wrong with it, whatever the application has declared; the compiler says most of it too. */
export function actingFaults(as: Acting): readonly string[] {
  const { subject, tenant, scopes = {}, acr, amr, authTime, expiresInSeconds } = as;
  const faults = [
    ...Object.keys(as)
      .filter((name) => !Object.hasOwn(OPTIONS, name))
      .map((name) => `"${name}" is no option`),
    ...holdingsFaults(as),
    ...Object.entries(scopes).flatMap(([scope, held]) => [
      ...(isScope(scope) ? [] : [`"${scope}" is no scope; write kind:id, e.g. project:7`]),
      ...holdingsFaults(held),
    ]),
  ];
  if (subject !== undefined && !canHoldGrants(subject)) faults.push('subject is a UUID: others hold nothing');
  if (tenant !== undefined && !isScope(tenantScope(tenant))) faults.push('tenant is no id of a tenant');
  if (acr !== undefined && !isAssuranceLevel(acr))
    faults.push(`acr is one of ${ASSURANCE_LEVELS.join(', ')}`);
  if (amr !== undefined && !isListOfTexts(amr)) faults.push('amr is a list of words, e.g. ["pwd"]');
  if (authTime !== undefined && !Number.isInteger(authTime))
    faults.push('authTime is in whole seconds since the epoch');
  if (expiresInSeconds !== undefined && !(Number.isInteger(expiresInSeconds) && expiresInSeconds > 0))
    faults.push('expiresInSeconds is a whole number of seconds, 1 or more');
  return faults;
}

function holdingsFaults({ permissions = [], roles = [] }: Holdings): readonly string[] {
  if (!isListOfTexts(permissions) || !isListOfTexts(roles))
    return ['permissions and roles are lists of names'];
  return [
    ...(permissions as readonly string[])
      .filter((name) => !isPermissionName(name))
      .map((name) => `"${name}" is no permission; write resource:action`),
    ...roles.filter((name) => !isRoleName(name)).map((name) => `"${name}" is no name of a role`),
  ];
}

function isListOfTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}
