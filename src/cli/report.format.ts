import {
  REPORT_STATES,
  type AccessReport,
  type ReportedWay,
  type ReportFinding,
} from '../access/report-only/access-report.js';
import { MAX_SUBJECTS } from '../access/report-only/report.findings.js';
import { markdownTable, textTable } from './table.format.js';

export const REPORT_FORMATS = ['table', 'json', 'md'] as const;
export type ReportFormat = (typeof REPORT_FORMATS)[number];

const HEAD = ['enforced it', 'way in', 'why', 'times', 'subjects', 'last seen', 'handler'] as const;

const STATE = {
  'refuses-start': 'refuses the start',
  'would-refuse': 'refuses calls',
  'never-called': 'was never called',
  'would-pass': 'passes',
} as const;

/** The report for a terminal, a program or a document. */
export function formatReport(report: AccessReport, format: ReportFormat): string {
  // The very answer of `GET /admin/access/report`.
  if (format === 'json') return JSON.stringify(report, undefined, 2);
  const rows = [
    ...report.bypassing.map((way) => [
      ...[STATE['refuses-start'], way, 'is served where no guard sees it', '-', '-', '-', 'adapter'],
    ]),
    ...report.ways.flatMap(rowsOf),
  ];
  const said = [summaryOf(report), ...asides(report)];
  if (format === 'md')
    return [...(rows.length > 0 ? [markdownTable(HEAD, rows), ''] : []), ...said].join('\n');
  return [...(rows.length > 0 ? [textTable(HEAD, rows), ''] : []), ...said].join('\n');
}

function rowsOf({
  state,
  ways,
  handler,
  faults,
  findings,
  passed,
}: ReportedWay): readonly (readonly string[])[] {
  const row = (...cells: readonly string[]): readonly string[] => [
    STATE[state],
    ways.join(', '),
    ...cells,
    handler,
  ];
  return [
    // The handler has a column of its own.
    ...faults.map((fault) => row(fault.replace(/^\S+ \([^)]*\) /, ''), '-', '-', '-')),
    ...findings.map((finding) =>
      row(whyOf(finding), String(finding.times), countOf(finding.subjects), finding.lastSeenAt),
    ),
    ...(state === 'never-called' ? [row('nothing is known about it', '-', '-', '-')] : []),
    ...(state === 'would-pass' ? [row('-', String(passed), '-', '-')] : []),
  ];
}

function whyOf({ reason, permissions }: ReportFinding): string {
  return permissions.length === 0 ? reason : `${reason}: ${permissions.join(' ')}`;
}

function countOf(subjects: readonly string[]): string {
  if (subjects.length === 0) return '-';
  return subjects.length < MAX_SUBJECTS ? String(subjects.length) : `${subjects.length} or more`;
}

function summaryOf({ ways, bypassing }: AccessReport): string {
  const parts = REPORT_STATES.map((state) => {
    const extra = state === 'refuses-start' ? bypassing.length : 0;
    return `${ways.filter((way) => way.state === state).length + extra} ${SUMMARY[state]}`;
  });
  return `${ways.length + bypassing.length} report-only: ${parts.join(', ')}`;
}

const SUMMARY = {
  'refuses-start': 'would refuse the start',
  'would-refuse': 'would refuse calls',
  'never-called': 'never called',
  'would-pass': 'would pass',
} as const;

function asides({ unattributed, outdated }: AccessReport): readonly string[] {
  return [
    ...(unattributed > 0
      ? [`${unattributed} more calls would be refused; there were too many kinds to tell apart`]
      : []),
    ...(outdated > 0
      ? [`${outdated} findings are of handlers that are enforced by now, or gone: --clear forgets them`]
      : []),
  ];
}
