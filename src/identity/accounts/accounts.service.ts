import { Injectable } from '@nestjs/common';
import { GrantsService } from '../../access/grants/grants.service.js';
import { Subjects } from '../../access/grants/subjects.js';
import { Clock } from '../../core/clock.js';
import type { Principal } from '../../core/principal.js';
import { RequestContext } from '../../core/request-context.js';
import { SecurityEvents } from '../../core/security-events.js';
import { uuidV7 } from '../../core/uuid-v7.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { SessionsService } from '../../sessions/sessions.service.js';
import { AccountStore, type Account, type AccountState } from './account.store.js';
import { parseDisplayName } from './display-name.js';
import { parseEmail, type EmailAddress } from './email-address.js';
import { PasswordHasher } from '../passwords/password.hasher.js';
import { PasswordPolicy } from '../passwords/password.policy.js';
import { SignInChallengeStore } from '../sign-in/sign-in-challenge.store.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** What makes an account. */
export interface NewAccount {
  readonly email: string;
  readonly displayName: string;
  readonly password: string;
}

/** One page of accounts; `next` is the `after` of the page that follows, null when none does. */
export interface AccountPage {
  readonly items: readonly Account[];
  readonly next: string | null;
}

/** Accounts: made, listed, disabled and enabled. A change and its event commit together or not at all. */
@Injectable()
export class AccountsService {
  constructor(
    private readonly store: AccountStore,
    private readonly hasher: PasswordHasher,
    private readonly policy: PasswordPolicy,
    private readonly challenges: SignInChallengeStore,
    private readonly sessions: SessionsService,
    private readonly grants: GrantsService,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
    subjects: Subjects,
  ) {
    // Grants go to accounts that exist, and who is disabled administers nothing.
    subjects.knownBy(store);
  }

  /**
   * Makes an account that can sign in. May be called inside a unit of work, to grant roles along with it.
   *
   * @throws ZeroTrustError `validation-failed`, naming each field that is refused; `conflict` when the address has
   * an account already, in whatever spelling; `temporarily-unavailable` when too many passwords are being hashed.
   */
  async create({ email, displayName, password }: NewAccount, actor?: Principal): Promise<Account> {
    const { address, name } = await this.#examine(email, displayName, password);
    const id = uuidV7(this.clock.nowMs());
    // Before the transaction: a hash takes a while, and a connection is held for as long.
    const passwordHash = await this.hasher.hash(id, password);
    return this.unitOfWork.run(async () => {
      const account = await this.store.add({
        id,
        email: address.address,
        canonicalEmail: address.canonical,
        displayName: name,
        passwordHash,
      });
      if (!account) throw new ZeroTrustError('conflict', { detail: 'the e-mail address has an account' });
      await this.#publish('account.created', id, actor);
      return account;
    });
  }

  /** @throws ZeroTrustError `not-found`. */
  async get(id: string): Promise<Account> {
    return (await this.find(id)) ?? unknownAccount();
  }

  /** The account with an id; undefined when there is none, also for what is no UUID. */
  async find(id: string): Promise<Account | undefined> {
    return UUID.test(id) ? this.store.byId(id) : undefined;
  }

  /** The account of an address in whatever spelling; undefined when there is none, also for what is no address. */
  async findByEmail(email: string): Promise<Account | undefined> {
    const address = parseEmail(email);
    return address && this.store.byCanonicalEmail(address.canonical);
  }

  /** In the order in which they were made, at most `limit` of them after the one with the id `after`. */
  async list({ after, limit }: { after?: string | undefined; limit: number }): Promise<AccountPage> {
    const found = await this.store.page(after, limit + 1);
    const items = found.slice(0, limit);
    return { items, next: found.length > limit ? (items.at(-1)?.id ?? null) : null };
  }

  /**
   * Shuts an account out: it cannot sign in any more, and all its sessions, and the sign-ins that are under way, end in
   * the same transaction. Once more does nothing. Left-out `actor`, here and below: the caller of the request in hand.
   *
   * @throws ZeroTrustError `not-found`; `conflict` for the own account and for the last one that can administer.
   */
  async disable(id: string, actor = callerInHand()): Promise<void> {
    await this.#change(id, actor, 'disabled', async (account) => {
      if (await this.grants.isLastAdministrator(account)) {
        throw new ZeroTrustError('conflict', { detail: 'nobody could administer without this account' });
      }
      await this.store.setState(account, 'disabled');
      await this.challenges.closeAllOf(account);
      await this.sessions.endAllOf(account, 'account-disabled');
      await this.#publish('account.disabled', account, actor);
    });
  }

  /** Lets a disabled account sign in again. Once more does nothing. @throws ZeroTrustError `not-found`. */
  async enable(id: string, actor = callerInHand()): Promise<void> {
    await this.#change(id, actor, 'active', async (account) => {
      await this.store.setState(account, 'active');
      await this.#publish('account.enabled', account, actor);
    });
  }

  /** Ends every session of an account. @throws ZeroTrustError `not-found`. */
  async endSessions(id: string): Promise<void> {
    await this.unitOfWork.run(async () => {
      const account = await this.get(id);
      await this.sessions.endAllOf(account.id, 'ended-by-administrator');
    });
  }

  async #change(
    id: string,
    actor: Principal | undefined,
    to: AccountState,
    change: (account: string) => Promise<void>,
  ): Promise<void> {
    // A UUID may be written in capitals; PostgreSQL answers in lower case.
    const account = UUID.test(id) ? id.toLowerCase() : unknownAccount();
    const by =
      actor?.kind === 'account' && UUID.test(actor.subject) ? actor.subject.toLowerCase() : undefined;
    if (account === by) throw new ZeroTrustError('conflict', { detail: 'nobody changes the own account' });
    await this.unitOfWork.run(async () => {
      const states = await this.store.lock(by === undefined ? [account] : [account, by]);
      const state = states.get(account) ?? unknownAccount();
      // Two who disable each other at the same moment: the second one finds itself disabled.
      if (by !== undefined && states.get(by) === 'disabled') {
        throw new ZeroTrustError('permission-denied', { detail: 'the acting account is disabled' });
      }
      if (state !== to) await change(account);
    });
  }

  async #examine(
    email: string,
    displayName: string,
    password: string,
  ): Promise<{ address: EmailAddress; name: string }> {
    const address = parseEmail(email);
    const name = parseDisplayName(displayName);
    const owner = { localPart: address?.localPart ?? '', displayName: name ?? '' };
    const errors = [
      { field: 'email', messages: address ? [] : ['email must be one e-mail address'] },
      {
        field: 'displayName',
        messages: name === undefined ? ['displayName must be 1 to 100 printable characters'] : [],
      },
      { field: 'password', messages: await this.policy.faultsOf(password, owner) },
    ].filter(({ messages }) => messages.length > 0);
    if (!address || name === undefined || errors.length > 0) {
      throw new ZeroTrustError('validation-failed', { detail: 'the new account is refused', errors });
    }
    return { address, name };
  }

  #publish(action: `account.${string}`, id: string, actor: Principal | undefined): Promise<void> {
    return this.events.publish({
      action,
      outcome: 'success',
      delivery: 'same-transaction',
      ...(actor && { actor: actor.subject }),
      target: { type: 'account', id },
    });
  }
}

function callerInHand(): Principal | undefined {
  return RequestContext.current()?.principal;
}

function unknownAccount(): never {
  throw new ZeroTrustError('not-found', { detail: 'the account is unknown' });
}
