import { Injectable } from '@nestjs/common';
import { SecurityEvents } from '../../core/security-events.js';
import { rate } from '../../throttler/gcra.js';
import { ThrottlingService } from '../../throttler/throttling.service.js';
import { tooManyRequests } from '../../throttler/too-many-requests.error.js';
import { KnownSourceStore } from '../sign-in/known-source.store.js';
import { SignInLimits } from '../sign-in/sign-in.limits.js';

/**
 * A burst for whoever mistypes, and NIST SP 800-63B 3.2.2's hundred for whoever guesses: three of a million codes fit
 * at any time, so somebody who has the password guesses right with a chance of 0.03 % a day. Neither lets anybody wait
 * for more than 15 minutes.
 */
const LIMITS = [
  ['burst', rate(10, 900)],
  ['day', rate(100, 86_400)],
] as const;

/**
 * How often a second factor of one account may be tried, over all of its challenges. Only who has the password gets
 * this far, so no stranger can use it up. Whoever has stolen it shares one limit from wherever they come; a place from
 * where the owner signed in lately has its own, which they cannot reach (ASVS 6.3.1, 6.5.7).
 */
@Injectable()
export class CodeLimits {
  constructor(
    private readonly throttling: ThrottlingService,
    private readonly knownSources: KnownSourceStore,
    private readonly signInLimits: SignInLimits,
    private readonly events: SecurityEvents,
  ) {}

  /** Counts one attempt. @throws ZeroTrustError `too-many-requests`. */
  async admit(accountId: string): Promise<void> {
    const source = this.signInLimits.source();
    const known = source !== undefined && (await this.knownSources.isKnownTo(accountId, source));
    const place = known ? `${accountId}|${source}` : accountId;
    for (const [name, limit] of LIMITS) {
      const outcome = await this.throttling.consume(`factor:${name}:${place}`, limit);
      if (outcome.allowed) continue;
      const refusal = tooManyRequests('account', limit, outcome);
      await this.events.publish({
        action: 'throttle.refused',
        outcome: 'failure',
        delivery: 'detached',
        target: { type: 'account', id: accountId },
        reason: refusal.detail,
        detail: { code: refusal.code },
      });
      throw refusal;
    }
  }
}
