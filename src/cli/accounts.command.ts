import { NestFactory } from '@nestjs/core';
import { Command } from 'commander';
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { SYSTEM_PRINCIPAL } from '../access/grants/actor.js';
import { GrantsService } from '../access/grants/grants.service.js';
import { RolesService } from '../access/grants/roles.service.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { Account } from '../identity/accounts/account.store.js';
import { AccountsService } from '../identity/accounts/accounts.service.js';
import { accountsContext } from './accounts.context.js';
import type { CliIo } from './run-cli.js';

const HELP = `
Settings (each also as …_FILE, the path of a file that holds it):
  DATABASE_URL           the login of the running service
  DATABASE_AUDIT_URL     the login of its audit log
  DATABASE_CA            PEM of the authority that signed the database's certificate, beyond this machine
  ZERO_TRUST_MASTER_KEY  the service's own: passwords are hashed under it

Every change is in the audit log, made by "system".`;

interface CreateFlags {
  readonly email: string;
  readonly name: string;
  readonly role: readonly string[];
  readonly passwordStdin?: true;
}

/** `zero-trust accounts`: makes the first administrator, and shuts out or lets in again whoever the service cannot. */
export function accountsCommand(io: CliIo, stdin: Readable = process.stdin): Command {
  const accounts = new Command('accounts')
    .description('Makes, lists, disables and enables accounts.')
    .helpCommand(false)
    .addHelpText('after', HELP);
  accounts
    .command('create')
    .description('Makes an account. Without --password-stdin its password is random, and printed once.')
    .requiredOption('--email <address>', 'what it signs in with')
    .requiredOption('--name <name>', 'what others see')
    .option('--role <name...>', 'the role that it is granted, everywhere; it must exist', [])
    .option(
      '--password-stdin',
      'read the password from standard input; a final line end does not belong to it',
    )
    .action((flags: CreateFlags) => create(io, flags, stdin));
  accounts
    .command('list')
    .description('Lists all accounts, oldest first.')
    .option('--json', 'one JSON array')
    .action((flags: { json?: true }) => list(io, flags.json === true));
  accounts
    .command('disable <email-or-id>')
    .description('Shuts an account out and ends its sessions.')
    .action((which: string) => setState(io, which, 'disable'));
  accounts
    .command('enable <email-or-id>')
    .description('Lets a disabled account sign in again.')
    .action((which: string) => setState(io, which, 'enable'));
  return accounts;
}

async function create(io: CliIo, flags: CreateFlags, stdin: Readable): Promise<void> {
  // Here nobody knows what the application keeps apart: one role cannot break a separation, two can.
  if (new Set(flags.role).size > 1) {
    throw new Error(
      "several roles are checked against your application's separation of duty: " +
        'make the account with one, and grant the others with `zero-trust access grant --app …`',
    );
  }
  // 144 bits, and nobody's choice (ASVS 6.4.1). A password in an argument would stand in the process list.
  const generated = flags.passwordStdin ? undefined : randomBytes(18).toString('base64url');
  const password = generated ?? (await passwordFrom(stdin));
  const account = await withServices(io, async (app) => {
    const roles = await app.get(RolesService).list();
    for (const role of flags.role) {
      if (roles.some(({ name }) => name === role)) continue;
      const known = roles.map(({ name }) => name).join(', ') || 'none yet';
      throw new Error(
        `there is no role "${role}" (roles: ${known}); bring in those of your code with \`zero-trust access sync\` first`,
      );
    }
    return app.get(UnitOfWork).run(async () => {
      const { email, name: displayName } = flags;
      const made = await app.get(AccountsService).create({ email, displayName, password }, SYSTEM_PRINCIPAL);
      for (const role of flags.role) {
        const reason = 'granted when the account was made on the command line';
        await app.get(GrantsService).grant({ subject: made.id, role, reason }, SYSTEM_PRINCIPAL);
      }
      return made;
    });
  });
  io.out(`made ${account.email} (${account.id})`);
  if (generated !== undefined) io.out(`password, shown only this once: ${generated}`);
}

async function list(io: CliIo, json: boolean): Promise<void> {
  const all = await withServices(io, async (app) => {
    const found: Account[] = [];
    for (let after: string | null | undefined; after !== null;) {
      const page = await app.get(AccountsService).list({ after, limit: 500 });
      found.push(...page.items);
      after = page.next;
    }
    return found;
  });
  if (json) io.out(JSON.stringify(all));
  else for (const { id, state, email } of all) io.out(`${id}  ${state.padEnd(8)}  ${email}`);
}

async function setState(io: CliIo, which: string, change: 'disable' | 'enable'): Promise<void> {
  const account = await withServices(io, async (app) => {
    const accounts = app.get(AccountsService);
    const found = which.includes('@') ? await accounts.findByEmail(which) : await accounts.find(which);
    if (!found) throw new Error('there is no such account');
    await accounts[change](found.id, SYSTEM_PRINCIPAL);
    return found;
  });
  io.out(`${change}d ${account.email} (${account.id})`);
}

const ignore = (): void => undefined;

type Services = Awaited<ReturnType<typeof NestFactory.createApplicationContext>>;

/** Starts the modules that an account needs, and nothing that listens; says a refusal in one line. */
async function withServices<T>(io: CliIo, work: (app: Services) => Promise<T>): Promise<T> {
  const { module, dataSource } = accountsContext(io.environment);
  let app: Services | undefined;
  try {
    // Nest's own logger writes warnings to standard output, among the results; errors are said once, by runCli.
    const options = { abortOnError: false, logger: { log: ignore, warn: io.err, error: ignore } };
    app = await NestFactory.createApplicationContext(module, options);
    return await work(app);
  } finally {
    await app?.close();
    if (dataSource.isInitialized) await dataSource.destroy();
  }
}

/** More than any password may have: the rest is refused with the reason that the policy gives. */
const MOST_BYTES = 4096;

async function passwordFrom(stdin: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk as string | Uint8Array);
    chunks.push(bytes);
    size += bytes.length;
    if (size > MOST_BYTES) break;
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
