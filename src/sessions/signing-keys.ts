import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock } from '../core/clock.js';
import { SecurityEvents } from '../core/security-events.js';
import { BootError, ZeroTrustError } from '../core/zero-trust-error.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { IntegrityError } from '../encryption/encryption.errors.js';
import { FieldCipher } from '../encryption/field-cipher.js';
import {
  exportPrivateKey,
  importSigningKey,
  makeSigningKey,
  publicJwkOf,
  type PublicJwk,
  type SigningKey,
  type VerificationKey,
} from './signing-key.js';
import { SigningKeyStore, type StoredSigningKey } from './signing-key.store.js';

/** However many tokens with unknown key ids arrive, the database is asked for new keys once in this time. */
export const KEY_READ_COOLDOWN_MS = 30_000;

/**
 * The signing keys in memory. The first one is made when the application starts and there is none. A key counts only
 * if its private part opens under our master key and its id is its thumbprint: a row that somebody else wrote into
 * the table proves nothing.
 */
@Injectable()
export class SigningKeys implements OnApplicationBootstrap {
  readonly #logger = new Logger('Sessions');
  #keys: ReadonlyMap<string, SigningKey> = new Map();
  #active: SigningKey | undefined;
  #readAtMs: number | undefined;
  #reading: Promise<void> | undefined;

  constructor(
    private readonly store: SigningKeyStore,
    private readonly cipher: FieldCipher,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
  ) {}

  /** Before anything listens: a burst of first sign-ins must not wait for connections that they hold themselves. */
  async onApplicationBootstrap(): Promise<void> {
    await this.#read();
    if (this.#active) return;
    throw new BootError('SessionsModule', [
      'sessions.signing_key: the active key does not open, or is not what its row says: restore the row, or start ' +
        'with the master key (ZERO_TRUST_MASTER_KEY) that it was made under.',
    ]);
  }

  /** The key that signs. @throws ZeroTrustError `temporarily-unavailable` when there is none that opens. */
  async active(): Promise<SigningKey> {
    if (!this.#active) await this.#read();
    if (this.#active) return this.#active;
    throw new ZeroTrustError('temporarily-unavailable', { detail: 'no active signing key can be opened' });
  }

  /**
   * The key that a token names. One that another replica has made meanwhile is found too, but an unknown id costs a
   * read at most once in `KEY_READ_COOLDOWN_MS`, and never two at a time.
   */
  find(kid: string): VerificationKey | undefined | Promise<VerificationKey | undefined> {
    const known = this.#keys.get(kid);
    if (known || (!this.#reading && this.#isCool())) return known;
    return this.#read().then(() => this.#keys.get(kid));
  }

  /** What `/.well-known/jwks.json` publishes. */
  async published(): Promise<PublicJwk[]> {
    await this.active();
    return Promise.all([...this.#keys.values()].map((key) => publicJwkOf(key)));
  }

  #isCool(): boolean {
    // A clock that was set back must not make the wait longer.
    return (
      this.#readAtMs !== undefined && Math.abs(this.clock.nowMs() - this.#readAtMs) < KEY_READ_COOLDOWN_MS
    );
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readOnce().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #readOnce(): Promise<void> {
    // Also when it fails: a database that is down is not asked more often.
    if (this.#keys.size > 0) this.#readAtMs = this.clock.nowMs();
    let stored = await this.store.usable();
    if (!stored.some(({ state }) => state === 'active')) {
      await this.#makeFirst();
      stored = await this.store.usable();
    }
    const opened = new Map<string, SigningKey>();
    let active: SigningKey | undefined;
    for (const row of stored) {
      const key = this.#keys.get(row.kid) ?? (await this.#open(row));
      if (!key) continue;
      opened.set(key.kid, key);
      if (row.state === 'active') active = key;
    }
    this.#keys = opened;
    this.#active = active;
    this.#readAtMs = this.clock.nowMs();
  }

  /** In a transaction of its own: a key that rolled back with its caller could have signed already. */
  async #makeFirst(): Promise<void> {
    const key = await makeSigningKey();
    const publicJwk = await publicJwkOf(key);
    const privateSealed = await this.cipher.seal(cellOf(key.kid), exportPrivateKey(key));
    await this.unitOfWork.runDetached(async () => {
      const { kid, algorithm } = key;
      if (!(await this.store.addFirst({ kid, algorithm, publicJwk, privateSealed, state: 'active' }))) return;
      await this.events.publish({
        action: 'key.created',
        outcome: 'success',
        delivery: 'same-transaction',
        target: { type: 'signing-key', id: kid },
      });
    });
  }

  /** One bad row must not take the good ones down with it. The cipher has published what does not open. */
  async #open({ kid, algorithm, privateSealed }: StoredSigningKey): Promise<SigningKey | undefined> {
    try {
      const key = await importSigningKey(await this.cipher.open(cellOf(kid), privateSealed), kid, algorithm);
      if (!key) this.#logger.error('A signing key is not what its row says, and is not used.');
      return key;
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      this.#logger.error('A signing key does not open under the master key, and is not used.');
      return undefined;
    }
  }
}

function cellOf(kid: string): { table: string; column: string; row: string } {
  return { table: 'sessions.signing_key', column: 'private_sealed', row: kid };
}
