import { Injectable } from '@nestjs/common';
import { KitDataSource } from './data-source.js';

/** Whether the database answers, for readiness. Asks through the pool, since that is what requests depend on. */
@Injectable()
export class DatabaseProbe {
  #running: Promise<boolean> | undefined;

  constructor(private readonly source: KitDataSource) {}

  /**
   * Never throws, and never takes longer than the deadline. While one question is still unanswered no second one is
   * asked, so a database that hangs costs one connection, however often somebody looks.
   *
   * @param deadlineMs milliseconds
   * @default 250
   */
  async check(deadlineMs = 250): Promise<boolean> {
    this.#running ??= this.#ask().finally(() => {
      this.#running = undefined;
    });
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, deadlineMs, false);
    });
    try {
      return await Promise.race([this.#running, deadline]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #ask(): Promise<boolean> {
    try {
      await this.source.dataSource.query('SELECT 1');
      return true;
    } catch {
      return false;
    }
  }
}
