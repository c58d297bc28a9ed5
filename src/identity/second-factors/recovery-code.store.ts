import { Injectable } from '@nestjs/common';
import { createHmac, type KeyObject } from 'node:crypto';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { KeyRing } from '../../encryption/key-ring.js';
import { makeRecoveryCode, parseRecoveryCode, RECOVERY_CODES } from './recovery-code.js';

/** `identity.recovery_code`: one set an account, as hashes under a key of the application. */
@Injectable()
export class RecoveryCodeStore {
  readonly #key: KeyObject;

  constructor(
    private readonly unitOfWork: UnitOfWork,
    keyRing: KeyRing,
  ) {
    this.#key = keyRing.deriveSecret('identity.recovery-code');
  }

  /** Makes a new set in the place of the old one. The only time that anybody sees it. Call it while the account is held. */
  async renew(accountId: string): Promise<readonly string[]> {
    const codes = Array.from({ length: RECOVERY_CODES }, makeRecoveryCode);
    await this.removeAllOf(accountId);
    await this.unitOfWork.query(
      'INSERT INTO identity.recovery_code (account_id, code_hash) SELECT $1, unnest($2::bytea[])',
      [accountId, codes.map((code) => this.#hash(accountId, parseRecoveryCode(code) ?? code))],
    );
    return codes;
  }

  /**
   * Uses a code up. Of any number that present it at once, on whatever replica, one is told so.
   *
   * @returns how many are left, or undefined when it is not one of them any more.
   */
  async use(accountId: string, typed: string): Promise<number | undefined> {
    const code = parseRecoveryCode(typed);
    if (code === undefined) return undefined;
    const used = await this.unitOfWork.query(
      `UPDATE identity.recovery_code SET used_at = now()
        WHERE account_id = $1 AND code_hash = $2 AND used_at IS NULL RETURNING account_id`,
      [accountId, this.#hash(accountId, code)],
    );
    if (used.length !== 1) return undefined;
    const [left] = await this.unitOfWork.query<{ count: number }>(
      'SELECT count(*)::int AS count FROM identity.recovery_code WHERE account_id = $1 AND used_at IS NULL',
      [accountId],
    );
    return left?.count ?? 0;
  }

  async removeAllOf(accountId: string): Promise<void> {
    await this.unitOfWork.query('DELETE FROM identity.recovery_code WHERE account_id = $1', [accountId]);
  }

  #hash(accountId: string, code: string): Buffer {
    return createHmac('sha256', this.#key).update(`${accountId}|${code}`).digest();
  }
}
