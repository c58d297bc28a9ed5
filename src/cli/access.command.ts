import { Command } from 'commander';
import type { DeclaredRoles } from '../access/access.options.js';
import { AccessSettings } from '../access/access.settings.js';
import { SYSTEM_PRINCIPAL } from '../access/grants/actor.js';
import { RolesService, wordsOf, type RoleChange } from '../access/grants/roles.service.js';
import { SeparationReview, type SeparationViolations } from '../access/grants/separation-review.js';
import {
  APP_OPTION,
  EXPORT_OPTION,
  HOST_HELP,
  kitProvider,
  withHostApplication,
  type HostFlags,
} from './host-application.js';
import { accessGrantCommand } from './access-grant.command.js';
import type { CliIo } from './run-cli.js';

interface Flags extends HostFlags {
  readonly dryRun?: true;
  readonly json?: true;
  readonly failOnViolations?: true;
}

const HELP = `${HOST_HELP}

All roles or none are written, in one transaction with their audit entries, made by "system". Running it again changes
nothing. A role that code does not declare stays as it is.

Who holds roles that are to be separate (separationOfDuty) is named afterwards, 20 subjects at most: a separation binds
what is granted after it was declared, and what was granted before is yours to revoke.

Words: a permission, +inherited-role, >grantable-role.

Examples:
  zero-trust access sync --app dist/app.module.js --dry-run
  zero-trust access sync --app dist/app.module.js`;

/** `zero-trust access`: what code declares, brought into the database; and a role for an account. */
export function accessCommand(io: CliIo): Command {
  const access = new Command('access')
    .description('Brings the roles that code declares into the database, and grants one.')
    .helpCommand(false);
  access
    .command('sync')
    .description("Makes and changes roles until they are as AccessModule's option `roles` says.")
    .addOption(APP_OPTION)
    .addOption(EXPORT_OPTION)
    .option('--dry-run', 'say what would change, change nothing')
    .option('--json', 'print the changes as JSON')
    .option('--fail-on-violations', 'exit 1 when somebody holds roles that are to be separate')
    .addHelpText('after', HELP)
    .action((flags: Flags) => sync(io, flags));
  access.addCommand(accessGrantCommand(io));
  return access;
}

async function sync(io: CliIo, flags: Flags): Promise<void> {
  const dryRun = flags.dryRun === true;
  const { declared, changes, violations } = await withHostApplication(io, flags, async (app) => {
    const { roles } = kitProvider(app, AccessSettings);
    const service = kitProvider(app, RolesService);
    // Checked against the catalogue of the application itself, whose type this package cannot know.
    const wanted = Object.fromEntries(roles) as DeclaredRoles;
    return {
      declared: roles.size,
      changes: await service.sync(wanted, SYSTEM_PRINCIPAL, { dryRun }),
      violations: await kitProvider(app, SeparationReview).violations(wanted),
    };
  });
  const unchanged = declared - changes.length;
  if (flags.json) {
    io.out(JSON.stringify({ dryRun, changes, unchanged, violations }));
  } else {
    for (const change of changes) io.out(lineOf(change));
    const verb = dryRun ? 'would change' : 'changed';
    io.out(
      declared === 0
        ? "the application declares no roles: AccessModule's option `roles` is empty"
        : `${dryRun ? 'dry run' : 'done'}: ${changes.length} roles ${verb}, ${unchanged} as declared`,
    );
    for (const line of violationLines(violations)) io.out(line);
  }
  if (flags.failOnViolations && violations.count > 0) {
    throw new Error(`${subjectsOf(violations.count)} roles that are to be separate: revoke one of each`);
  }
}

function violationLines({ count, subjects }: SeparationViolations): readonly string[] {
  if (count === 0) return [];
  return [
    `separation of duty: ${subjectsOf(count)} roles that are to be separate`,
    ...subjects.flatMap(({ subject, broken }) =>
      broken.map(({ separation, roles }) => `${subject}: ${roles.join(' and ')} (${separation})`),
    ),
    ...(count > subjects.length ? [`… and ${count - subjects.length} more`] : []),
  ];
}

function subjectsOf(count: number): string {
  return count === 1 ? '1 subject holds' : `${count} subjects hold`;
}

function lineOf({ role, before, after }: RoleChange): string {
  const is = wordsOf(after);
  if (!before) return `${role}: new, with ${is.join(' ') || 'nothing'}`;
  const was = wordsOf(before);
  const gains = is.filter((word) => !was.includes(word)).join(' ');
  const loses = was.filter((word) => !is.includes(word)).join(' ');
  return `${role}: ${[gains && `gains ${gains}`, loses && `loses ${loses}`].filter(Boolean).join('; ')}`;
}
