import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../database/unit-of-work.js';

export interface PendingEntry {
  /** UUIDv7: its 74 random bits stand in the entry too, so that no proof can be used to guess its neighbour. */
  readonly id: string;
  readonly entry: Buffer;
}

/** The only log so far. */
export const LOG_ID = 1;

const APPEND = `INSERT INTO audit.pending (id, log_id, entry)
SELECT id, ${String(LOG_ID)}, entry FROM unnest($1::uuid[], $2::bytea[]) AS appended (id, entry)`;

/** Appends to `audit.pending`. The application's login can do nothing else with that table. */
@Injectable()
export class PendingStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /**
   * Appends in the ambient transaction: the entry and the change that it records commit together or not at all.
   *
   * @throws TypeError outside of a unit of work: there is no change that it could belong to.
   */
  async appendWithChange(pending: PendingEntry): Promise<void> {
    if (!this.unitOfWork.active) {
      throw new TypeError(
        'A security event with delivery "same-transaction" needs UnitOfWork.run(…) around the change and the publish.',
      );
    }
    await this.#append([pending]);
  }

  /** Appends all or none in a transaction of its own, which stays when a surrounding one rolls back. */
  async appendDetached(pending: readonly PendingEntry[]): Promise<void> {
    // Outside of a unit a single statement is a transaction of its own, two round trips cheaper.
    if (!this.unitOfWork.active) await this.#append(pending);
    else await this.unitOfWork.runDetached(() => this.#append(pending));
  }

  async #append(pending: readonly PendingEntry[]): Promise<void> {
    await this.unitOfWork.query(APPEND, [pending.map(({ id }) => id), pending.map(({ entry }) => entry)]);
  }
}
