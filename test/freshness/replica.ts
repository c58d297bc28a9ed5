import { ControlConnection } from '../../src/database/control-connection.js';
import { FeedStore } from '../../src/freshness/feed.store.js';
import { FreshnessFeed } from '../../src/freshness/freshness.feed.js';
import { open, type Opened } from '../database/opened.js';

export interface Replica extends Opened {
  readonly feed: FreshnessFeed;
}

/** One process of a service as far as the feed is concerned, loaded and following. */
export async function startReplica(url: string): Promise<Replica> {
  const opened = await open(url);
  const control = new ControlConnection(opened.source);
  const feed = new FreshnessFeed(
    new FeedStore(opened.unitOfWork, opened.source, control),
    opened.unitOfWork,
    opened.source,
  );
  await feed.onModuleInit();
  return {
    ...opened,
    feed,
    close: async () => {
      await feed.onApplicationShutdown();
      await control.onApplicationShutdown();
      await opened.close();
    },
  };
}

/** A proof of a session, as old as `feedSeq`. */
export function proof(
  sessionId: string,
  subject = 'subject',
  feedSeq = 0,
  clientId = 'client',
): Parameters<FreshnessFeed['revoked']>[0] {
  return { sessionId, subject, clientId, feedSeq };
}
