import { Injectable } from '@nestjs/common';
import type { Cell } from '../../encryption/cell.js';
import { FieldCipher } from '../../encryption/field-cipher.js';
import { UnitOfWork } from '../../database/unit-of-work.js';

/** How long an enrolment waits for its first code. */
const PENDING_SECONDS = 600;

export interface TotpFactor {
  readonly id: string;
  /** 160 bits, opened. */
  readonly secret: Buffer;
}

interface Row {
  readonly id: string;
  readonly secret: Buffer;
}

/** `identity.totp`: secrets sealed for the row that they stand in. Call it while the account is held. */
@Injectable()
export class TotpStore {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly cipher: FieldCipher,
  ) {}

  /** Adds a factor that does not count yet, in the place of one that was never confirmed. */
  async addPending(accountId: string, { id, secret }: TotpFactor): Promise<void> {
    const sealed = await this.cipher.seal(secretOf(id), secret);
    await this.unitOfWork.query('DELETE FROM identity.totp WHERE account_id = $1 AND confirmed_at IS NULL', [
      accountId,
    ]);
    await this.unitOfWork.query('INSERT INTO identity.totp (id, account_id, secret) VALUES ($1, $2, $3)', [
      id,
      accountId,
      sealed,
    ]);
  }

  pendingOf(accountId: string): Promise<TotpFactor | undefined> {
    return this.#open(
      `SELECT id, secret FROM identity.totp WHERE account_id = $1 AND confirmed_at IS NULL
        AND created_at > now() - make_interval(secs => $2)`,
      [accountId, PENDING_SECONDS],
    );
  }

  confirmedOf(accountId: string): Promise<TotpFactor | undefined> {
    return this.#open(
      'SELECT id, secret FROM identity.totp WHERE account_id = $1 AND confirmed_at IS NOT NULL',
      [accountId],
    );
  }

  async isConfirmed(accountId: string): Promise<boolean> {
    const rows = await this.unitOfWork.query(
      'SELECT FROM identity.totp WHERE account_id = $1 AND confirmed_at IS NOT NULL',
      [accountId],
    );
    return rows.length === 1;
  }

  /** Makes a pending factor the one that counts. The step of its first code is used with that. */
  async confirm(id: string, step: number): Promise<void> {
    await this.unitOfWork.query(
      'UPDATE identity.totp SET confirmed_at = now(), last_step = $2 WHERE id = $1 AND confirmed_at IS NULL',
      [id, step],
    );
  }

  /**
   * Uses a step up, with all before it. Of any number that present its code at once, on whatever replica, one is told
   * so: the row is raised in the statement that asks (RFC 6238 5.2, ASVS 6.5.1).
   */
  async useStep(id: string, step: number): Promise<boolean> {
    const rows = await this.unitOfWork.query(
      `UPDATE identity.totp SET last_step = $2
        WHERE id = $1 AND confirmed_at IS NOT NULL AND last_step < $2 RETURNING id`,
      [id, step],
    );
    return rows.length === 1;
  }

  /** Removes the factor that counts. @returns its id, or undefined when there is none. */
  async removeConfirmed(accountId: string): Promise<string | undefined> {
    const [removed] = await this.unitOfWork.query<{ id: string }>(
      'DELETE FROM identity.totp WHERE account_id = $1 AND confirmed_at IS NOT NULL RETURNING id',
      [accountId],
    );
    return removed?.id;
  }

  async #open(sql: string, parameters: readonly unknown[]): Promise<TotpFactor | undefined> {
    const [row] = await this.unitOfWork.query<Row>(sql, parameters);
    return row && { id: row.id, secret: await this.cipher.open(secretOf(row.id), row.secret) };
  }
}

const secretOf = (row: string): Cell => ({ table: 'identity.totp', column: 'secret', row });
