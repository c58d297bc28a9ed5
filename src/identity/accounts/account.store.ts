import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../database/unit-of-work.js';
import type { StoredPassword } from '../passwords/password.hasher.js';

export type AccountState = 'active' | 'disabled';

/** An account, as others may see it: nothing that proves or hides anything. */
export interface Account {
  readonly id: string;
  readonly email: string;
  readonly displayName: string;
  readonly state: AccountState;
  readonly createdAt: Date;
  readonly disabledAt: Date | null;
}

/** What proving a password needs to know, and nobody else. */
export interface Credential extends StoredPassword {
  readonly canonicalEmail: string;
  readonly state: AccountState;
}

export interface NewAccountRow {
  readonly id: string;
  readonly email: string;
  readonly canonicalEmail: string;
  readonly displayName: string;
  readonly passwordHash: string;
}

const CREDENTIAL = `id, canonical_email AS "canonicalEmail", state, password_hash AS "passwordHash"`;

/** Named one by one: whatever the table gains stays inside. */
const COLUMNS = `id, email, display_name AS "displayName", state, created_at AS "createdAt", disabled_at AS "disabledAt"`;

/** The accounts in PostgreSQL. Every statement joins the ambient transaction. */
@Injectable()
export class AccountStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /**
   * @returns undefined when the address has an account already. Two at once: the unique index lets one in, and the
   * other one reads nothing back (a SELECT before could not close that race).
   */
  async add(row: NewAccountRow): Promise<Account | undefined> {
    const [account] = await this.unitOfWork.query<Account>(
      `INSERT INTO identity.account (id, email, canonical_email, display_name, password_hash)
       VALUES ($1, $2, $3, $4, $5) ON CONFLICT (canonical_email) DO NOTHING RETURNING ${COLUMNS}`,
      [row.id, row.email, row.canonicalEmail, row.displayName, row.passwordHash],
    );
    return account;
  }

  async byId(id: string): Promise<Account | undefined> {
    const [account] = await this.unitOfWork.query<Account>(
      `SELECT ${COLUMNS} FROM identity.account WHERE id = $1`,
      [id],
    );
    return account;
  }

  async byCanonicalEmail(canonicalEmail: string): Promise<Account | undefined> {
    const [account] = await this.unitOfWork.query<Account>(
      `SELECT ${COLUMNS} FROM identity.account WHERE canonical_email = $1`,
      [canonicalEmail],
    );
    return account;
  }

  /** Accounts after the one with the id `after`, oldest first. */
  page(after: string | undefined, limit: number): Promise<Account[]> {
    return this.unitOfWork.query<Account>(
      `SELECT ${COLUMNS} FROM identity.account WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2`,
      [after ?? null, limit],
    );
  }

  async credentialOf(canonicalEmail: string): Promise<Credential | undefined> {
    const [credential] = await this.unitOfWork.query<Credential>(
      `SELECT ${CREDENTIAL} FROM identity.account WHERE canonical_email = $1`,
      [canonicalEmail],
    );
    return credential;
  }

  async credentialById(id: string): Promise<Credential | undefined> {
    const [credential] = await this.unitOfWork.query<Credential>(
      `SELECT ${CREDENTIAL} FROM identity.account WHERE id = $1`,
      [id],
    );
    return credential;
  }

  /** Whether the account is active; holds it so until the transaction ends. What `holdActive` does without a password. */
  async hold(id: string): Promise<boolean> {
    const rows = await this.unitOfWork.query(
      `SELECT FROM identity.account WHERE id = $1 AND state = 'active' FOR NO KEY UPDATE`,
      [id],
    );
    return rows.length === 1;
  }

  /**
   * Whether the account is active and still has the hash that was verified; holds it so until the transaction ends.
   * Closes the race with a disabling: it either waits and then finds the new session, or came first and is seen here.
   * Two sign-ins to one account take turns, so that what both write cannot deadlock.
   */
  async holdActive({ id, passwordHash }: StoredPassword): Promise<boolean> {
    const rows = await this.unitOfWork.query(
      `SELECT FROM identity.account WHERE id = $1 AND state = 'active' AND password_hash = $2
       FOR NO KEY UPDATE`,
      [id, passwordHash],
    );
    return rows.length === 1;
  }

  /**
   * Puts a hash in the place of another. False when that one is not there any more: of two parallel upgrades one
   * wins, and neither overwrites a password that was changed meanwhile.
   */
  async replaceHash(id: string, from: string, to: string): Promise<boolean> {
    const rows = await this.unitOfWork.query(
      'UPDATE identity.account SET password_hash = $3 WHERE id = $1 AND password_hash = $2 RETURNING id',
      [id, from, to],
    );
    return rows.length === 1;
  }

  /**
   * Locks accounts until the transaction ends, always in the order of their ids, so that two who lock the same pair
   * wait and do not deadlock. What is unknown is missing from the answer.
   */
  async lock(ids: readonly string[]): Promise<ReadonlyMap<string, AccountState>> {
    const rows = await this.unitOfWork.query<Pick<Account, 'id' | 'state'>>(
      'SELECT id, state FROM identity.account WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE',
      [ids],
    );
    return new Map(rows.map(({ id, state }) => [id, state]));
  }

  /** The states of accounts, locking nothing. What is unknown is missing from the answer. */
  async statesOf(ids: readonly string[]): Promise<ReadonlyMap<string, AccountState>> {
    const rows = await this.unitOfWork.query<Pick<Account, 'id' | 'state'>>(
      'SELECT id, state FROM identity.account WHERE id = ANY($1::uuid[])',
      [ids],
    );
    return new Map(rows.map(({ id, state }) => [id, state]));
  }

  async setState(id: string, state: AccountState): Promise<void> {
    await this.unitOfWork.query(
      `UPDATE identity.account SET state = $2, disabled_at = CASE WHEN $2 = 'disabled' THEN now() END WHERE id = $1`,
      [id, state],
    );
  }
}
