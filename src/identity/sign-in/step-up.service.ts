import { Injectable } from '@nestjs/common';
import type { Principal } from '../../core/principal.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { SessionsService, type OpenedSession } from '../../sessions/sessions.service.js';
import { accountIdOf } from '../accounts/account.principal.js';
import { AccountStore } from '../accounts/account.store.js';
import { AuthenticationFailure } from './authentication.failure.js';
import { CodeLimits } from '../second-factors/code.limits.js';
import { PasswordVerifier } from '../passwords/password.verifier.js';
import { assuranceAfter, type ProvedMethod } from './proved-assurance.js';
import {
  FACTOR_AMR,
  SecondFactorVerifier,
  type FactorMethod,
  type FactorVerdict,
} from '../second-factors/second-factor.verifier.js';
import { SignInLimits } from './sign-in.limits.js';

export interface SteppedUp {
  readonly session: OpenedSession;
  /** After a recovery code was used: how many are left. */
  readonly recoveryCodesLeft?: number;
}

/**
 * Proves the caller of a living session once more. The session is replaced by one that says what was proved, and when
 * (ASVS 7.2.4, RFC 9470). Limits, work and answers are those of a sign-in.
 */
@Injectable()
export class StepUpService {
  constructor(
    private readonly accounts: AccountStore,
    private readonly signInLimits: SignInLimits,
    private readonly codeLimits: CodeLimits,
    private readonly passwords: PasswordVerifier,
    private readonly factors: SecondFactorVerifier,
    private readonly sessions: SessionsService,
    private readonly failure: AuthenticationFailure,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /** @throws ZeroTrustError `invalid-credentials`, `too-many-requests`, `temporarily-unavailable`. */
  async byPassword(caller: Principal, password: string): Promise<SteppedUp> {
    const stored = await this.accounts.credentialById(accountIdOf(caller));
    if (!stored) throw noAccount();
    await this.signInLimits.admit(stored.canonicalEmail);
    const verdict = await this.passwords.verify(stored, password);
    if (!verdict.proved) return this.#refuse(caller, verdict.reason, 'pwd');
    const session = await this.unitOfWork.run(async () =>
      (await this.accounts.holdActive(stored)) ? this.#replace(caller, 'pwd') : undefined,
    );
    return session ? { session } : this.#refuse(caller, 'the account changed meanwhile', 'pwd');
  }

  /** @throws ZeroTrustError `invalid-credentials`, `too-many-requests`. */
  async byFactor(caller: Principal, method: FactorMethod, code: string): Promise<SteppedUp> {
    const accountId = accountIdOf(caller);
    await this.codeLimits.admit(accountId);
    const outcome = await this.unitOfWork.run<SteppedUp | Extract<FactorVerdict, { proved: false }>>(
      async () => {
        if (!(await this.accounts.hold(accountId))) {
          return { proved: false, reason: 'the account is disabled' };
        }
        const verdict = await this.factors.use(accountId, method, code);
        if (!verdict.proved) return verdict;
        const { recoveryCodesLeft } = verdict;
        return {
          session: await this.#replace(caller, FACTOR_AMR),
          ...(recoveryCodesLeft !== undefined && { recoveryCodesLeft }),
        };
      },
    );
    return 'session' in outcome ? outcome : this.#refuse(caller, outcome.reason, FACTOR_AMR);
  }

  #replace({ sessionId, amr = [] }: Principal, proved: ProvedMethod): Promise<OpenedSession> {
    if (sessionId === undefined) {
      throw new ZeroTrustError('invalid-request', { detail: 'the principal has no session to step up' });
    }
    return this.sessions.replace(sessionId, assuranceAfter(amr, proved));
  }

  #refuse({ subject }: Principal, reason: string, amr: ProvedMethod): Promise<never> {
    return this.failure.refuse({ target: { type: 'account', id: subject }, reason, amr });
  }
}

function noAccount(): ZeroTrustError {
  return new ZeroTrustError('not-found', { detail: 'the caller has no account' });
}
