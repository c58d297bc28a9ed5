import { Injectable } from '@nestjs/common';
import type { Principal } from '../../core/principal.js';
import { SecurityEvents } from '../../core/security-events.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { SessionsService } from '../../sessions/sessions.service.js';
import { accountIdOf } from '../accounts/account.principal.js';
import { AccountStore } from '../accounts/account.store.js';
import { AuthenticationFailure } from '../sign-in/authentication.failure.js';
import { PasswordHasher } from './password.hasher.js';
import { PasswordPolicy } from './password.policy.js';
import { PasswordVerifier } from './password.verifier.js';
import { SignInChallengeStore } from '../sign-in/sign-in-challenge.store.js';
import { SignInLimits } from '../sign-in/sign-in.limits.js';

/** Changes the caller's own password. The current one is proved with the work, and within the limits, of a sign-in. */
@Injectable()
export class PasswordChangeService {
  constructor(
    private readonly accounts: AccountStore,
    private readonly limits: SignInLimits,
    private readonly verifier: PasswordVerifier,
    private readonly policy: PasswordPolicy,
    private readonly hasher: PasswordHasher,
    private readonly challenges: SignInChallengeStore,
    private readonly sessions: SessionsService,
    private readonly failure: AuthenticationFailure,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: SecurityEvents,
  ) {}

  /**
   * In one transaction with its event: the new hash, the end of every other session and of every sign-in under way
   * (ASVS 6.2.3, 7.4.3). The session that asks lives on.
   *
   * @throws ZeroTrustError `invalid-credentials` when the current password is wrong, `validation-failed` when the new
   * one is refused, `too-many-requests`, `temporarily-unavailable`; `conflict` when the account changed meanwhile.
   */
  async change(caller: Principal, currentPassword: string, newPassword: string): Promise<void> {
    const stored = await this.accounts.credentialById(accountIdOf(caller));
    if (!stored) throw new ZeroTrustError('not-found', { detail: 'the caller has no account' });
    const { id, passwordHash, canonicalEmail } = stored;
    await this.limits.admit(canonicalEmail);
    const verdict = await this.verifier.verify(stored, currentPassword);
    if (!verdict.proved) {
      return this.failure.refuse({ target: { type: 'account', id }, reason: verdict.reason, amr: 'pwd' });
    }
    await this.#examine(id, newPassword);
    // Before the transaction: a hash takes a while, and a connection is held for as long.
    const renewed = await this.hasher.hash(id, newPassword);
    await this.unitOfWork.run(async () => {
      const held = await this.accounts.holdActive(stored);
      if (!held || !(await this.accounts.replaceHash(id, passwordHash, renewed))) {
        throw new ZeroTrustError('conflict', { detail: 'the account changed meanwhile' });
      }
      await this.challenges.closeAllOf(id);
      await this.events.publish({
        action: 'account.password-changed',
        outcome: 'success',
        delivery: 'same-transaction',
        actor: id,
        target: { type: 'account', id },
      });
      await this.sessions.endAllOf(id, 'password-changed', caller.sessionId);
    });
  }

  async #examine(accountId: string, newPassword: string): Promise<void> {
    const account = await this.accounts.byId(accountId);
    const [localPart = ''] = account?.email.split('@') ?? [];
    const messages = await this.policy.faultsOf(newPassword, {
      localPart,
      displayName: account?.displayName ?? '',
    });
    if (messages.length === 0) return;
    const errors = [
      { field: 'newPassword', messages: messages.map((each) => each.replace(/^password/, 'newPassword')) },
    ];
    throw new ZeroTrustError('validation-failed', { detail: 'the new password is refused', errors });
  }
}
