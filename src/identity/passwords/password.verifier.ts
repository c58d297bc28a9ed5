import { Injectable } from '@nestjs/common';
import { SecurityEvents } from '../../core/security-events.js';
import type { Credential } from '../accounts/account.store.js';
import { PasswordHasher } from './password.hasher.js';

/** Why a password proves nothing: for the log alone. Its caller hears one and the same answer for all of them. */
export type PasswordFailure =
  | 'the account is unknown'
  | 'the password is wrong'
  | 'the account is disabled'
  | 'the account changed meanwhile'
  | 'the stored password hash is not one of ours';

export type PasswordVerdict =
  | {
      readonly proved: true;
      readonly credential: Credential;
      /** The stored hash is weaker than today's parameters: make it anew while the password is at hand. */
      readonly outdated: boolean;
    }
  | { readonly proved: false; readonly reason: PasswordFailure };

/** Whether a password proves an account, at the same cost whether or not there is one (ASVS 6.3.8). */
@Injectable()
export class PasswordVerifier {
  constructor(
    private readonly hasher: PasswordHasher,
    private readonly events: SecurityEvents,
  ) {}

  /** @throws ZeroTrustError `temporarily-unavailable` when too many hashes wait already. */
  async verify(credential: Credential | undefined, password: string): Promise<PasswordVerdict> {
    const { matches, outdated, foreign } = await this.hasher.verify(credential, password);
    if (foreign) await this.#alert(credential);
    const reason = failureOf(credential, { matches, foreign });
    return credential && reason === undefined
      ? { proved: true, credential, outdated }
      : { proved: false, reason: reason ?? 'the account is unknown' };
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
}

function failureOf(
  credential: Credential | undefined,
  { matches, foreign }: { matches: boolean; foreign: boolean },
): PasswordFailure | undefined {
  if (!credential) return 'the account is unknown';
  if (foreign) return 'the stored password hash is not one of ours';
  if (!matches) return 'the password is wrong';
  return credential.state === 'active' ? undefined : 'the account is disabled';
}
