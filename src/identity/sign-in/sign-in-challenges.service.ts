import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { SessionsService } from '../../sessions/sessions.service.js';
import { AccountStore } from '../accounts/account.store.js';
import { AuthenticationFailure } from './authentication.failure.js';
import { CodeLimits } from '../second-factors/code.limits.js';
import { KnownSourceStore } from './known-source.store.js';
import { assuranceAfter } from './proved-assurance.js';
import {
  FACTOR_AMR,
  SecondFactorVerifier,
  type FactorMethod,
} from '../second-factors/second-factor.verifier.js';
import { SignInChallengeStore } from './sign-in-challenge.store.js';
import { SignInLimits } from './sign-in.limits.js';
import type { SignIn } from './sign-in.service.js';

type Answered = Extract<SignIn, { status: 'authenticated' }>;
type Outcome = { readonly opened: Answered } | { readonly reason: string };

/** The second half of a sign-in: the answer to the challenge that its password was given. */
@Injectable()
export class SignInChallenges {
  constructor(
    private readonly store: SignInChallengeStore,
    private readonly accounts: AccountStore,
    private readonly limits: CodeLimits,
    private readonly signInLimits: SignInLimits,
    private readonly verifier: SecondFactorVerifier,
    private readonly knownSources: KnownSourceStore,
    private readonly sessions: SessionsService,
    private readonly failure: AuthenticationFailure,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /**
   * Opens the session that the challenge stands for, delivered as its sign-in asked. A wrong code and a challenge that
   * is unknown, over, answered or used up get the same answer.
   *
   * @throws ZeroTrustError `invalid-credentials`, `too-many-requests`.
   */
  async answer(challengeId: string, method: FactorMethod, code: string): Promise<Answered> {
    const accountId = await this.store.accountOf(challengeId);
    if (accountId === undefined) {
      return this.failure.refuse({ reason: 'the challenge is unknown or over', amr: FACTOR_AMR });
    }
    await this.limits.admit(accountId);
    const outcome = await this.unitOfWork.run(() => this.#redeem(accountId, challengeId, method, code));
    if ('opened' in outcome) return outcome.opened;
    const target = { type: 'account', id: accountId } as const;
    return this.failure.refuse({ target, reason: outcome.reason, amr: FACTOR_AMR });
  }

  /** A wrong code is an outcome and no error: the attempt that it took must stay taken. */
  async #redeem(
    accountId: string,
    challengeId: string,
    method: FactorMethod,
    code: string,
  ): Promise<Outcome> {
    // The account before all else, as everybody takes it who changes what proves it: no two of them can deadlock.
    if (!(await this.accounts.hold(accountId))) return { reason: 'the account is disabled' };
    const delivery = await this.store.attempt(challengeId);
    if (delivery === undefined) return { reason: 'the challenge is unknown or over' };
    const verdict = await this.verifier.use(accountId, method, code);
    if (!verdict.proved) return verdict;
    await this.store.close(challengeId);
    const source = this.signInLimits.source();
    if (source !== undefined) await this.knownSources.remember(accountId, source);
    const assurance = assuranceAfter(['pwd'], FACTOR_AMR);
    const session = await this.sessions.open({ subject: accountId, ...assurance, delivery });
    const { recoveryCodesLeft } = verdict;
    return {
      opened: {
        status: 'authenticated',
        session,
        ...(recoveryCodesLeft !== undefined && { recoveryCodesLeft }),
      },
    };
  }
}
