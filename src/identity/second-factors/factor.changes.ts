import { Injectable } from '@nestjs/common';
import type { Principal } from '../../core/principal.js';
import { SecurityEvents, type SecurityAction } from '../../core/security-events.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { SessionsService } from '../../sessions/sessions.service.js';
import { AccountStore } from '../accounts/account.store.js';
import { RecoveryCodeStore } from './recovery-code.store.js';
import { SignInChallengeStore } from '../sign-in/sign-in-challenge.store.js';
import { TotpStore, type TotpFactor } from './totp.store.js';

/** What can happen to the second factor of an account: each change with its events and with all that has to follow. */
@Injectable()
export class FactorChanges {
  constructor(
    private readonly accounts: AccountStore,
    private readonly totp: TotpStore,
    private readonly recoveryCodes: RecoveryCodeStore,
    private readonly challenges: SignInChallengeStore,
    private readonly sessions: SessionsService,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: SecurityEvents,
  ) {}

  /**
   * Runs `change` in one transaction that holds the account, so that changes of what proves it take turns with each
   * other and with its sign-ins. The methods below belong inside.
   *
   * @throws ZeroTrustError `not-found` when the account is unknown or disabled.
   */
  run<T>(accountId: string, change: (enrolled: boolean) => Promise<T>): Promise<T> {
    return this.unitOfWork.run(async () => {
      if (!(await this.accounts.hold(accountId))) {
        throw new ZeroTrustError('not-found', { detail: 'the account is unknown or disabled' });
      }
      return change(await this.totp.isConfirmed(accountId));
    });
  }

  /** Keeps a factor that does not count yet, in the place of one that was offered before. */
  async offer(accountId: string, factor: TotpFactor, by: Principal): Promise<void> {
    await this.totp.addPending(accountId, factor);
    await this.#publish('factor.offered', { type: 'factor', id: factor.id }, by);
  }

  /** Makes an offered factor count, with recovery codes of its own. `step` is the one of the code that proved it. */
  async enrol(
    accountId: string,
    { id }: TotpFactor,
    step: number,
    by: Principal,
  ): Promise<readonly string[]> {
    await this.totp.confirm(id, step);
    await this.challenges.closeAllOf(accountId);
    await this.#publish('factor.enrolled', { type: 'factor', id }, by);
    return this.renewRecoveryCodes(accountId, by);
  }

  /** Removes the factor that counts, its recovery codes, and every session but the one that asks for it (ASVS 7.4.3). */
  async remove(accountId: string, by: Principal): Promise<void> {
    const id = await this.totp.removeConfirmed(accountId);
    if (id === undefined) return;
    await this.recoveryCodes.removeAllOf(accountId);
    await this.challenges.closeAllOf(accountId);
    await this.#publish('factor.removed', { type: 'factor', id }, by);
    const asking = by.subject === accountId ? by.sessionId : undefined;
    await this.sessions.endAllOf(accountId, 'factor-removed', asking);
  }

  /** @returns the new codes, which nobody can be shown again. */
  async renewRecoveryCodes(accountId: string, by: Principal): Promise<readonly string[]> {
    const codes = await this.recoveryCodes.renew(accountId);
    await this.challenges.closeAllOf(accountId);
    await this.#publish('recovery-codes.renewed', { type: 'account', id: accountId }, by);
    return codes;
  }

  #publish(
    action: SecurityAction,
    target: { type: 'factor' | 'account'; id: string },
    { subject: actor }: Principal,
  ): Promise<void> {
    return this.events.publish({
      action,
      outcome: 'success',
      delivery: 'same-transaction',
      actor,
      target,
    });
  }
}
