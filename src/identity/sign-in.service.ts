import { Injectable, Logger } from '@nestjs/common';
import { SecurityEvents } from '../core/security-events.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { SessionsService, type OpenedSession } from '../sessions/sessions.service.js';
import { AccountStore, type Credential } from './account.store.js';
import { parseEmail } from './email-address.js';
import { PasswordHasher } from './password.hasher.js';
import { KnownSourceStore } from './known-source.store.js';
import { SignInLimits } from './sign-in.limits.js';

/** Why a sign-in failed: for the log alone. Its caller hears one and the same answer for all of them. */
type FailureReason =
  | 'the account is unknown'
  | 'the password is wrong'
  | 'the account is disabled'
  | 'the account changed meanwhile'
  | 'the stored password hash is not one of ours';

interface SignedIn {
  readonly session: OpenedSession;
  readonly credential: Credential;
  readonly outdated: boolean;
}

/** Signs in with e-mail address and password. */
@Injectable()
export class SignInService {
  readonly #logger = new Logger('Identity');

  constructor(
    private readonly store: AccountStore,
    private readonly hasher: PasswordHasher,
    private readonly limits: SignInLimits,
    private readonly knownSources: KnownSourceStore,
    private readonly sessions: SessionsService,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: SecurityEvents,
  ) {}

  /**
   * Opens a session, in one transaction with its event. An unknown account, a disabled one and a wrong password cost
   * the same work and get the same answer (ASVS 6.3.8).
   *
   * @throws ZeroTrustError `invalid-credentials`, `too-many-requests`, `temporarily-unavailable`; `validation-failed`
   * for what is no e-mail address.
   */
  async signIn(email: string, password: string): Promise<OpenedSession> {
    const address = parseEmail(email);
    if (!address) {
      const errors = [{ field: 'email', messages: ['email must be one e-mail address'] }];
      throw new ZeroTrustError('validation-failed', { detail: 'no e-mail address', errors });
    }
    await this.limits.admit(address.canonical);
    const { session, credential, outdated } = await this.#authenticate(address.canonical, password);
    if (outdated) await this.#rehash(credential, password);
    return session;
  }

  async #authenticate(canonicalEmail: string, password: string, attempt = 1): Promise<SignedIn> {
    const credential = await this.store.credentialOf(canonicalEmail);
    const { matches, outdated, foreign } = await this.hasher.verify(credential, password);
    if (foreign) await this.#alert(credential);
    const reason = failureOf(credential, { matches, foreign });
    if (!credential || reason !== undefined) return this.#refuse(canonicalEmail, credential, reason);
    const session = await this.#open(credential);
    if (session) return { session, credential, outdated };
    // While this was verified the account was disabled, or its hash replaced, perhaps by a sign-in that made the same
    // password's hash anew. Asked once more, the answer is today's.
    if (attempt === 1) return this.#authenticate(canonicalEmail, password, 2);
    return this.#refuse(canonicalEmail, credential, 'the account changed meanwhile');
  }

  /** @returns undefined when the account was disabled, or its password changed, while this one was verified. */
  #open(credential: Credential): Promise<OpenedSession | undefined> {
    return this.unitOfWork.run(async () => {
      if (!(await this.store.holdActive(credential))) return undefined;
      const source = this.limits.source();
      if (source !== undefined) await this.knownSources.remember(credential.id, source);
      return this.sessions.open({
        subject: credential.id,
        acr: 'aal1',
        amr: ['pwd'],
        delivery: 'token',
      });
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

  async #alert(credential: Credential | undefined): Promise<void> {
    await this.events.publish({
      action: 'account.tampered',
      outcome: 'failure',
      delivery: 'detached',
      ...(credential && { target: { type: 'account', id: credential.id } }),
      reason: 'the stored password hash is not one of ours',
    });
  }

  async #refuse(
    canonicalEmail: string,
    credential: Credential | undefined,
    reason: FailureReason = 'the account is unknown',
  ): Promise<never> {
    // An unknown address has a target of its own too: recording it must not take another time than a known one's.
    const target = credential
      ? { type: 'account', id: credential.id }
      : { type: 'address', id: this.limits.pseudonymOf(canonicalEmail) };
    await this.events.publish({
      action: 'authentication.failed',
      outcome: 'failure',
      delivery: 'detached',
      target,
      reason,
      detail: { amr: 'pwd' },
    });
    throw new ZeroTrustError('invalid-credentials', {
      detail: 'a sign-in failed',
      headers: { 'WWW-Authenticate': 'Bearer' },
    });
  }
}

function failureOf(
  credential: Credential | undefined,
  { matches, foreign }: { matches: boolean; foreign: boolean },
): FailureReason | undefined {
  if (!credential) return 'the account is unknown';
  if (foreign) return 'the stored password hash is not one of ours';
  if (!matches) return 'the password is wrong';
  return credential.state === 'active' ? undefined : 'the account is disabled';
}
