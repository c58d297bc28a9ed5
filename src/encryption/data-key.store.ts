import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { KeyIdentity } from './wrapped-key.js';

export type DataKeyState = 'primary' | 'decrypt_only' | 'retired' | 'destroyed';

/** A row of `encryption.data_key`. */
export interface StoredDataKey extends KeyIdentity {
  readonly wrapped: Buffer;
  readonly state: DataKeyState;
}

/** What may be said of a key aloud: nothing of its material. */
export interface DataKeySummary {
  readonly keyId: string;
  readonly scope: string;
  readonly scopeId: string;
  readonly version: number;
  readonly state: DataKeyState;
  readonly createdAt: Date;
}

const COLUMNS = `key_id AS "keyId", tenant_id AS "tenantId", scope, scope_id AS "scopeId", version,
  short_id AS "shortId", kek_id AS "kekId", wrapped, state`;

/** The wrapped keys. The application may add keys and read them; it can neither change nor delete one. */
@Injectable()
export class DataKeyStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  async primaryOf(
    tenantId: string,
    scope: KeyIdentity['scope'],
    scopeId: string,
  ): Promise<StoredDataKey | undefined> {
    const rows = await this.unitOfWork.query<StoredDataKey>(
      `SELECT ${COLUMNS} FROM encryption.data_key
        WHERE tenant_id = $1 AND scope = $2 AND scope_id = $3 AND state = 'primary'`,
      [tenantId, scope, scopeId],
    );
    return rows[0];
  }

  async byShortId(tenantId: string, shortId: number): Promise<StoredDataKey | undefined> {
    const rows = await this.unitOfWork.query<StoredDataKey>(
      `SELECT ${COLUMNS} FROM encryption.data_key WHERE tenant_id = $1 AND short_id = $2`,
      [tenantId, shortId],
    );
    return rows[0];
  }

  /** A tenant's key by its own id: the primary one or one that it followed. */
  async tenantKey(tenantId: string, keyId: string): Promise<StoredDataKey | undefined> {
    const rows = await this.unitOfWork.query<StoredDataKey>(
      `SELECT ${COLUMNS} FROM encryption.data_key
        WHERE tenant_id = $1 AND scope = 'tenant' AND scope_id = $1::text AND key_id::text = $2`,
      [tenantId, keyId],
    );
    return rows[0];
  }

  /**
   * Adds a primary key unless the scope has one, and answers with the one that stands. Closes the race between
   * processes that miss the same key: the second INSERT waits for the first and then does nothing.
   * In a transaction of its own: a key that rolled back with its caller could already have sealed something.
   *
   * @returns undefined when the short id is taken by another key: draw again.
   */
  async addPrimary(key: KeyIdentity & { readonly wrapped: Buffer }): Promise<StoredDataKey | undefined> {
    const { keyId, tenantId, scope, scopeId, version, shortId, kekId, wrapped } = key;
    return this.unitOfWork.runDetached(async () => {
      await this.unitOfWork.query(
        `INSERT INTO encryption.data_key
           (key_id, tenant_id, scope, scope_id, version, short_id, kek_id, wrapped, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'primary') ON CONFLICT DO NOTHING`,
        [keyId, tenantId, scope, scopeId, version, shortId, kekId, wrapped],
      );
      return this.primaryOf(tenantId, scope, scopeId);
    });
  }
  /** Every key, in the order of scope, name and version. */
  async list(): Promise<DataKeySummary[]> {
    return this.unitOfWork.query<DataKeySummary>(
      `SELECT key_id AS "keyId", scope, scope_id AS "scopeId", version, state, created_at AS "createdAt"
         FROM encryption.data_key ORDER BY scope DESC, scope_id, version`,
    );
  }
}
