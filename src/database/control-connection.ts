import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type pg from 'pg';
import { KitDataSource } from './data-source.js';
import { clientOutsidePool } from './outside-pool.js';

/** How long an answer may take; what a request would not wait for is no answer. */
export const CONTROL_DEADLINE_MS = 250;

interface Link {
  readonly ready: Promise<pg.Client>;
  connected: boolean;
}

/**
 * One connection beside the pool, for the few questions on which every request depends (what was revoked, which keys
 * count): a pool that is busy must not make a replica blind. One that failed, or did not answer in time, is thrown away,
 * and the next question makes a new one; one that is still connecting (a network that is slow) may go on.
 */
@Injectable()
export class ControlConnection implements OnModuleInit, OnApplicationShutdown {
  #link: Link | undefined;

  constructor(private readonly source: KitDataSource) {}

  /** Before the first question, which has a deadline. */
  async onModuleInit(): Promise<void> {
    await this.#linked().ready;
  }

  /** Outside of every transaction. @throws when there is no answer within `CONTROL_DEADLINE_MS`. */
  async query<Row>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    const link = this.#linked();
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        // A process that was busy for longer than that finds the answer waiting: look before giving up.
        setImmediate(reject, new Error('the database did not answer in time'));
      }, CONTROL_DEADLINE_MS);
    });
    try {
      const answer = link.ready.then((client) => client.query(sql, [...values]));
      answer.catch(() => undefined);
      return (await Promise.race([answer, deadline])).rows as Row[];
    } catch (error) {
      if (link.connected) this.#discard(link);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async onApplicationShutdown(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    await link?.ready.then((client) => client.end()).catch(() => undefined);
  }

  #linked(): Link {
    if (this.#link) return this.#link;
    const client = clientOutsidePool(this.source.dataSource);
    const link: Link = {
      connected: false,
      ready: client.connect().then(() => {
        link.connected = true;
        return client;
      }),
    };
    // Refused, or not connected within the time that the pool's options give: the next question tries again.
    link.ready.catch(() => {
      if (this.#link === link) this.#link = undefined;
    });
    this.#link = link;
    return link;
  }

  /** Hangs up without waiting for an answer that may never come. */
  #discard(link: Link): void {
    if (this.#link === link) this.#link = undefined;
    link.ready
      .then((client) => {
        (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
      })
      .catch(() => undefined);
  }
}
