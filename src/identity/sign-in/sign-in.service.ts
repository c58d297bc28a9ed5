import { Injectable, Logger } from '@nestjs/common';
import { SecurityEvents } from '../../core/security-events.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import type { SessionDelivery } from '../../sessions/session.js';
import { SessionsService, type OpenedSession } from '../../sessions/sessions.service.js';
import { AccountStore, type Credential } from '../accounts/account.store.js';
import { AuthenticationFailure } from './authentication.failure.js';
import { parseEmail } from '../accounts/email-address.js';
import { PasswordHasher } from '../passwords/password.hasher.js';
import { PasswordVerifier, type PasswordFailure } from '../passwords/password.verifier.js';
import { KnownSourceStore } from './known-source.store.js';
import { FACTOR_METHODS, type FactorMethod } from '../second-factors/second-factor.verifier.js';
import { SignInChallengeStore } from './sign-in-challenge.store.js';
import { SignInLimits } from './sign-in.limits.js';
import { TotpStore } from '../second-factors/totp.store.js';

/** A session, or what is still asked for before there is one. */
export type SignIn =
  | {
      readonly status: 'authenticated';
      readonly session: OpenedSession;
      /** After a recovery code was used: how many are left. */
      readonly recoveryCodesLeft?: number;
    }
  | {
      readonly status: 'mfa_required';
      readonly challengeId: string;
      readonly methods: readonly FactorMethod[];
    };

interface PasswordProved {
  readonly signIn: SignIn;
  readonly credential: Credential;
  readonly outdated: boolean;
}

/** Signs in with e-mail address and password; an account with a second factor gets a challenge instead of a session. */
@Injectable()
export class SignInService {
  readonly #logger = new Logger('Identity');

  constructor(
    private readonly store: AccountStore,
    private readonly hasher: PasswordHasher,
    private readonly verifier: PasswordVerifier,
    private readonly limits: SignInLimits,
    private readonly knownSources: KnownSourceStore,
    private readonly totp: TotpStore,
    private readonly challenges: SignInChallengeStore,
    private readonly sessions: SessionsService,
    private readonly failure: AuthenticationFailure,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: SecurityEvents,
  ) {}

  /**
   * Opens a session, in one transaction with its event, or a challenge that `SignInChallenges` takes the answer of.
   * An unknown account, a disabled one and a wrong password cost the same work and get the same answer (ASVS 6.3.8).
   *
   * @throws ZeroTrustError `invalid-credentials`, `too-many-requests`, `temporarily-unavailable`; `validation-failed`
   * for what is no e-mail address.
   */
  async signIn(email: string, password: string, delivery: SessionDelivery): Promise<SignIn> {
    const address = parseEmail(email);
    if (!address) {
      const errors = [{ field: 'email', messages: ['email must be one e-mail address'] }];
      throw new ZeroTrustError('validation-failed', { detail: 'no e-mail address', errors });
    }
    await this.limits.admit(address.canonical);
    const proved = await this.#authenticate(address.canonical, password, delivery);
    if (proved.outdated) await this.#rehash(proved.credential, password);
    return proved.signIn;
  }

  async #authenticate(
    canonicalEmail: string,
    password: string,
    delivery: SessionDelivery,
    attempt = 1,
  ): Promise<PasswordProved> {
    const stored = await this.store.credentialOf(canonicalEmail);
    const verdict = await this.verifier.verify(stored, password);
    if (!verdict.proved) return this.#refuse(canonicalEmail, stored, verdict.reason);
    const { credential, outdated } = verdict;
    const signIn = await this.#open(credential, delivery);
    if (signIn) return { signIn, credential, outdated };
    // While this was verified the account was disabled, or its hash replaced, perhaps by a sign-in that made the same
    // password's hash anew. Asked once more, the answer is today's.
    if (attempt === 1) return this.#authenticate(canonicalEmail, password, delivery, 2);
    return this.#refuse(canonicalEmail, stored, 'the account changed meanwhile');
  }

  /** @returns undefined when the account was disabled, or its password changed, while this one was verified. */
  #open(credential: Credential, delivery: SessionDelivery): Promise<SignIn | undefined> {
    const { id } = credential;
    return this.unitOfWork.run(async () => {
      if (!(await this.store.holdActive(credential))) return undefined;
      if (await this.totp.isConfirmed(id)) {
        const challengeId = await this.challenges.open(id, delivery);
        return { status: 'mfa_required', challengeId, methods: FACTOR_METHODS };
      }
      const source = this.limits.source();
      if (source !== undefined) await this.knownSources.remember(id, source);
      const session = await this.sessions.open({ subject: id, acr: 'aal1', amr: ['pwd'], delivery });
      return { status: 'authenticated', session };
    });
  }

  /** The one moment at which the password is at hand: an old hash is made anew with today's parameters (ASVS 11.4.2). */
  async #rehash({ id, passwordHash }: Credential, password: string): Promise<void> {
    try {
      const renewed = await this.hasher.hash(id, password);
      await this.unitOfWork.run(async () => {
        if (!(await this.store.replaceHash(id, passwordHash, renewed))) return;
        await this.events.publish({
          action: 'account.rehashed',
          outcome: 'success',
          delivery: 'same-transaction',
          actor: id,
          target: { type: 'account', id },
        });
      });
    } catch (error) {
      // The session stands. What could not be done now is done at the next sign-in.
      const fault = error instanceof ZeroTrustError ? error.detail : 'an unexpected error';
      this.#logger.warn(`A password hash was not made anew: ${fault}.`);
    }
  }

  #refuse(
    canonicalEmail: string,
    credential: Credential | undefined,
    reason: PasswordFailure,
  ): Promise<never> {
    // An unknown address has a target of its own too: recording it must not take another time than a known one's.
    const target = credential
      ? ({ type: 'account', id: credential.id } as const)
      : ({ type: 'address', id: this.limits.pseudonymOf(canonicalEmail) } as const);
    return this.failure.refuse({ target, reason, amr: 'pwd' });
  }
}
