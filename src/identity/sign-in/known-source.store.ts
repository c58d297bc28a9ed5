import { Injectable } from '@nestjs/common';
import { createHmac, type KeyObject } from 'node:crypto';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { KeyRing } from '../../encryption/key-ring.js';

/** How long a source stays known after the last sign-in from it. */
const KNOWN_DAYS = 90;
/** How many sources of one account stay known: each is a place to guess from, at the limit per source. */
const MAX_SOURCES = 20;

/** From where accounts signed in lately. Addresses are kept as hashes under a key of the application, one an account. */
@Injectable()
export class KnownSourceStore {
  readonly #key: KeyObject;

  constructor(
    private readonly unitOfWork: UnitOfWork,
    keyRing: KeyRing,
  ) {
    this.#key = keyRing.deriveSecret('identity.known-source');
  }

  async isKnown(canonicalEmail: string, source: string): Promise<boolean> {
    const [account] = await this.unitOfWork.query<{ id: string }>(
      'SELECT id FROM identity.account WHERE canonical_email = $1',
      [canonicalEmail],
    );
    // An unknown account asks the same question, so that the answer takes as long.
    return this.isKnownTo(account?.id ?? '00000000-0000-0000-0000-000000000000', source);
  }

  async isKnownTo(accountId: string, source: string): Promise<boolean> {
    const rows = await this.unitOfWork.query(
      `SELECT FROM identity.known_source WHERE account_id = $1 AND source = $2
       AND last_seen_at > now() - make_interval(days => $3)`,
      [accountId, this.#hash(accountId, source), KNOWN_DAYS],
    );
    return rows.length === 1;
  }

  /** Remembers a source, and forgets those that are too old or too many. Belongs into the transaction of the sign-in. */
  async remember(accountId: string, source: string): Promise<void> {
    await this.unitOfWork.query(
      `INSERT INTO identity.known_source (account_id, source) VALUES ($1, $2)
       ON CONFLICT (account_id, source) DO UPDATE SET last_seen_at = now()`,
      [accountId, this.#hash(accountId, source)],
    );
    await this.unitOfWork.query(
      `DELETE FROM identity.known_source WHERE account_id = $1 AND (
         last_seen_at <= now() - make_interval(days => $2) OR source NOT IN (
           SELECT source FROM identity.known_source WHERE account_id = $1
           ORDER BY last_seen_at DESC, source LIMIT $3))`,
      [accountId, KNOWN_DAYS, MAX_SOURCES],
    );
  }

  #hash(accountId: string, source: string): Buffer {
    return createHmac('sha256', this.#key).update(`${accountId}|${source}`).digest();
  }
}
