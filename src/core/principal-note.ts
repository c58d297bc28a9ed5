import type { Principal } from './principal.js';

/**
 * A principal that stays the same object from one request to the next, with room for what others found out about it:
 * to find that again under its name would cost each time more than to use it.
 */
export class RememberedPrincipal implements Principal {
  declare readonly kind: Principal['kind'];
  declare readonly subject: string;
  /** As many as there are owners, most of the time. */
  readonly #notes = new Array<unknown>(2);

  constructor(principal: Principal) {
    Object.assign(this, principal);
    Object.freeze(this);
  }

  /** Owned by `PrincipalNote`. */
  static notesOf(principal: Principal): unknown[] | undefined {
    return #notes in principal ? principal.#notes : undefined;
  }
}

/** As it is, or a copy that nobody can change. */
export function frozen(principal: Principal): Principal {
  return RememberedPrincipal.notesOf(principal) || Object.isFrozen(principal)
    ? principal
    : Object.freeze({ ...principal });
}

/** Where one owner keeps one thing with each remembered principal; it is gone with the principal. */
export class PrincipalNote<T> {
  static #places = 0;
  readonly #place = PrincipalNote.#places++;

  /** Undefined when nothing was kept, and for a principal that is made anew for each request. */
  of(principal: Principal): T | undefined {
    return RememberedPrincipal.notesOf(principal)?.[this.#place] as T | undefined;
  }

  keep(principal: Principal, thing: T): void {
    const notes = RememberedPrincipal.notesOf(principal);
    if (notes) notes[this.#place] = thing;
  }
}
