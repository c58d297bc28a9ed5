import type { Permission } from '../core/permission.js';
import type { Principal } from '../core/principal.js';

/**
 * Which objects of one kind a permission reaches: its owner's, those shared with somebody, those of one state
 * (ASVS 8.2.2). Evaluated by `decide()` after every demanded permission is held; it narrows, it never widens.
 */
export interface ObjectRule<T> {
  /** What is decided on, as events name it: `document`. */
  readonly type: string;
  /** What the rule says, in a few words: `owner-or-shared`. */
  readonly name: string;
  /**
   * Whether the permission reaches this object. Pure and synchronous: load what it needs before. Anything but
   * `true`, a promise and a throw included, refuses.
   */
  readonly holds: (object: T, principal: Principal, permission: Permission) => boolean;
  /** A permission that reaches every object of the kind, whatever `holds` says: `documents:read-any`. */
  readonly overriddenBy?: Permission;
}

/** Declares a rule once, beside the entity that it is about. @throws TypeError when a part is missing. */
export function objectRule<T>(rule: ObjectRule<T>): ObjectRule<T> {
  const { type, name, holds } = rule as Partial<ObjectRule<T>>;
  if (!type || !name || typeof holds !== 'function') {
    throw new TypeError('objectRule() needs a type, a name and a predicate "holds".');
  }
  return Object.freeze({ ...rule });
}
