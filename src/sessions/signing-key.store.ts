import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { PublicJwk, SigningAlgorithm, SigningKeyState } from './signing-key.js';

/** A row of `sessions.signing_key`. */
export interface StoredSigningKey {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly privateSealed: Buffer;
  readonly state: SigningKeyState;
}

/** The signing keys. The application adds and reads them; it can neither change nor delete one. */
@Injectable()
export class SigningKeyStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** Every key that may sign or verify. */
  async usable(): Promise<StoredSigningKey[]> {
    return this.unitOfWork.query<StoredSigningKey>(
      `SELECT kid, algorithm, private_sealed AS "privateSealed", state FROM sessions.signing_key
        WHERE state <> 'retired'`,
    );
  }

  /**
   * Adds the first active key, unless there is one. Closes the race between processes that start at once: the second
   * INSERT waits for the first on the index that allows one active key, and then does nothing.
   *
   * @returns whether this one is it.
   */
  async addFirst(key: StoredSigningKey & { readonly publicJwk: PublicJwk }): Promise<boolean> {
    const added = await this.unitOfWork.query(
      `INSERT INTO sessions.signing_key (kid, algorithm, public_jwk, private_sealed, state, activated_at)
       VALUES ($1, $2, $3, $4, 'active', now()) ON CONFLICT DO NOTHING RETURNING kid`,
      [key.kid, key.algorithm, JSON.stringify(key.publicJwk), key.privateSealed],
    );
    return added.length === 1;
  }
}
