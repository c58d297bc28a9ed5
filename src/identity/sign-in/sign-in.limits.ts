import { Inject, Injectable } from '@nestjs/common';
import { createHmac, type KeyObject } from 'node:crypto';
import { RequestContext } from '../../core/request-context.js';
import { SecurityEvents } from '../../core/security-events.js';
import { KeyRing } from '../../encryption/key-ring.js';
import { rate, type Rate, type RateOutcome } from '../../throttler/gcra.js';
import { SourceKeys } from '../../throttler/source.key.js';
import { ThrottlingService } from '../../throttler/throttling.service.js';
import { tooManyRequests } from '../../throttler/too-many-requests.error.js';
import { IDENTITY_SETTINGS, type IdentitySettings } from '../identity.options.js';
import { KnownSourceStore } from './known-source.store.js';

/** An IPv6 customer is given at least a /64. */
const IPV6_PREFIX_BITS = 64;

/**
 * How often somebody may try to sign in to one account, known or not: from one source, then from all of them. In this
 * order, so that one source cannot use up the limit of all; and a source from which the owner came lately is held to
 * the first limit alone, so that many cannot shut the owner out (ASVS 6.1.1, 6.3.1).
 */
@Injectable()
export class SignInLimits {
  readonly #key: KeyObject;
  readonly #perSource: Rate;
  readonly #perAccount: Rate;
  readonly #sources = new SourceKeys(IPV6_PREFIX_BITS);

  constructor(
    private readonly throttling: ThrottlingService,
    private readonly knownSources: KnownSourceStore,
    private readonly events: SecurityEvents,
    keyRing: KeyRing,
    @Inject(IDENTITY_SETTINGS) settings: IdentitySettings,
  ) {
    this.#key = keyRing.deriveSecret('identity.address');
    this.#perSource = rate(settings.sourceAttempts, settings.sourceAttemptsWindowSeconds);
    this.#perAccount = rate(settings.accountAttempts, settings.accountAttemptsWindowSeconds);
  }

  /** Counts one attempt. @throws ZeroTrustError `too-many-requests`, the same for an account that does not exist. */
  async admit(canonicalEmail: string): Promise<void> {
    const address = this.pseudonymOf(canonicalEmail);
    const source = this.source();
    if (source !== undefined) {
      const key = `sign-in:source:${address}|${source}`;
      const outcome = await this.throttling.consume(key, this.#perSource);
      if (!outcome.allowed) await this.#refuse(address, this.#perSource, outcome);
    }
    const outcome = await this.throttling.consume(`sign-in:account:${address}`, this.#perAccount);
    if (outcome.allowed) return;
    if (source !== undefined && (await this.knownSources.isKnown(canonicalEmail, source))) return;
    await this.#refuse(address, this.#perAccount, outcome);
  }

  /** Where the request in hand comes from, as the limits tell sources apart; undefined when nobody knows. */
  source(): string | undefined {
    const address = RequestContext.current()?.sourceAddress;
    return address === undefined ? undefined : this.#sources.of(address);
  }

  /** An address as limits and events may know it: the same each time, and nobody without the key can tell whose it is. */
  pseudonymOf(canonicalEmail: string): string {
    return createHmac('sha256', this.#key).update(canonicalEmail).digest('hex').slice(0, 32);
  }

  async #refuse(address: string, limit: Rate, outcome: RateOutcome): Promise<never> {
    const refusal = tooManyRequests('account', limit, outcome);
    await this.events.publish({
      action: 'throttle.refused',
      outcome: 'failure',
      delivery: 'detached',
      target: { type: 'address', id: address },
      reason: refusal.detail,
      detail: { code: refusal.code },
    });
    throw refusal;
  }
}
