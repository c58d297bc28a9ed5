import { Injectable } from '@nestjs/common';
import { createHmac, randomBytes, type KeyObject } from 'node:crypto';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { KeyRing } from '../../encryption/key-ring.js';
import type { SessionDelivery } from '../../sessions/session.js';

/** How long somebody may take to look at their telephone. */
const CHALLENGE_SECONDS = 300;
const ATTEMPTS = 5;
/** Forgotten with each new one, at most: so that what is over does not pile up, and no sign-in waits for it. */
const SWEPT_AT_ONCE = 100;

/**
 * `identity.sign_in_challenge`: sign-ins that wait for their second factor. A challenge is a random text that only
 * whoever gave the password has; the table knows its keyed hash.
 */
@Injectable()
export class SignInChallengeStore {
  readonly #key: KeyObject;

  constructor(
    private readonly unitOfWork: UnitOfWork,
    keyRing: KeyRing,
  ) {
    this.#key = keyRing.deriveSecret('identity.sign-in-challenge');
  }

  /** Call it while the account is held, so that nothing that ends challenges can miss this one. @returns its id. */
  async open(accountId: string, delivery: SessionDelivery): Promise<string> {
    const challengeId = randomBytes(32).toString('base64url');
    await this.unitOfWork.query(
      `DELETE FROM identity.sign_in_challenge WHERE token_hash IN (
         SELECT token_hash FROM identity.sign_in_challenge WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED)`,
      [SWEPT_AT_ONCE],
    );
    await this.unitOfWork.query(
      `INSERT INTO identity.sign_in_challenge (token_hash, account_id, delivery, expires_at, attempts_left)
       VALUES ($1, $2, $3, now() + make_interval(secs => $4), $5)`,
      [this.#hash(challengeId), accountId, delivery, CHALLENGE_SECONDS, ATTEMPTS],
    );
    return challengeId;
  }

  /** Whose sign-in it is; undefined when nothing can answer it any more. */
  async accountOf(challengeId: string): Promise<string | undefined> {
    const [row] = await this.unitOfWork.query<{ accountId: string }>(
      `SELECT account_id AS "accountId" FROM identity.sign_in_challenge
        WHERE token_hash = $1 AND attempts_left > 0 AND expires_at > now()`,
      [this.#hash(challengeId)],
    );
    return row?.accountId;
  }

  /**
   * Takes one attempt, in the statement that asks whether one is left: parallel guesses get as many as there are.
   *
   * @returns how the session will be handed over; undefined when no attempt was left.
   */
  async attempt(challengeId: string): Promise<SessionDelivery | undefined> {
    const [row] = await this.unitOfWork.query<{ delivery: SessionDelivery }>(
      `UPDATE identity.sign_in_challenge SET attempts_left = attempts_left - 1
        WHERE token_hash = $1 AND attempts_left > 0 AND expires_at > now() RETURNING delivery`,
      [this.#hash(challengeId)],
    );
    return row?.delivery;
  }

  async close(challengeId: string): Promise<void> {
    await this.unitOfWork.query('DELETE FROM identity.sign_in_challenge WHERE token_hash = $1', [
      this.#hash(challengeId),
    ]);
  }

  /** Ends every sign-in of an account that is under way. Belongs into the transaction that changes its proof. */
  async closeAllOf(accountId: string): Promise<void> {
    await this.unitOfWork.query('DELETE FROM identity.sign_in_challenge WHERE account_id = $1', [accountId]);
  }

  #hash(challengeId: string): Buffer {
    return createHmac('sha256', this.#key).update(challengeId).digest();
  }
}
