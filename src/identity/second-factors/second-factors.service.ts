import { Inject, Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { renderSVG } from 'uqr';
import { insufficientAssurance, meetsAssurance, type AssuranceDemand } from '../../core/assurance.js';
import { Clock } from '../../core/clock.js';
import type { Principal } from '../../core/principal.js';
import { SecurityEvents } from '../../core/security-events.js';
import { uuidV7 } from '../../core/uuid-v7.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { accountIdOf } from '../accounts/account.principal.js';
import { AccountStore } from '../accounts/account.store.js';
import { FactorChanges } from './factor.changes.js';
import { IDENTITY_SETTINGS, type IdentitySettings } from '../identity.options.js';
import { describeTotp, stepOf, TOTP_SECRET_BYTES, type TotpEnrolment } from './totp.js';
import { TotpStore, type TotpFactor } from './totp.store.js';

/** What is proved before a factor changes (ASVS 7.5.1): the one that is there, or else the password. */
const FACTOR_PROVED: AssuranceDemand = { acr: 'aal2', maxAgeSeconds: 300 };
const PASSWORD_PROVED: AssuranceDemand = { acr: 'aal1', maxAgeSeconds: 300 };

export interface OfferedTotp extends TotpEnrolment {
  /** The URI as a picture, for a telephone's camera. */
  readonly qrSvg: string;
}

/** The second factor of an account, and its recovery codes, as its owner changes them. */
@Injectable()
export class SecondFactorsService {
  readonly #issuer: string;

  constructor(
    private readonly accounts: AccountStore,
    private readonly totp: TotpStore,
    private readonly changes: FactorChanges,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
    @Inject(IDENTITY_SETTINGS) settings: IdentitySettings,
  ) {
    this.#issuer = settings.productName;
  }

  /**
   * Offers a secret to the caller. It counts once a code of it was seen; until then the factor that is there counts.
   *
   * @throws ZeroTrustError `insufficient-authentication` (RFC 9470) when the caller did not sign in, with the factor if
   * one is enrolled, in the last five minutes; `not-found` when the caller has no account.
   */
  async offerTotp(caller: Principal): Promise<OfferedTotp> {
    const account = await this.accounts.byId(accountIdOf(caller));
    if (!account) throw new ZeroTrustError('not-found', { detail: 'the caller has no account' });
    const factor = this.#makeFactor();
    await this.changes.run(account.id, async (enrolled) => {
      await this.#demand(caller, enrolled ? FACTOR_PROVED : PASSWORD_PROVED);
      await this.changes.offer(account.id, factor, caller);
    });
    const enrolment = describeTotp(factor.secret, { issuer: this.#issuer, label: account.email });
    return { ...enrolment, qrSvg: renderSVG(enrolment.otpauthUri, { ecc: 'M', border: 4 }) };
  }

  /**
   * Makes the offered secret the factor of the account; one that was there is removed with all that this brings.
   *
   * @returns the recovery codes, which nobody can be shown again.
   * @throws ZeroTrustError `not-found` when nothing is offered (any more), `validation-failed` when the code does not
   * fit, `insufficient-authentication` as `offerTotp` does.
   */
  async confirmTotp(caller: Principal, code: string): Promise<readonly string[]> {
    const accountId = accountIdOf(caller);
    return this.changes.run(accountId, async (enrolled) => {
      await this.#demand(caller, enrolled ? FACTOR_PROVED : PASSWORD_PROVED);
      const offered = await this.totp.pendingOf(accountId);
      if (!offered) throw new ZeroTrustError('not-found', { detail: 'no factor is being enrolled' });
      const step = stepOf(code, offered.secret, this.clock.nowMs());
      if (step === undefined) {
        const errors = [{ field: 'code', messages: ['code is not the one that the app shows now'] }];
        throw new ZeroTrustError('validation-failed', { detail: 'the first code is wrong', errors });
      }
      await this.changes.remove(accountId, caller);
      return this.changes.enrol(accountId, offered, step, caller);
    });
  }

  /** @throws ZeroTrustError `not-found` when there is none; `insufficient-authentication` as `offerTotp` does. */
  async removeTotp(caller: Principal): Promise<void> {
    const accountId = accountIdOf(caller);
    return this.changes.run(accountId, async (enrolled) => {
      if (!enrolled) throw noFactor();
      await this.#demand(caller, FACTOR_PROVED);
      await this.changes.remove(accountId, caller);
    });
  }

  /** Makes a new set of recovery codes; the old one is dead. @throws ZeroTrustError as `removeTotp` does. */
  async renewRecoveryCodes(caller: Principal): Promise<readonly string[]> {
    const accountId = accountIdOf(caller);
    return this.changes.run(accountId, async (enrolled) => {
      if (!enrolled) throw noFactor();
      await this.#demand(caller, FACTOR_PROVED);
      return this.changes.renewRecoveryCodes(accountId, caller);
    });
  }

  /**
   * Gives an account a factor without asking it, in the place of the one it has: for a seed, which has no telephone.
   *
   * @returns the secret in base32 and the recovery codes, for whoever keeps them.
   * @throws ZeroTrustError `not-found` when the account is unknown or disabled.
   */
  provisionTotp(
    accountId: string,
    by: Principal,
  ): Promise<{ readonly secret: string; readonly recoveryCodes: readonly string[] }> {
    const factor = this.#makeFactor();
    return this.changes.run(accountId, async () => {
      await this.changes.remove(accountId, by);
      await this.totp.addPending(accountId, factor);
      const recoveryCodes = await this.changes.enrol(accountId, factor, 0, by);
      const { secret } = describeTotp(factor.secret, { issuer: this.#issuer, label: accountId });
      return { secret, recoveryCodes };
    });
  }

  #makeFactor(): TotpFactor {
    return { id: uuidV7(this.clock.nowMs()), secret: randomBytes(TOTP_SECRET_BYTES) };
  }

  /** One challenge that says all of it: a client that follows it is through. */
  async #demand(caller: Principal, demand: AssuranceDemand): Promise<void> {
    if (meetsAssurance(caller, demand, this.clock.nowSeconds())) return;
    const error = insufficientAssurance(demand);
    await this.events.publish({
      action: 'authentication.refused',
      outcome: 'failure',
      delivery: 'detached',
      reason: error.detail,
      detail: { code: error.code },
    });
    throw error;
  }
}

function noFactor(): ZeroTrustError {
  return new ZeroTrustError('not-found', { detail: 'no second factor is enrolled' });
}
