import { Logger } from '@nestjs/common';
import { IntegrityError } from '../../encryption/encryption.errors.js';
import type { FieldCipher } from '../../encryption/field-cipher.js';
import type { StoredSigningKey } from './signing-key.store.js';
import { importSigningKey, publicJwkOf, type PublicJwk, type SigningKey } from './signing-key.js';

export interface OpenedSigningKey {
  readonly key: SigningKey;
  readonly jwk: PublicJwk;
}

/** Where a private part is sealed: moved to another row it does not open. */
export function cellOf(kid: string): { table: string; column: string; row: string } {
  return { table: 'sessions.signing_key', column: 'private_sealed', row: kid };
}

/** Opens rows, each one once, whether it opens or not: they are read again twice a second. */
export class SigningKeyOpener {
  readonly #logger = new Logger('Sessions');
  #opened: ReadonlyMap<string, OpenedSigningKey> = new Map();
  #closed: ReadonlyMap<string, Buffer> = new Map();

  constructor(private readonly cipher: FieldCipher) {}

  /** @returns the keys of those rows that open, by their ids; what is not among the rows is forgotten. */
  async open(rows: readonly StoredSigningKey[]): Promise<ReadonlyMap<string, OpenedSigningKey>> {
    const opened = new Map<string, OpenedSigningKey>();
    const closed = new Map<string, Buffer>();
    for (const row of rows) {
      const key = this.#opened.get(row.kid) ?? (await this.#openOnce(row));
      if (key) opened.set(row.kid, key);
      else closed.set(row.kid, row.privateSealed);
    }
    this.#opened = opened;
    this.#closed = closed;
    return opened;
  }

  /** One bad row must not take the good ones down with it. The cipher has published what does not open. */
  async #openOnce(row: StoredSigningKey): Promise<OpenedSigningKey | undefined> {
    const { kid, algorithm, privateSealed } = row;
    if (this.#closed.get(kid)?.equals(privateSealed)) return undefined;
    try {
      const key = await importSigningKey(await this.cipher.open(cellOf(kid), privateSealed), kid, algorithm);
      if (key) return { key, jwk: await publicJwkOf(key) };
      this.#logger.error('A signing key is not what its row says, and is not used.');
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      this.#logger.error('A signing key does not open under the master key, and is not used.');
    }
    return undefined;
  }
}
