import { Logger } from '@nestjs/common';
import type pg from 'pg';
import type { DataSource } from 'typeorm';
import { clientOutsidePool } from '../database/outside-pool.js';

const CHANNEL = 'zero_trust_feed';
/** After a lost connection; meanwhile polling goes on, so nothing is missed, only later. */
const RECONNECT_MS = 1_000;

/** `LISTEN`: a hint that there is something new in the feed. Nothing depends on it but how soon one looks. */
export class FeedListener {
  readonly #logger = new Logger('Freshness');
  #client: pg.Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #lost = false;

  constructor(
    private readonly dataSource: DataSource,
    private readonly onHint: () => void,
  ) {}

  async listen(): Promise<void> {
    if (this.#closed) return;
    const client = clientOutsidePool(this.dataSource);
    this.#client = client;
    client.on('notification', this.onHint);
    client.once('end', () => {
      this.#reconnect();
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      if (this.#lost) this.#logger.log('listening to the feed again');
      this.#lost = false;
    } catch {
      client.end().catch(() => undefined);
      this.#reconnect();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#client?.end().catch(() => undefined);
  }

  #reconnect(): void {
    if (this.#closed || this.#timer) return;
    if (!this.#lost) this.#logger.warn('the connection that listens to the feed was lost; polling goes on');
    this.#lost = true;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.listen();
    }, RECONNECT_MS).unref();
  }
}
