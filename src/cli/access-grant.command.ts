import { Command } from 'commander';
import { SYSTEM_PRINCIPAL } from '../access/grants/actor.js';
import { GrantsService } from '../access/grants/grants.service.js';
import type { Grant } from '../access/grants/grants.store.js';
import { AccountsService } from '../identity/accounts/accounts.service.js';
import {
  APP_OPTION,
  EXPORT_OPTION,
  HOST_HELP,
  kitProvider,
  withHostApplication,
  type HostFlags,
} from './host-application.js';
import type { CliIo } from './run-cli.js';

interface Flags extends HostFlags {
  readonly to: string;
  readonly role: string;
  readonly reason: string;
  readonly scope?: string;
  readonly until?: string;
  readonly json?: true;
}

const HELP = `${HOST_HELP}

Checked as any grant is: the role exists, the scope is of a declared kind and names one that exists, and nobody comes to
hold roles that are to be separate.

Examples:
  zero-trust access grant --app dist/app.module.js --to you@example.com --role editor --reason 'joined the team'
  zero-trust access grant --app dist/app.module.js --to you@example.com --role editor --scope tenant:acme \\
    --until 2030-01-31T12:00:00Z --reason 'covers for a colleague'`;

/** `zero-trust access grant`: one role for one account, everywhere or in one scope. */
export function accessGrantCommand(io: CliIo): Command {
  return new Command('grant')
    .description('Grants a role to an account, everywhere or in one scope.')
    .addOption(APP_OPTION)
    .addOption(EXPORT_OPTION)
    .requiredOption('--to <account>', 'the id of the account, or its e-mail address')
    .requiredOption('--role <name>', 'the role; it must exist')
    .requiredOption('--reason <text>', 'why, for who reads it one day')
    .option('--scope <kind:id>', 'where it counts, e.g. project:7 (default: everywhere)')
    .option(
      '--until <time>',
      'when it ends by itself, e.g. 2030-01-31T12:00:00Z (default: when it is revoked)',
    )
    .option('--json', 'print the grant as JSON')
    .addHelpText('after', HELP)
    .action((flags: Flags) => grant(io, flags));
}

async function grant(io: CliIo, { to, role, reason, scope, until, ...flags }: Flags): Promise<void> {
  const expiresAt = until === undefined ? undefined : momentOf(until);
  const made = await withHostApplication(io, flags, async (app) => {
    const subject = to.includes('@') ? (await kitProvider(app, AccountsService).findByEmail(to))?.id : to;
    if (subject === undefined) throw new Error('there is no account with this e-mail address');
    return kitProvider(app, GrantsService).grant(
      { subject, role, reason, ...(scope !== undefined && { scope }), ...(expiresAt && { expiresAt }) },
      SYSTEM_PRINCIPAL,
    );
  });
  io.out(flags.json ? JSON.stringify(made) : lineOf(made));
}

function lineOf({ id, subject, role, scope, expiresAt }: Grant): string {
  const until = expiresAt === null ? 'until it is revoked' : `until ${expiresAt.toISOString()}`;
  return `granted ${role} to ${subject}, ${scope ?? 'everywhere'}, ${until} (${id})`;
}

/** Without its offset a time would mean another moment on another machine. */
function momentOf(text: string): Date {
  const moment = new Date(/(?:Z|[+-]\d{2}:\d{2})$/.test(text) ? text : Number.NaN);
  if (Number.isNaN(moment.getTime()))
    throw new Error('--until must be a time with its offset, e.g. 2030-01-31T12:00:00Z');
  return moment;
}
