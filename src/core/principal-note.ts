import type { Principal } from './principal.js';

/**
 * A principal that stays the same object from one request to the next, with room for what others found out about it:
 * to find that again under its name would cost each time more than to use it. What is kept lies in the object itself, for
 * of many principals none is in a processor's cache when it is asked for, and each further object is one more wait.
 */
export class RememberedPrincipal implements Principal {
  /** Owners and what they keep: room for two, who are all there are in one application. */
  #firstOwner: object | undefined = undefined;
  #firstThing: unknown = undefined;
  #firstVersion = 0;
  #secondOwner: object | undefined = undefined;
  #secondThing: unknown = undefined;
  #secondVersion = 0;
  declare readonly kind: Principal['kind'];
  declare readonly subject: string;

  constructor(principal: Principal) {
    Object.assign(this, principal);
    Object.freeze(this);
  }

  static is(principal: Principal): principal is RememberedPrincipal {
    return #firstOwner in principal;
  }

  /** Owned by `PrincipalNote`. */
  static thingOf(principal: Principal, owner: object, version: number): unknown {
    if (!(#firstOwner in principal)) return undefined;
    if (principal.#firstOwner === owner) {
      return principal.#firstVersion === version ? principal.#firstThing : undefined;
    }
    return principal.#secondOwner === owner && principal.#secondVersion === version
      ? principal.#secondThing
      : undefined;
  }

  /** Owned by `PrincipalNote`. A third owner finds no room. */
  static keep(principal: Principal, owner: object, thing: unknown, version: number): void {
    if (!(#firstOwner in principal)) return;
    if (principal.#firstOwner === owner || principal.#firstOwner === undefined) {
      principal.#firstOwner = owner;
      principal.#firstThing = thing;
      principal.#firstVersion = version;
    } else if (principal.#secondOwner === owner || principal.#secondOwner === undefined) {
      principal.#secondOwner = owner;
      principal.#secondThing = thing;
      principal.#secondVersion = version;
    }
  }
}

/** As it is, or a copy that nobody can change. */
export function frozen(principal: Principal): Principal {
  return RememberedPrincipal.is(principal) || Object.isFrozen(principal)
    ? principal
    : Object.freeze({ ...principal });
}

/** Where one owner keeps one thing with each remembered principal; it is gone with the principal. */
export class PrincipalNote<T> {
  /**
   * Undefined when nothing was kept, and for a principal that is made anew for each request.
   *
   * @param version of all that the owner knows: what was kept at another one does not count
   */
  of(principal: Principal, version = 0): T | undefined {
    return RememberedPrincipal.thingOf(principal, this, version) as T | undefined;
  }

  keep(principal: Principal, thing: T, version = 0): void {
    RememberedPrincipal.keep(principal, this, thing, version);
  }
}
