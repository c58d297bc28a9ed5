import { Command, InvalidArgumentError, Option } from 'commander';
import { hasFindings } from '../access/report-only/access-report.js';
import { AccessReports } from '../access/report-only/access-reports.js';
import {
  APP_OPTION,
  EXPORT_OPTION,
  HOST_HELP,
  kitProvider,
  withHostApplication,
  type HostFlags,
} from './host-application.js';
import { formatReport, REPORT_FORMATS, type ReportFormat } from './report.format.js';
import type { CliIo } from './run-cli.js';

interface Flags extends HostFlags {
  readonly format: ReportFormat;
  readonly since?: number;
  readonly failOnFindings?: true;
  readonly clear?: true;
  readonly yes?: true;
}

const HELP = `${HOST_HELP}
Its database is asked what would have been refused.

Worst first: what would refuse the start, what would refuse calls (why, how often, of how many accounts, and which permission
they lack), what was never called and of which therefore nothing is known, and what would pass. The ids of the accounts, 20
at most for each reason, are in --format json.

Exit code 0 whatever was found; with --fail-on-findings 1 when enforcing would refuse the start or a call that was made.

Examples:
  zero-trust report --app dist/app.module.js
  zero-trust report --app dist/app.module.js --since 24h --fail-on-findings
  zero-trust report --app dist/app.module.js --clear --yes`;

/** `zero-trust report`: what would break if what is report-only were enforced, as `GET /admin/access/report` answers it. */
export function reportCommand(io: CliIo): Command {
  return new Command('report')
    .description('Sums up what report-only handlers would have refused, before you enforce them.')
    .addOption(APP_OPTION)
    .addOption(EXPORT_OPTION)
    .addOption(new Option('--format <format>', 'how to print it').choices(REPORT_FORMATS).default('table'))
    .option(
      '--since <age>',
      'only what was seen in the last 30m, 24h or 7d; counts go back to the first',
      seconds,
    )
    .option('--fail-on-findings', 'exit with 1 when something would break')
    .option('--clear', 'forget what was found, after printing it; needs --yes')
    .option('--yes', 'yes, forget it')
    .addHelpText('after', HELP)
    .action(async (flags: Flags) => {
      if (flags.clear && !flags.yes) {
        throw new Error('--clear forgets what was found, for good: add --yes if that is what you want');
      }
      if (flags.clear && flags.since !== undefined) {
        throw new Error('--clear forgets everything, also what --since leaves out: use one of the two');
      }
      const { report, cleared } = await withHostApplication(io, flags, async (app) => {
        const reports = kitProvider(app, AccessReports);
        const read = await reports.read(flags.since);
        return { report: read, cleared: flags.clear ? await reports.clear() : undefined };
      });
      io.out(formatReport(report, flags.format));
      // Results of a machine stay one document.
      if (cleared !== undefined) (flags.format === 'json' ? io.err : io.out)(`forgot ${cleared} findings`);
      if (flags.failOnFindings && hasFindings(report)) {
        throw new Error(
          'enforcing would break what the report names: mend it, then --clear --yes and look again',
        );
      }
    });
}

const UNITS: Readonly<Record<string, number>> = { m: 60, h: 3_600, d: 86_400 };

function seconds(age: string): number {
  const [, count = '', unit = ''] = /^([1-9]\d{0,4})([mhd])$/.exec(age) ?? [];
  const perUnit = UNITS[unit];
  if (perUnit === undefined) throw new InvalidArgumentError('Write it like 30m, 24h or 7d.');
  return Number(count) * perUnit;
}
