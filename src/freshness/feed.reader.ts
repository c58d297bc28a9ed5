import type pg from 'pg';
import type { DataSource } from 'typeorm';
import { clientOutsidePool } from '../database/outside-pool.js';
import { feedPageOf, ENTRIES_AFTER, type FeedPage } from './feed.store.js';

/** How long an answer may take, connecting included; what a request would not wait for is no answer. */
export const READ_DEADLINE_MS = 250;

/**
 * Reads the feed over a connection of its own: a pool that is busy must not make a replica blind. A connection that
 * failed, or did not answer in time, is thrown away; the next question makes a new one.
 */
export class FeedReader {
  #client: Promise<pg.Client> | undefined;

  constructor(private readonly dataSource: DataSource) {}

  /** @throws when there is no answer within `READ_DEADLINE_MS`. */
  async after(seq: number): Promise<FeedPage> {
    this.#client ??= connect(clientOutsidePool(this.dataSource));
    const used = this.#client;
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        // A process that was busy for longer than that finds the answer waiting: look before giving up.
        setImmediate(reject, new Error('the feed did not answer in time'));
      }, READ_DEADLINE_MS);
    });
    try {
      const answer = used.then((client) => client.query(ENTRIES_AFTER, [seq]));
      answer.catch(() => undefined);
      const { rows } = await Promise.race([answer, deadline]);
      return feedPageOf(rows);
    } catch (error) {
      if (this.#client === used) this.#client = undefined;
      discard(used);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.then((each) => each.end()).catch(() => undefined);
  }
}

async function connect(client: pg.Client): Promise<pg.Client> {
  await client.connect();
  return client;
}

/** Hangs up without waiting for an answer that may never come. */
function discard(connecting: Promise<pg.Client>): void {
  connecting
    .then((client) => {
      (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    })
    .catch(() => undefined);
}
