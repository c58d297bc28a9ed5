import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { AsyncResource } from 'node:async_hooks';
import { Clock } from '../../core/clock.js';
import { SecurityEvents } from '../../core/security-events.js';
import { BootError, ZeroTrustError } from '../../core/zero-trust-error.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { FieldCipher } from '../../encryption/field-cipher.js';
import { FreshnessFeed } from '../../freshness/freshness.feed.js';
import { SessionsSettings } from '../sessions.settings.js';
import { SigningKeyOpener, type OpenedSigningKey } from './signing-key.opener.js';
import { SigningKeyRotation } from './signing-key.rotation.js';
import {
  KEYS_DEADLINE_MS,
  KEYS_RELOAD_MS,
  KEYS_TRUSTED_MS,
  nextStep,
  ROTATION_LOOK_MS,
  signingKeyScheduleOf,
  type RotationStep,
  type SigningKeySchedule,
} from './signing-key.schedule.js';
import { SigningKeyStore, type StoredSigningKey } from './signing-key.store.js';
import type { PublicJwk, SigningKey, VerificationKey } from './signing-key.js';

/** However many tokens with unknown key ids arrive, they make the keys be read once in this time. */
export const KEY_READ_COOLDOWN_MS = 30_000;

/**
 * The signing keys in memory, read again twice a second, so that a change is felt on every replica within one. A key
 * counts only if its private part opens under our master key and its id is its thumbprint: a row that somebody else
 * wrote into the table proves nothing.
 */
