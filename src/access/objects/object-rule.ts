import type { Permission } from '../../core/permission.js';
import type { Principal } from '../../core/principal.js';
import { holdsFor, type Condition } from './condition.js';
import { isScopeKind } from '../grants/scope.js';

interface RuleParts<T> {
  /** What is decided on, as events name it: `document`. */
  readonly type: string;
  /** What the rule says, in a few words: `owner-or-shared`. */
  readonly name: string;
  /** A permission that reaches every object of the kind, whatever the rule says: `documents:read-any`. */
  readonly overriddenBy?: Permission;
  /**
   * Kind of scope → the property of the object that names which one: `{ project: 'projectId' }`. A grant in that scope
   * counts for the object. With `tenant`, an object of another tenant than the request's is refused to everybody.
   */
  readonly scopes?: Readonly<Record<string, keyof T & string>>;
}

/**
 * Which objects of one kind a permission reaches: its owner's, those shared with somebody, those of one state
 * (ASVS 8.2.2). Evaluated by `decide()` after every demanded permission is held; it narrows, it never widens.
 */
export interface ObjectRule<T> extends RuleParts<T> {
  /**
   * Whether the permission reaches this object. Pure and synchronous: load what it needs before. Anything but
   * `true`, a promise and a throw included, refuses.
   */
  readonly holds: (object: T, principal: Principal, permission: Permission) => boolean;
  /** The same as a condition, of which a list gets its filter; absent where the rule is a predicate. */
  readonly when?: Condition<T>;
}

/** A rule as it is declared: by a condition, or by a predicate where no condition can say it (then lists get no filter). */
export type ObjectRuleInit<T> = RuleParts<T> &
  ({ readonly when: Condition<T> } | { readonly holds: ObjectRule<T>['holds'] });

/**
 * Declares a rule once, beside the entity that it is about:
 *
 * ```ts
 * objectRule<Document>({ type: 'document', name: 'owned', when: is('ownerId', SUBJECT) });
 * ```
 *
 * @throws TypeError when a part is missing or contradicts another.
 */
export function objectRule<T>(rule: ObjectRuleInit<T>): ObjectRule<T> {
  const { type, name, holds, when, scopes } = rule as Partial<ObjectRule<T>>;
  if (!type || !name || (typeof holds !== 'function') === (when === undefined)) {
    throw new TypeError(
      'objectRule() needs a type, a name, and either a condition "when" or a predicate "holds".',
    );
  }
  for (const kind of Object.keys(scopes ?? {})) {
    if (!isScopeKind(kind))
      throw new TypeError(`objectRule(): "${kind}" is no kind of scope; use lower-case words.`);
  }
  const parts = { ...rule, ...(scopes && { scopes: Object.freeze({ ...scopes }) }) };
  if (when === undefined) return Object.freeze(parts as ObjectRule<T>);
  return Object.freeze({
    ...parts,
    when,
    holds: (object: T, { subject }: Principal) => holdsFor(when, object, subject),
  });
}
