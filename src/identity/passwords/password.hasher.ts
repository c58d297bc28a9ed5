import { Inject, Injectable } from '@nestjs/common';
import { createHmac, randomBytes, type KeyObject } from 'node:crypto';
import { KeyRing } from '../../encryption/key-ring.js';
import { Argon2Engine } from './argon2.engine.js';
import { HashQueue } from './hash-queue.js';
import { IDENTITY_SETTINGS, type IdentitySettings } from '../identity.options.js';
import {
  isOutdated,
  isWithinCost,
  parametersOf,
  unmatchableHash,
  type Argon2Parameters,
} from './phc-string.js';

export interface StoredPassword {
  readonly id: string;
  readonly passwordHash: string;
}

export interface Verification {
  readonly matches: boolean;
  /** The stored hash is weaker than today's parameters: make it anew while the password is at hand. */
  readonly outdated: boolean;
  /** The stored hash is none that the kit wrote, or asks for more work than the kit ever would: somebody else wrote it. */
  readonly foreign: boolean;
}

/** What a stored hash may cost at most, so that whoever can write one row cannot take the service's memory. */
const CEILING: Argon2Parameters = { memoryKib: 65_536, iterations: 10, parallelism: 4 };

/**
 * Hashes and verifies passwords: Argon2id off the event loop, a few at once, peppered. The pepper is derived from the
 * master key and the account's id, so a stolen table alone cannot be guessed at, and a hash copied into another
 * account's row fits no password. Every verification costs the same, whether or not there is an account.
 */
@Injectable()
export class PasswordHasher {
  readonly #pepper: KeyObject;
  readonly #parameters: Argon2Parameters;
  readonly #ceiling: Argon2Parameters;
  readonly #dummy: StoredPassword;
  readonly #queue: HashQueue;

  constructor(
    keyRing: KeyRing,
    private readonly engine: Argon2Engine,
    @Inject(IDENTITY_SETTINGS) settings: IdentitySettings,
  ) {
    this.#pepper = keyRing.deriveSecret('identity.password');
    this.#parameters = {
      memoryKib: settings.argonMemoryKib,
      iterations: settings.argonIterations,
      parallelism: settings.argonParallelism,
    };
    this.#ceiling = {
      memoryKib: Math.max(CEILING.memoryKib, settings.argonMemoryKib),
      iterations: CEILING.iterations,
      parallelism: CEILING.parallelism,
    };
    this.#dummy = {
      id: 'nobody',
      passwordHash: unmatchableHash(this.#parameters, randomBytes(16), randomBytes(32)),
    };
    this.#queue = new HashQueue(settings.hashConcurrency, settings.hashQueueLimit);
  }

  /** @throws ZeroTrustError `temporarily-unavailable` when too many hashes wait already. */
  hash(accountId: string, password: string): Promise<string> {
    return this.#queue.run(() => this.engine.hash(password, this.#parameters, this.#secretOf(accountId)));
  }

  /**
   * Verifies a password exactly as it was received. Without a stored one, or with one that must not be computed,
   * it verifies a dummy of equal parameters, which nothing matches (ASVS 6.3.8).
   *
   * @throws ZeroTrustError `temporarily-unavailable` when too many hashes wait already.
   */
  async verify(stored: StoredPassword | undefined, password: string): Promise<Verification> {
    const parameters = stored && parametersOf(stored.passwordHash);
    const usable = parameters !== undefined && isWithinCost(parameters, this.#ceiling);
    const { id, passwordHash } = stored && usable ? stored : this.#dummy;
    const matches = await this.#queue.run(() =>
      this.engine.verify(passwordHash, password, this.#secretOf(id)),
    );
    return {
      matches: usable && matches,
      outdated: usable && isOutdated(parameters, this.#parameters),
      foreign: stored !== undefined && !usable,
    };
  }

  #secretOf(accountId: string): Buffer {
    return createHmac('sha256', this.#pepper).update(accountId).digest();
  }
}
