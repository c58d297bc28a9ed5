import { Injectable } from '@nestjs/common';
import { Clock } from '../../core/clock.js';
import { SecurityEvents } from '../../core/security-events.js';
import type { ProvedMethod } from '../sign-in/proved-assurance.js';
import { RecoveryCodeStore } from './recovery-code.store.js';
import { TotpStore } from './totp.store.js';
import { stepOf } from './totp.js';

/** What can follow a password. */
export const FACTOR_METHODS = ['totp', 'recovery_code'] as const;
export type FactorMethod = (typeof FACTOR_METHODS)[number];

/**
 * `amr` of a second factor (RFC 8176). A recovery code is a one-time password as well: the registry has no word of its
 * own for it, and which of them it was stands in the audit log.
 */
export const FACTOR_AMR = 'otp' satisfies ProvedMethod;

export type FactorVerdict =
  | { readonly proved: true; readonly recoveryCodesLeft?: number }
  | { readonly proved: false; readonly reason: string };

/** Proves a second factor by using it up. Call it in the unit of work that holds the account and opens the session. */
@Injectable()
export class SecondFactorVerifier {
  constructor(
    private readonly totp: TotpStore,
    private readonly recoveryCodes: RecoveryCodeStore,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
  ) {}

  use(accountId: string, method: FactorMethod, code: string): Promise<FactorVerdict> {
    return method === 'totp' ? this.#useTotp(accountId, code) : this.#useRecoveryCode(accountId, code);
  }

  async #useTotp(accountId: string, code: string): Promise<FactorVerdict> {
    const factor = await this.totp.confirmedOf(accountId);
    if (!factor) return { proved: false, reason: 'the account has no such factor' };
    const step = stepOf(code, factor.secret, this.clock.nowMs());
    if (step === undefined) return { proved: false, reason: 'the code is wrong' };
    if (!(await this.totp.useStep(factor.id, step))) {
      return { proved: false, reason: 'the code was used before' };
    }
    await this.#publish('factor.used', accountId, { type: 'factor', id: factor.id });
    return { proved: true };
  }

  async #useRecoveryCode(accountId: string, code: string): Promise<FactorVerdict> {
    const left = await this.recoveryCodes.use(accountId, code);
    if (left === undefined) return { proved: false, reason: 'the recovery code is none of the account' };
    await this.#publish('recovery-code.used', accountId, { type: 'account', id: accountId }, { count: left });
    return { proved: true, recoveryCodesLeft: left };
  }

  #publish(
    action: 'factor.used' | 'recovery-code.used',
    actor: string,
    target: { type: string; id: string },
    detail?: Record<string, number>,
  ): Promise<void> {
    return this.events.publish({
      action,
      outcome: 'success',
      delivery: 'same-transaction',
      actor,
      target,
      ...(detail && { detail }),
    });
  }
}
