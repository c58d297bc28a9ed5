import { Command } from 'commander';
import { migrate, type MigrateReport } from '../database/migrate.js';
import type { CliIo } from './run-cli.js';
import { readSetting, requireSetting } from '../core/setting.js';

interface Flags {
  readonly dir: readonly string[];
  readonly dryRun?: true;
  readonly json?: true;
}

const HELP = `
Settings (each also as …_FILE, the path of a file that holds it):
  DATABASE_OWNER_URL  the login that owns the schema; needs CREATEROLE, no superuser
  DATABASE_URL        the login of the running service: made, or brought up to date, with the password in the URL
  DATABASE_AUDIT_URL  the login that keeps the audit log: likewise
  DATABASE_CA         PEM of the authority that signed the database's certificate, beyond this machine

Several instances may run this at once: one works, the others wait. Running it again changes nothing but passwords.`;

/** `zero-trust migrate`: schema and logins, as the owner. */
export function migrateCommand(io: CliIo): Command {
  return new Command('migrate')
    .description(
      'Applies the SQL migrations of the kit and of your folders, and makes the least-privilege logins.',
    )
    .option('--dir <path...>', 'folders with your own <13 digits>-<words>.sql files', [])
    .option('--dry-run', 'say what would be applied, change nothing')
    .option('--json', 'print the report as JSON; progress goes to standard error')
    .addHelpText('after', HELP)
    .action(async (flags: Flags) => {
      const { environment } = io;
      const ownerUrl = requireSetting('DATABASE_OWNER_URL', environment);
      const appUrl = readSetting('DATABASE_URL', environment);
      const auditUrl = readSetting('DATABASE_AUDIT_URL', environment);
      const tlsCa = readSetting('DATABASE_CA', environment);
      const say = flags.json ? io.err : io.out;
      if (appUrl === undefined) say('DATABASE_URL is not set: the login of the service is left as it is');
      if (auditUrl === undefined)
        say('DATABASE_AUDIT_URL is not set: the login of the audit log is left as it is');
      const report = await migrate({
        ownerUrl,
        logins: [
          ...(appUrl === undefined ? [] : [{ url: appUrl, role: 'zt_app' as const }]),
          ...(auditUrl === undefined ? [] : [{ url: auditUrl, role: 'zt_audit_sequencer' as const }]),
        ],
        ...(tlsCa !== undefined && { tlsCa }),
        directories: flags.dir,
        dryRun: flags.dryRun === true,
        onProgress: say,
      });
      io.out(flags.json ? JSON.stringify(report) : summaryOf(report));
    });
}

function summaryOf({ applied, alreadyApplied, logins, dryRun }: MigrateReport): string {
  if (dryRun) {
    return [`would apply ${applied.length}, ${alreadyApplied} applied before`, ...applied].join('\n  ');
  }
  return `done: ${applied.length} applied, ${alreadyApplied} applied before, ${logins.length} logins up to date`;
}
