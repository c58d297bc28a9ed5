import type { SecurityEvents } from '../../core/security-events.js';
import type { UnitOfWork } from '../../database/unit-of-work.js';
import type { FieldCipher } from '../../encryption/field-cipher.js';
import type { FreshnessFeed } from '../../freshness/freshness.feed.js';
import { cellOf } from './signing-key.opener.js';
import { isSameStep, type RotationStep } from './signing-key.schedule.js';
import type { NewSigningKey, SigningKeyStore, StoredSigningKey } from './signing-key.store.js';
import { exportPrivateKey, makeSigningKey, publicJwkOf, type SigningAlgorithm } from './signing-key.js';

/** What the command line is told. */
export interface Replaced {
  readonly made: string;
  readonly refused: readonly string[];
}

/**
 * Changes the signing keys: each change in one transaction of its own, under one lock, with its events and its entry in the feed. A key is made
 * before the lock is taken, since that may take seconds; whether the change is still due is asked once more under it.
 */
export class SigningKeyRotation {
  constructor(
    private readonly store: SigningKeyStore,
    private readonly cipher: FieldCipher,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: SecurityEvents,
    private readonly feed: Pick<FreshnessFeed, 'append'>,
  ) {}

  /**
   * Does what is due, unless another replica has.
   *
   * @param again What is due by these keys: asked under the lock.
   * @returns whether it was this call.
   */
  async perform(
    step: RotationStep,
    acceptanceSeconds: number,
    again: (keys: readonly StoredSigningKey[]) => RotationStep,
  ): Promise<boolean> {
    if (step.kind === 'none') return false;
    const made = 'algorithm' in step ? await this.#make(step.algorithm) : undefined;
    return this.#locked(async () => {
      if (!isSameStep(step, again(await this.store.usableUnderLock()))) return false;
      switch (step.kind) {
        case 'first':
          return made !== undefined && this.#add(made, 'active', 'there was no signing key');
        case 'publish':
          return made !== undefined && this.#add(made, 'next', 'the signing key is due to be followed');
        case 'activate':
          await this.store.retire(step.replaces, acceptanceSeconds);
          await this.store.activate(step.kid);
          await this.#tell('key.retired', step.replaces, 'another signing key follows');
          await this.#tell('key.activated', step.kid, 'it has been published long enough');
          return true;
        case 'discard':
          await this.store.retire(step.kid, 0);
          await this.#tell('key.retired', step.kid, 'it does not open');
          return true;
      }
    });
  }

  /** Publishes a key to follow the active one, unless there is one. @returns its id. */
  async publishNext(algorithm: SigningAlgorithm, actor: string): Promise<string | undefined> {
    const made = await this.#make(algorithm);
    const added = await this.#locked(() => this.#add(made, 'next', 'asked for by an operator', actor));
    return added ? made.kid : undefined;
  }

  /** A key has leaked: gives up every key at once, and signs with a new one. */
  async replaceAll(algorithm: SigningAlgorithm, actor: string): Promise<Replaced> {
    const made = await this.#make(algorithm);
    return this.#locked(async () => {
      const refused = await this.store.refuseAll();
      for (const kid of refused) await this.#tell('key.revoked', kid, 'given up by an operator', actor);
      await this.#add(made, 'active', 'every earlier signing key was given up', actor);
      return { made: made.kid, refused };
    });
  }

  /** Detached: a key that rolled back with its caller could have signed already. */
  #locked<T>(change: () => Promise<T>): Promise<T> {
    return this.unitOfWork.runDetached(async () => {
      await this.store.lock();
      return change();
    });
  }

  async #make(algorithm: SigningAlgorithm): Promise<NewSigningKey> {
    const key = await makeSigningKey(algorithm);
    const publicJwk = await publicJwkOf(key);
    const privateSealed = await this.cipher.seal(cellOf(key.kid), exportPrivateKey(key));
    return { kid: key.kid, algorithm, publicJwk, privateSealed };
  }

  async #add(key: NewSigningKey, state: 'next' | 'active', reason: string, actor?: string): Promise<boolean> {
    const added = await this.store.add(key, state);
    if (added) await this.#tell('key.created', key.kid, reason, actor);
    return added;
  }

  async #tell(action: `key.${string}`, kid: string, reason: string, actor?: string): Promise<void> {
    const target = { type: 'signing-key', id: kid };
    const event = { action, outcome: 'success', delivery: 'same-transaction', target, reason } as const;
    await this.events.publish(actor === undefined ? event : { ...event, actor });
    await this.feed.append({ kind: 'keys', id: kid });
  }
}
