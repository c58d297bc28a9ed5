import type { OpenConnection } from './open-connection.js';

/** Judgements that wait for something, at most: those who ask have the pool too. */
const JUDGED_AT_ONCE = 8;

/**
 * What is to be judged, and what is being judged. Callers take turns, and one whose judgements take their time is late
 * alone: nobody may have more of them than there is room left for others.
 */
export class Lane {
  /** Of each caller in the order of asking; whose turn it is comes first. */
  readonly #queues = new Map<string, Set<OpenConnection>>();
  readonly #judged = new Set<OpenConnection>();

  add(open: OpenConnection): void {
    const queue = this.#queues.get(open.caller);
    if (queue) queue.add(open);
    else this.#queues.set(open.caller, new Set([open]));
  }

  /** Whose turn it is to be judged, if there is room for anybody. It takes up some until it leaves. */
  take(): OpenConnection | undefined {
    if (this.#judged.size >= JUDGED_AT_ONCE) return undefined;
    for (const [caller, queue] of this.#queues) {
      const [open] = queue;
      if (!open || !this.#hasRoomFor(caller)) continue;
      this.#queues.delete(caller);
      queue.delete(open);
      if (queue.size > 0) this.#queues.set(caller, queue);
      this.#judged.add(open);
      return open;
    }
    return undefined;
  }

  /** It waits no more, for its turn or for an answer that may never come. @returns whether that makes room */
  leave(open: OpenConnection): boolean {
    const queue = this.#queues.get(open.caller);
    if (queue?.delete(open) && queue.size === 0) this.#queues.delete(open.caller);
    return this.#judged.delete(open);
  }

  clear(): void {
    this.#queues.clear();
  }

  #hasRoomFor(caller: string): boolean {
    let own = 0;
    for (const each of this.#judged) if (each.caller === caller) own += 1;
    return own < JUDGED_AT_ONCE - this.#judged.size;
  }
}
