import { kindOf, TENANT_KIND } from '../grants/scope.js';

/** What a principal holds, as a decision asks for it. */
export interface Held {
  /** Whether a permission is held everywhere, or in one of these scopes. */
  holds(permission: string, scopes: readonly string[]): boolean;
  /** Whether it is held everywhere, or in any scope at all. */
  holdsSomewhere(permission: string): boolean;
}

/** A permission's place among the bits: fixed when the application starts. */
export type PermissionPlaces = ReadonlyMap<string, number>;

export function placesOf(catalogue: Iterable<string>): PermissionPlaces {
  return new Map([...catalogue].map((permission, place) => [permission, place]));
}

/** Permissions of one scope as bits. */
type Bits = Uint32Array;

/**
 * What one subject holds, compiled: one bit a permission, for everywhere and for each scope. A look-up costs the same
 * however many roles, grants and permissions there are.
 */
export class HeldTable implements Held {
  readonly #places: PermissionPlaces;
  readonly #everywhere: Bits;
  readonly #scoped: ReadonlyMap<string, Bits> | undefined;

  /** `held`: scope → permissions; `''` is everywhere. A permission without a place is left out: nobody declared it. */
  constructor(places: PermissionPlaces, held: ReadonlyMap<string, Iterable<string>>) {
    const bitsOf = (permissions: Iterable<string>): Bits => {
      const bits = new Uint32Array(Math.ceil(places.size / 32));
      for (const permission of permissions) {
        const place = places.get(permission);
        if (place !== undefined) bits[place >>> 5] = (bits[place >>> 5] ?? 0) | (1 << (place & 31));
      }
      return bits;
    };
    this.#places = places;
    this.#everywhere = bitsOf(held.get('') ?? []);
    const scoped = [...held].flatMap(([scope, permissions]): [string, Bits][] => {
      const bits = scope === '' ? undefined : bitsOf(permissions);
      // Where nothing is held, there is nothing to look for: no tenant to be of either.
      return bits?.some((word) => word !== 0) ? [[scope, bits]] : [];
    });
    this.#scoped = scoped.length === 0 ? undefined : new Map(scoped);
  }

  holds(permission: string, scopes: readonly string[]): boolean {
    const place = this.#places.get(permission);
    if (place === undefined) return false;
    if (isSet(this.#everywhere, place)) return true;
    if (this.#scoped === undefined) return false;
    for (const scope of scopes) {
      const bits = this.#scoped.get(scope);
      if (bits !== undefined && isSet(bits, place)) return true;
    }
    return false;
  }

  holdsSomewhere(permission: string): boolean {
    return this.holds(permission, this.#scoped === undefined ? NOWHERE : [...this.#scoped.keys()]);
  }

  /** The scopes in which a permission is held, beside everywhere. */
  scopesOf(permission: string): readonly string[] {
    const place = this.#places.get(permission);
    if (place === undefined || this.#scoped === undefined) return NOWHERE;
    return [...this.#scoped].flatMap(([scope, bits]) => (isSet(bits, place) ? [scope] : []));
  }

  /** The tenants in which the subject holds anything. */
  tenants(): readonly string[] {
    if (this.#scoped === undefined) return NOWHERE;
    return [...this.#scoped.keys()]
      .filter((scope) => kindOf(scope) === TENANT_KIND)
      .map((scope) => scope.slice(TENANT_KIND.length + 1));
  }

  /** Every permission that is held everywhere or in any scope, sorted. */
  permissions(): readonly string[] {
    return [...this.#places.keys()].filter((permission) => this.holdsSomewhere(permission)).sort();
  }
}

/** One for all: nobody may put anything into it. */
const NOWHERE: readonly string[] = Object.freeze([]);

function isSet(bits: Bits, place: number): boolean {
  return ((bits[place >>> 5] ?? 0) & (1 << (place & 31))) !== 0;
}
