import { CountedKey } from './request-counter.js';

/** Keys that are kept at most, of all handlers together; about 200 bytes each. */
const MAX_KEPT = 20_000;

/** Keys of one beginning, each made once for a name that comes again and again. */
export interface KeyGroup {
  of(name: string): CountedKey;
}

/**
 * To build a key, hash it and find it in a table costs more than to count: a key that was used lately is found by its
 * name alone. A cache only: to forget it costs a microsecond a key, so a flood of names makes it no larger.
 */
export class CountedKeys {
  readonly #kept = new Set<Map<string, CountedKey>>();
  #size = 0;

  group(beginning: string): KeyGroup {
    const keys = new Map<string, CountedKey>();
    this.#kept.add(keys);
    const group: KeyGroup = {
      of: (name) => {
        const known = keys.get(name);
        if (known) return known;
        if (this.#size >= MAX_KEPT) this.#clear();
        const key = new CountedKey(`${beginning}${name}`, group);
        keys.set(name, key);
        this.#size += 1;
        return key;
      },
    };
    return group;
  }

  #clear(): void {
    for (const keys of this.#kept) keys.clear();
    this.#size = 0;
  }
}
