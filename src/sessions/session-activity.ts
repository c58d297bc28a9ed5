import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { performance } from 'node:perf_hooks';
import { SessionStore } from './session.store.js';
import { SessionsSettings } from './sessions.settings.js';

/** A session that is in use is written at most this often. */
export const SEEN_EVERY_MS = 60_000;
/** Sightings are written together, so that a thousand sessions cost one statement. */
const FLUSH_MS = 5_000;
const MAX_WAITING = 10_000;

/** When sessions were last used: gathered in memory, written now and then, lost by a crash without harm. */
@Injectable()
export class SessionActivity implements OnApplicationShutdown {
  readonly #logger = new Logger('Sessions');
  readonly #waiting = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly store: SessionStore,
    private readonly settings: SessionsSettings,
  ) {}

  seen(sessionId: string): void {
    if (this.#waiting.size >= MAX_WAITING && !this.#waiting.has(sessionId)) return;
    this.#waiting.set(sessionId, performance.now());
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref();
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.size === 0) return;
    const nowMs = performance.now();
    const ids = [...this.#waiting.keys()];
    const secondsAgo = [...this.#waiting.values()].map((atMs) => (nowMs - atMs) / 1000);
    this.#waiting.clear();
    try {
      await this.store.seen(ids, secondsAgo, this.settings.idleLifetimeSeconds);
    } catch {
      // Seen again, it is written again; idleness is counted from the last refresh at the latest.
      this.#logger.warn('when sessions were last seen could not be written');
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await this.flush();
  }
}
