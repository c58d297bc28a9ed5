import type { INestApplicationContext } from '@nestjs/common';
import {
  AccountsService,
  GrantsService,
  RolesService,
  SecondFactorsService,
  SYSTEM_PRINCIPAL,
} from 'nestjs-zero-trust';
import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { roles } from './permissions.js';

/** One line of `.data/demo-accounts.json`. */
export interface DemoAccount {
  readonly email: string;
  readonly password: string;
  readonly roles: readonly string[];
  /** Base32, for an authenticator app; of those who administer or approve. */
  readonly totpSecret?: string;
}

const DEMO: readonly (readonly [name: string, role: keyof typeof roles])[] = [
  ['admin', 'admin'],
  ['editor', 'editor'],
  ['viewer', 'viewer'],
  ['clerk', 'clerk'],
  ['approver', 'approver'],
];

/** What these may do asks for a second factor. */
const WITH_FACTOR: readonly string[] = ['admin@example.test', 'approver@example.test'];

/**
 * Development only: accounts to try the service with. The file with their random passwords is written first, so
 * that a start that was cut short goes on with the same ones; a second factor that it does not know is made anew.
 *
 * @returns the accounts, and whether this start made them.
 */
export async function seedDemoAccounts(
  app: INestApplicationContext,
  file: string,
): Promise<{ accounts: readonly DemoAccount[]; made: boolean }> {
  const known = await readKnown(file);
  const accounts = [...(known ?? DEMO.map(([name, role]) => draft(name, role)))];
  if (!known) await write(file, accounts);
  await app.get(RolesService).sync(roles, SYSTEM_PRINCIPAL);
  let made = false;
  for (const [at, account] of accounts.entries()) {
    const { id, isNew } = await ensure(app, account);
    made ||= isNew;
    if (!WITH_FACTOR.includes(account.email) || (account.totpSecret !== undefined && !isNew)) continue;
    const { secret } = await app.get(SecondFactorsService).provisionTotp(id, SYSTEM_PRINCIPAL);
    accounts[at] = { ...account, totpSecret: secret };
    await write(file, accounts);
  }
  return { accounts, made };
}

function draft(name: string, role: string): DemoAccount {
  return { email: `${name}@example.test`, password: randomBytes(15).toString('base64url'), roles: [role] };
}

async function ensure(
  app: INestApplicationContext,
  demo: DemoAccount,
): Promise<{ id: string; isNew: boolean }> {
  const accounts = app.get(AccountsService);
  const grants = app.get(GrantsService);
  const known = await accounts.findByEmail(demo.email);
  const [displayName = demo.email] = demo.email.split('@');
  const id =
    known?.id ?? (await accounts.create({ email: demo.email, displayName, password: demo.password })).id;
  const held = new Set((await grants.listOf(id)).map((grant) => grant.role));
  for (const role of demo.roles) {
    if (held.has(role)) continue;
    await grants.grant(
      { subject: id, role, reason: 'demo account of a development start' },
      SYSTEM_PRINCIPAL,
    );
  }
  return { id, isNew: known === undefined };
}

async function readKnown(file: string): Promise<readonly DemoAccount[] | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as DemoAccount[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function write(file: string, accounts: readonly DemoAccount[]): Promise<void> {
  await writeFile(`${file}.new`, `${JSON.stringify(accounts, null, 2)}\n`, { mode: 0o600, flag: 'w' });
  await rename(`${file}.new`, file);
}
