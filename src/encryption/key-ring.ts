import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { randomInt, type KeyObject } from 'node:crypto';
import { Clock } from '../core/clock.js';
import { uuidV7 } from '../core/uuid-v7.js';
import { BootError } from '../core/zero-trust-error.js';
import { DEFAULT_TENANT, assertTable } from './cell.js';
import { DataKeyCache } from './data-key.cache.js';
import { DataKeyStore, type StoredDataKey } from './data-key.store.js';
import { IntegrityError } from './encryption.errors.js';
import { ENCRYPTION_OPTIONS, cacheLimitsOf, type EncryptionOptions } from './encryption.options.js';
import type { EnvelopeKey } from './envelope.js';
import { deriveKey, masterKeyId } from './key-derivation.js';
import { parseMasterKey } from './master-key.js';
import { makeWrappedKey, openWrappedKey, type KeyIdentity } from './wrapped-key.js';
import { XaesKey } from './xaes.js';

/** An opened key. Its bytes are inside a KeyObject and never leave it. */
export interface DataKey extends EnvelopeKey {
  readonly keyId: string;
  readonly scope: string;
  readonly scopeId: string;
}

/** Who wraps: the root, derived from the master key, wraps the tenant's key; that one wraps the keys of tables. */
interface Wrapper {
  readonly id: string;
  readonly xaes: XaesKey;
}

const PURPOSE = /^[a-z0-9]+(?:[-./:][a-z0-9]+)*$/;

/**
 * Every key of the application, from one master key: wrapped data keys in `encryption.data_key`, made on first
 * use, and secrets derived by purpose, which are stored nowhere.
 */
@Injectable()
export class KeyRing implements OnModuleInit {
  readonly #master: KeyObject;
  readonly #root: Wrapper;
  readonly #cache: DataKeyCache<DataKey>;

  constructor(
    @Inject(ENCRYPTION_OPTIONS) options: EncryptionOptions,
    private readonly store: DataKeyStore,
    private readonly clock: Clock,
  ) {
    this.#cache = new DataKeyCache(cacheLimitsOf(options), clock);
    this.#master = parseMasterKey(options.masterKey);
    this.#root = {
      id: masterKeyId(this.#master),
      xaes: new XaesKey(deriveKey(this.#master, 'kek', '')),
    };
  }

  /** @throws BootError when the master key is not the one that this database's keys were made under. */
  async onModuleInit(): Promise<void> {
    try {
      await this.#tenantKey();
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      throw new BootError('EncryptionModule', [
        'masterKey (ZERO_TRUST_MASTER_KEY): the master key does not open the keys of this database ' +
          `(${error.detail}): start with the one that they were made under, or restore encryption.data_key.`,
      ]);
    }
  }

  /**
   * A secret of 32 bytes for one purpose (an HMAC key, a pepper): the same on every replica and after every
   * restart, HKDF-SHA-256 of the master key, unrelated to the secret of any other purpose.
   *
   * @throws TypeError when the purpose is not lower-case words joined by `-`, `.`, `/` or `:`.
   */
  deriveSecret(purpose: string): KeyObject {
    if (!PURPOSE.test(purpose)) {
      throw new TypeError(
        'KeyRing.deriveSecret: name the purpose in lower-case words, e.g. "sessions/csrf".',
      );
    }
    return deriveKey(this.#master, 'secret', purpose);
  }

  /** The primary key of a table. @throws IntegrityError when it does not open. */
  async sealingKey(table: string): Promise<DataKey> {
    assertTable(table);
    return this.#primary('table', table, () => this.#tenantKey());
  }

  /** The key of a table that an envelope names. @throws IntegrityError when there is none that may open it. */
  async openingKey(table: string, shortId: number): Promise<DataKey> {
    const key = await this.#cache.get(`short:${shortId}`, async () => {
      const stored = await this.store.byShortId(DEFAULT_TENANT, shortId);
      if (!stored) throw new IntegrityError('the data key is unknown');
      return this.#open(stored);
    });
    if (key.scope !== 'table' || key.scopeId !== table) {
      throw new IntegrityError('the data key belongs to another table');
    }
    return key;
  }

  async #tenantKey(): Promise<Wrapper> {
    const key = await this.#primary('tenant', DEFAULT_TENANT, () => Promise.resolve(this.#root));
    return { id: key.keyId, xaes: key.xaes };
  }

  async #primary(
    scope: KeyIdentity['scope'],
    scopeId: string,
    wrapper: () => Promise<Wrapper>,
  ): Promise<DataKey> {
    return this.#cache.get(`primary:${scope}:${scopeId}`, async () => {
      const stored = await this.store.primaryOf(DEFAULT_TENANT, scope, scopeId);
      return this.#open(stored ?? (await this.#make(scope, scopeId, await wrapper())));
    });
  }

  async #make(scope: KeyIdentity['scope'], scopeId: string, wrapper: Wrapper): Promise<StoredDataKey> {
    // 2^31 short ids: two keys of one tenant draw the same one so rarely that a few tries always do.
    for (let attempt = 0; attempt < 3; attempt++) {
      const identity: KeyIdentity = {
        keyId: uuidV7(this.clock.nowMs()),
        tenantId: DEFAULT_TENANT,
        scope,
        scopeId,
        version: 1,
        shortId: randomInt(1, 2 ** 31),
        kekId: wrapper.id,
      };
      const standing = await this.store.addPrimary({
        ...identity,
        wrapped: makeWrappedKey(wrapper.xaes, identity),
      });
      if (standing) return standing;
    }
    // Keys of this scope exist and none of them is primary: somebody took it away by hand. A silent new one would hide it.
    throw new IntegrityError('no primary data key could be made');
  }

  async #open(stored: StoredDataKey): Promise<DataKey> {
    if (stored.state !== 'primary' && stored.state !== 'decrypt_only') {
      throw new IntegrityError(`the data key is ${stored.state}`);
    }
    const wrapper = stored.scope === 'tenant' ? this.#root : await this.#wrapperOf(stored);
    if (stored.kekId !== wrapper.id) throw new IntegrityError('the data key was wrapped under another key');
    const xaes = openWrappedKey(wrapper.xaes, stored, stored.wrapped);
    if (!xaes) throw new IntegrityError('the wrapped data key does not open');
    const { keyId, scope, scopeId, shortId } = stored;
    return { keyId, scope, scopeId, shortId, xaes };
  }

  /** The tenant's key under which a table's key was wrapped: not always today's primary. */
  async #wrapperOf({ kekId }: StoredDataKey): Promise<Wrapper> {
    const key = await this.#cache.get(`id:${kekId}`, async () => {
      const stored = await this.store.tenantKey(DEFAULT_TENANT, kekId);
      if (!stored) throw new IntegrityError('the key above the data key is unknown');
      return this.#open(stored);
    });
    return { id: key.keyId, xaes: key.xaes };
  }
}