@Injectable()
export class SigningKeys implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #logger = new Logger('Sessions');
  readonly #opener: SigningKeyOpener;
  readonly #rotation: SigningKeyRotation;
  /** Made outside of any transaction: what all wait for is not read inside of the one that happened to ask first. */
  readonly #outside = new AsyncResource('SigningKeys');
  #keys: ReadonlyMap<string, OpenedSigningKey> = new Map();
  #active: SigningKey | undefined;
  #rows: readonly StoredSigningKey[] = [];
  /** When the reading began that holds now; on the clock that nobody can set. */
  #readAt = Number.NEGATIVE_INFINITY;
  /** When it was last said that something has changed: a reading that began before tells nothing of it. */
  #changedAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;
  #seeking: Promise<void> | undefined;
  #soughtAtMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ticking: Promise<void> | undefined;
  #lookedAt = performance.now();

  constructor(
    private readonly store: SigningKeyStore,
    cipher: FieldCipher,
    unitOfWork: UnitOfWork,
    events: SecurityEvents,
    private readonly clock: Clock,
    private readonly settings: SessionsSettings,
    feed: FreshnessFeed,
  ) {
    signingKeyScheduleOf(settings);
    this.#opener = new SigningKeyOpener(cipher);
    this.#rotation = new SigningKeyRotation(store, cipher, unitOfWork, events, feed);
  }

  /** Before anything listens: a burst of first sign-ins must not wait for connections that they hold themselves. */
  async onApplicationBootstrap(): Promise<void> {
    await this.#read();
    if (this.#due().kind === 'first') {
      await this.#perform(this.#due());
      await this.reload();
    }
    if (!this.#active) {
      throw new BootError('SessionsModule', [
        'sessions.signing_key: the active key does not open, or is not what its row says: restore the row, start ' +
          'with the master key (ZERO_TRUST_MASTER_KEY) that it was made under, or, when it is lost, give it up ' +
          'with `zero-trust keys rotate --now`.',
      ]);
    }
    this.#timer = setInterval(() => {
      this.#ticking ??= this.#tick().finally(() => (this.#ticking = undefined));
    }, KEYS_RELOAD_MS);
    this.#timer.unref();
  }

  async onModuleDestroy(): Promise<void> {
    clearInterval(this.#timer);
    await this.#ticking;
  }

  /**
   * Something has changed: reads the keys now. What was read before is trusted no more from this call on, so that a key
   * that was given up verifies nothing while the reading is under way.
   */
  async reload(): Promise<void> {
    this.#changedAt = performance.now();
    this.#readAt = Number.NEGATIVE_INFINITY;
    await this.#readAnew();
  }

  /** The key that signs. @throws ZeroTrustError `temporarily-unavailable` when there is none that we know of now. */
  async active(): Promise<SigningKey> {
    if (!this.#active || !this.#isFresh()) await this.#confirm();
    if (this.#active) return this.#active;
    throw new ZeroTrustError('temporarily-unavailable', { detail: 'no active signing key can be opened' });
  }

  /**
   * The key that a token names. A key is known long before it signs, unless every other one was given up a moment ago:
   * so an unknown id makes the keys be read, at most once in `KEY_READ_COOLDOWN_MS`, and never two at a time.
   *
   * @throws ZeroTrustError `temporarily-unavailable` when what was read last is too old, and cannot be read again.
   */
  find(
    kid: string,
    nowMs = performance.now(),
  ): VerificationKey | undefined | Promise<VerificationKey | undefined> {
    if (!this.#isFresh(nowMs)) return this.#confirm().then(() => this.#keys.get(kid)?.key);
    const known = this.#keys.get(kid)?.key;
    if (known || (!this.#seeking && this.#soughtLately())) return known;
    this.#seeking ??= this.#seek();
    return this.#seeking.then(() => this.#keys.get(kid)?.key);
  }

  /** What `/.well-known/jwks.json` publishes: what is to sign, what signs, and what has signed. */
  async published(): Promise<PublicJwk[]> {
    await this.active();
    return [...this.#keys.values()].map(({ jwk }) => jwk);
  }

  /** Does what the schedule demands, unless another replica does. @returns whether it was this one. */
  async rotateIfDue(): Promise<boolean> {
    await this.#readAnew();
    const step = this.#due();
    const done = await this.#perform(step);
    if (done) await this.reload();
    return done;
  }

  async #tick(): Promise<void> {
    try {
      await this.#read();
    } catch {
      // Whoever needs a key asks again, and is told.
      return;
    }
    if (!this.#schedule().rotates || performance.now() - this.#lookedAt < ROTATION_LOOK_MS) return;
    this.#lookedAt = performance.now();
    try {
      await this.rotateIfDue();
    } catch (error) {
      this.#logger.error(
        'The signing keys could not be rotated; it is tried again.',
        error instanceof Error ? error.stack : String(error),
      );
    }
  }

  #schedule(): SigningKeySchedule {
    return signingKeyScheduleOf(this.settings);
  }

  #due(rows: readonly StoredSigningKey[] = this.#rows): RotationStep {
    return nextStep(rows, this.#schedule(), (kid) => this.#keys.has(kid));
  }

  #perform(step: RotationStep): Promise<boolean> {
    return this.#rotation.perform(step, this.#schedule().acceptanceSeconds, (rows) => this.#due(rows));
  }

  #soughtLately(): boolean {
    // A clock that was set back must not make the wait longer.
    const at = this.#soughtAtMs;
    return at !== undefined && Math.abs(this.clock.nowMs() - at) < KEY_READ_COOLDOWN_MS;
  }

  async #seek(): Promise<void> {
    // Also when it fails: a database that is down is not asked more often.
    this.#soughtAtMs = this.clock.nowMs();
    try {
      await this.#readAnew();
    } finally {
      this.#seeking = undefined;
    }
  }

  #isFresh(nowMs = performance.now()): boolean {
    return nowMs - this.#readAt < KEYS_TRUSTED_MS;
  }

  /** @throws ZeroTrustError `temporarily-unavailable` when the keys cannot be read in time. */
  async #confirm(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        // A process that was busy for longer than that finds the answer waiting: look before giving up.
        setImmediate(reject, new Error('the signing keys were not read in time'));
      }, KEYS_DEADLINE_MS);
    });
    try {
      await Promise.race([this.#readUnlessFresh(), late]);
    } catch (cause) {
      throw new ZeroTrustError('temporarily-unavailable', {
        detail: 'the signing keys cannot be read',
        cause,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** What had been committed before the call is known after it. */
  async #readAnew(): Promise<void> {
    // One that is under way may have begun before.
    await this.#reading?.catch(() => undefined);
    await this.#read();
  }

  async #readUnlessFresh(): Promise<void> {
    // It may fail because of an outage that is over.
    await this.#reading?.catch(() => undefined);
    if (!this.#isFresh()) await this.#read();
  }

  #read(): Promise<void> {
    this.#reading ??= this.#outside
      .runInAsyncScope(() => this.#readOnce())
      .finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #readOnce(): Promise<void> {
    const began = performance.now();
    const rows = await this.store.usable();
    const keys = await this.#opener.open(rows);
    const active = rows.find(({ state }) => state === 'active');
    this.#keys = keys;
    this.#active = active && keys.get(active.kid)?.key;
    this.#rows = rows;
    if (began >= this.#changedAt) this.#readAt = began;
  }
}
