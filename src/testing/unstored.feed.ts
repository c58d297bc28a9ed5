import { Injectable } from '@nestjs/common';
import type { FeedEntry, FeedKind } from '../freshness/feed-entry.js';
import type { FreshnessFeed } from '../freshness/freshness.feed.js';

type Listener = (entry: FeedEntry) => void;

/** Tells what changes to this process alone, at once. There is no other replica, so it is always fresh. */
@Injectable()
export class UnstoredFeed implements Omit<
  Pick<FreshnessFeed, keyof FreshnessFeed>,
  'onModuleInit' | 'onApplicationShutdown'
> {
  readonly #listeners = new Map<FeedKind, Set<Listener>>();
  #seq = 0;

  get seq(): number {
    return this.#seq;
  }

  isFresh(): boolean {
    return true;
  }

  confirm(): Promise<void> {
    return Promise.resolve();
  }

  /** Proofs are those of a test: they end with it, or when they say. */
  revoked(): boolean {
    return false;
  }

  append(...entries: FeedEntry[]): Promise<void> {
    for (const entry of entries) {
      this.#seq += 1;
      for (const listener of this.#listeners.get(entry.kind) ?? []) listener(entry);
    }
    return Promise.resolve();
  }

  on(kind: FeedKind, listener: Listener): () => void {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  onReset(): void {
    // It never starts anew.
  }
}
