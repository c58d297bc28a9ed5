import { Injectable, Optional, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { OpenConnections } from '../core/connections/open-connections.js';
import { FreshnessFeed } from './freshness.feed.js';

/** A connection asks nobody by itself, so it is asked for it whether memory may still be trusted. */
const LOOK_EVERY_MS = 250;

/** Has open connections judged again as soon as the feed says something that may concern them, or nothing any more. */
@Injectable()
export class ConnectionFreshness implements OnModuleInit, OnApplicationShutdown {
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly feed: FreshnessFeed,
    // A command has no pipeline, and nothing open.
    @Optional() private readonly connections?: OpenConnections,
  ) {
    if (!connections) return;
    feed.on('session', ({ id }) => {
      connections.reconsider(({ sessionId }) => sessionId === id);
    });
    feed.on('client', ({ id }) => {
      connections.reconsider(({ clientId }) => clientId === id);
    });
    for (const kind of ['subject', 'grants'] as const) {
      feed.on(kind, ({ id }) => {
        // The feed spells ids as PostgreSQL does; an authenticator of the host may not.
        connections.reconsider(({ subject }) => subject.toLowerCase() === id.toLowerCase());
      });
    }
    // Who signed what is known where it is proved; who holds a role, where it is decided.
    for (const kind of ['roles', 'keys'] as const) {
      feed.on(kind, () => {
        connections.reconsider(() => true);
      });
    }
    feed.onReset(() => {
      connections.reconsider(() => true);
    });
  }

  onModuleInit(): void {
    const { connections } = this;
    if (!connections) return;
    this.#timer = setInterval(() => {
      if (connections.size > 0 && !this.feed.isFresh()) connections.reconsider(() => true);
    }, LOOK_EVERY_MS).unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }
}
