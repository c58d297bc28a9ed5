import type { Principal } from './principal.js';

/**
 * A principal that stays the same object from one request to the next, with room for what others found out about it:
 * to find that again under its name would cost each time more than to use it.
 */
export class RememberedPrincipal implements Principal {
  declare readonly kind: Principal['kind'];
  declare readonly subject: string;
  /** Owners and what they keep, in turn: room for two, who are all there are in one application. */
  readonly #notes: unknown[] = [undefined, undefined, undefined, undefined];

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
  /** Undefined when nothing was kept, and for a principal that is made anew for each request. */
  of(principal: Principal): T | undefined {
    const notes = RememberedPrincipal.notesOf(principal);
    return notes?.[this.#placeIn(notes) + 1] as T | undefined;
  }

  keep(principal: Principal, thing: T): void {
    const notes = RememberedPrincipal.notesOf(principal);
    if (!notes) return;
    const place = this.#placeIn(notes);
    notes[place] = this;
    notes[place + 1] = thing;
  }

  /** Where its own are, or may be. */
  #placeIn(notes: readonly unknown[]): number {
    let place = 0;
    while (notes[place] !== this && notes[place] !== undefined) place += 2;
    return place;
  }
}
