import { Command } from 'commander';
import {
  AccessExplanation,
  type Explanation,
  type GrantPath,
} from '../access/decision/access-explanation.js';
import type { Decision } from '../access/decision/decide.js';
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
  readonly as: string;
  readonly permission: string;
  readonly resource?: string;
  readonly tenant?: string;
  readonly json?: true;
}

const HELP = `${HOST_HELP}

Decided by the same decide() as a request, on what the database says now. How surely the caller has authenticated is not
asked: the list of zero-trust routes says where that matters.

With --resource the object is loaded as the application does it, and each rule that a handler asks together with the
permission is named. Exit code 0 whatever the answer is; with --expect-granted 1 when it is no.

Examples:
  zero-trust explain --app dist/app.module.js --as viewer@example.test --permission documents:read
  zero-trust explain --app dist/app.module.js --as 0198c5f2-7d11-7c7e-a1a5-1f4b1c9c0b7e \\
    --permission documents:write --resource document:0198c5f3-0a52-7b3e-8f0e-6f2d8f8f4c11`;

/** `zero-trust explain`: why somebody may do something, or may not, as `POST /admin/access/explain` answers it. */
export function explainCommand(io: CliIo): Command {
  return new Command('explain')
    .description('Says whether an account may do something, and by which grants, roles and rules.')
    .addOption(APP_OPTION)
    .addOption(EXPORT_OPTION)
    .requiredOption('--as <account>', 'the id of the account, or its e-mail address')
    .requiredOption('--permission <permission>', 'what it wants to do, e.g. documents:read')
    .option('--resource <type:id>', 'to which object, e.g. document:0198c5f3-…')
    .option('--tenant <id>', 'in which tenant, for an account that belongs to several')
    .option('--expect-granted', 'exit code 1 when it is refused')
    .option('--json', 'print the answer as JSON')
    .addHelpText('after', HELP)
    .action((flags: Flags & { readonly expectGranted?: true }) => explain(io, flags));
}

async function explain(io: CliIo, flags: Flags & { readonly expectGranted?: true }): Promise<void> {
  const { permission, resource, tenant } = flags;
  const explanation = await withHostApplication(io, flags, async (app) => {
    const subject = flags.as.includes('@')
      ? (await kitProvider(app, AccountsService).findByEmail(flags.as))?.id
      : flags.as;
    if (subject === undefined) throw new Error('there is no account with this e-mail address');
    return kitProvider(app, AccessExplanation).explain({ subject, permission, resource, tenant });
  });
  if (flags.json) io.out(JSON.stringify(explanation));
  else for (const line of linesOf(explanation, flags)) io.out(line);
  if (flags.expectGranted && !explanation.decision.granted) throw new Error('it is refused');
}

function linesOf({ decision, grants, rules }: Explanation, { as, permission }: Flags): readonly string[] {
  return [
    `${as} ${permission}: ${wordsOf(decision)}`,
    ...(rules ?? []).map((each) => `  rule ${each.rule}: ${wordsOf(each.decision)}`),
    ...(grants.length === 0 ? ['  no grant leads to it'] : grants.map(grantLine)),
  ];
}

function wordsOf(decision: Decision): string {
  return decision.granted ? `granted by ${decision.by.join(', ')}` : `refused, ${decision.reason}`;
}

function grantLine({ grantId, roles, scope, expiresAt }: GrantPath): string {
  const until = expiresAt === null ? '' : `, until ${expiresAt.toISOString()}`;
  return `  grant ${grantId}: ${roles.join(' → ')}, ${scope ?? 'everywhere'}${until}`;
}
