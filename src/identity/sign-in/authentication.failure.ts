import { Injectable } from '@nestjs/common';
import { SecurityEvents } from '../../core/security-events.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';

/** Says no to whoever could not prove who they are: each reason to the log, one and the same answer to all of them. */
@Injectable()
export class AuthenticationFailure {
  constructor(private readonly events: SecurityEvents) {}

  /** @throws ZeroTrustError `invalid-credentials`, always, after it was recorded. */
  async refuse(failure: {
    /** Ids only; left out when nobody knows whom it was about. */
    readonly target?: { readonly type: 'account' | 'address'; readonly id: string };
    /** A fixed phrase, for the log alone. */
    readonly reason: string;
    /** What was presented (RFC 8176). */
    readonly amr: string;
  }): Promise<never> {
    const { target, reason, amr } = failure;
    await this.events.publish({
      action: 'authentication.failed',
      outcome: 'failure',
      delivery: 'detached',
      ...(target && { target }),
      reason,
      detail: { amr },
    });
    throw new ZeroTrustError('invalid-credentials', {
      detail: 'a sign-in failed',
      headers: { 'WWW-Authenticate': 'Bearer' },
    });
  }
}
