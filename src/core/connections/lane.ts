import type { OpenConnection } from './open-connection.js';

/** Judgements that wait for something, at most: those who ask have the pool too. */
const WAITING_AT_ONCE = 8;

/**
 * What is to be judged, and what is being judged and waits for something. Callers take turns, and one whose judgements
 * take their time is late alone: of nobody may more wait than there is room left for others.
 */
export class Lane {
  /** Of each caller in the order of asking; whose turn it is comes first. */
  readonly #queues = new Map<string, Set<OpenConnection>>();
  readonly #waiting = new Set<OpenConnection>();

  add(open: OpenConnection): void {
    const queue = this.#queues.get(open.caller);
    if (queue) queue.add(open);
    else this.#queues.set(open.caller, new Set([open]));
  }

  /** Takes out whose turn it is, if there is anybody for whom there is room. */
  take(): OpenConnection | undefined {
    if (this.#waiting.size >= WAITING_AT_ONCE) return undefined;
    for (const [caller, queue] of this.#queues) {
      const [open] = queue;
      if (!open || !this.#hasRoomFor(caller)) continue;
      this.#queues.delete(caller);
      queue.delete(open);
      if (queue.size > 0) this.#queues.set(caller, queue);
      return open;
    }
    return undefined;
  }

  /** The judgement of what was taken waits for something, until it leaves. */
  wait(open: OpenConnection): void {
    this.#waiting.add(open);
  }

  /** It waits no more, for its turn or for an answer: one that never comes takes up no room. @returns whether it did */
  leave(open: OpenConnection): boolean {
    const queue = this.#queues.get(open.caller);
    if (queue?.delete(open) && queue.size === 0) this.#queues.delete(open.caller);
    return this.#waiting.delete(open);
  }

  clear(): void {
    this.#queues.clear();
  }

  #hasRoomFor(caller: string): boolean {
    let own = 0;
    for (const each of this.#waiting) if (each.caller === caller) own += 1;
    return own < WAITING_AT_ONCE - this.#waiting.size;
  }
}
