import { meetsAssurance, type AssuranceDemand } from '../../core/assurance.js';
import type { Permission } from '../../core/permission.js';
import type { Principal } from '../../core/principal.js';
import { loaded } from '../objects/condition.js';
import type { Held } from './held.js';
import type { ObjectRule } from '../objects/object-rule.js';
import { TENANT_KIND, tenantScope } from '../grants/scope.js';

/** One question: may this principal do that, to this object? */
export interface AccessQuestion<T = unknown> {
  readonly principal: Principal | undefined;
  /** All of them must be held. */
  readonly permission: Permission | readonly Permission[];
  /** How surely and how lately the principal must have been authenticated. */
  readonly assurance?: AssuranceDemand | undefined;
  /**
   * Where it must be held, when it need not be everywhere: in the tenant of the request; or `somewhere`, for what is
   * narrowed afterwards (a list by its filter, an object that has yet to be loaded). With an object it is held where that
   * lies, as its rule says, and nowhere else: of a tenant too.
   */
  readonly within?: 'tenant' | 'somewhere' | undefined;
  /** The object, where one is decided on. `object: null` is one that does not exist. */
  readonly resource?: { readonly rule: ObjectRule<T>; readonly object: T | null | undefined };
  readonly context: DecisionContext;
}

/** What is known of this very request. */
export interface DecisionContext {
  /** What the principal holds now. */
  readonly held: Pick<Held, 'holds' | 'holdsSomewhere'>;
  readonly tenant?: string | undefined;
  /** Seconds since the epoch; only a demand of assurance looks at it. */
  readonly nowSeconds?: number;
}

/** Why not: a closed list of fixed phrases, for log and audit. */
export type RefusalReason =
  | 'nothing was demanded'
  | 'nobody is authenticated'
  | 'the request has no tenant'
  | 'a demanded permission is not held'
  | 'the authentication is too weak or too old'
  | 'there is no such object'
  | 'the object belongs to another tenant'
  | 'the object rule does not hold'
  | 'the decision failed';

/** What an error says of an object that is refused: the same of a foreign one and of one that does not exist. */
export const OBJECT_REFUSED = 'the object is refused, or not there';

/** Two-valued: there is neither "perhaps" nor "not my business". */
export type Decision =
  /** `by`: everything that had to hold, and did. */
  | { readonly granted: true; readonly by: readonly string[] }
  | { readonly granted: false; readonly reason: RefusalReason };

/**
 * The policy decision point (NIST SP 800-207): pure, total, without I/O. Everything that is asked must hold; nothing
 * takes away and nothing abstains. Whatever is empty, unknown or throws is refused.
 */
export function decide<T>(question: AccessQuestion<T>): Decision {
  try {
    return judge(question);
  } catch {
    return refuse('the decision failed');
  }
}

function judge<T>({
  principal,
  permission,
  assurance,
  within,
  resource,
  context,
}: AccessQuestion<T>): Decision {
  const permissions = listOf(permission);
  // An empty demand would be met by everybody.
  if (permissions.length === 0) return refuse('nothing was demanded');

  if (principal === undefined) return refuse('nobody is authenticated');

  const { held, tenant } = context;
  if (within === 'tenant' && tenant === undefined) return refuse('the request has no tenant');

  // An object that was not found is in no scope: that somebody lacks the permission comes first all the same.
  const object = resource?.object ?? undefined;
  const isSomewhere = object === undefined && (within === 'somewhere' || resource !== undefined);
  const scopes =
    resource !== undefined && object !== undefined
      ? scopesOf(resource.rule, object)
      : within === 'tenant' && tenant !== undefined
        ? [tenantScope(tenant)]
        : NO_SCOPES;
  // Naming two permissions is AND.
  for (const each of permissions) {
    if (!isHeld(held, each, scopes, isSomewhere)) return refuse('a demanded permission is not held');
  }

  if (assurance !== undefined && !meetsAssurance(principal, assurance, context.nowSeconds ?? Number.NaN)) {
    return refuse('the authentication is too weak or too old');
  }
  if (resource === undefined) return { granted: true, by: permissions };

  if (object === undefined) return refuse('there is no such object');
  const { rule } = resource;
  // Whatever is held, and also by who reaches every object of the kind.
  if (rule.scopes?.[TENANT_KIND] !== undefined && !isOfTenant(rule, object, tenant)) {
    return refuse('the object belongs to another tenant');
  }
  // Asked first: who reaches every object of the kind need not satisfy the rule.
  if (rule.overriddenBy !== undefined && isHeld(held, rule.overriddenBy, scopes, isSomewhere)) {
    return { granted: true, by: [...permissions, rule.overriddenBy] };
  }
  for (const each of permissions) {
    if (!isTrue(rule.holds(object, principal, each))) return refuse('the object rule does not hold');
  }
  return { granted: true, by: [...permissions, `${rule.type}: ${rule.name}`] };
}

/** A copy of what is demanded, in which a hole is a name like any: nobody holds it. */
function listOf(permission: AccessQuestion['permission']): readonly Permission[] {
  if (typeof permission === 'string') return [permission];
  const { length } = permission;
  // What goes through itself in a way of its own, or has a length that is none, says itself what is in it.
  const isPlain = permission[Symbol.iterator] === Array.prototype[Symbol.iterator];
  if (!isPlain || !Number.isSafeInteger(length)) return [...permission];
  if (length === 1) return [permission[0] as Permission];
  // Copied by hand: V8 walks a frozen list, as every policy has, ten times as slowly by `...`.
  const list: Permission[] = [];
  for (let at = 0; at < length; at += 1) list.push(permission[at] as Permission);
  return list;
}

function isHeld(
  held: DecisionContext['held'],
  permission: string,
  scopes: readonly string[],
  somewhere: boolean,
): boolean {
  return isTrue(somewhere ? held.holdsSomewhere(permission) : held.holds(permission, scopes));
}

/** The scopes that an object lies in. @throws TypeError when it does not say. */
function scopesOf<T>({ scopes }: ObjectRule<T>, object: T): readonly string[] {
  if (scopes === undefined) return NO_SCOPES;
  return Object.entries(scopes).flatMap(([kind, property]) => {
    const id = idAt(object, property);
    return id === null ? [] : [`${kind}:${id}`];
  });
}

function isOfTenant<T>({ scopes }: ObjectRule<T>, object: T, tenant: string | undefined): boolean {
  const property = scopes?.[TENANT_KIND];
  return property !== undefined && idAt(object, property) === tenant;
}

/** The id in a property, as a scope writes it. @throws TypeError when it is none, or was not loaded. */
function idAt<T>(object: T, property: keyof T & string): string | null {
  const id = loaded(object, property);
  if (id === null || typeof id === 'string') return id;
  if (typeof id === 'bigint' || (typeof id === 'number' && Number.isSafeInteger(id))) return id.toString();
  throw new TypeError(`"${property}" is no id.`);
}

const NO_SCOPES: readonly string[] = [];

/** The types promise a boolean; a rule written in JavaScript may still return a promise, which is truthy. */
function isTrue(answer: unknown): boolean {
  return answer === true;
}

function refuse(reason: RefusalReason): Decision {
  return { granted: false, reason };
}
