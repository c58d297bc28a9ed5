import type { ServedHandler } from '../inventory/handler-addresses.js';
import { OVERFLOW, PASSES } from './report.findings.js';
import type { StoredFinding } from './report.store.js';
import { wayOf } from '../inventory/route-name.js';

/** What enforcing a handler would do, worst first. `never-called`: nobody knows. */
export const REPORT_STATES = ['refuses-start', 'would-refuse', 'never-called', 'would-pass'] as const;
export type ReportState = (typeof REPORT_STATES)[number];

/** A reason for which calls would have been refused. */
export interface ReportFinding {
  readonly reason: string;
  /** What the callers lack, where that is the reason. */
  readonly permissions: readonly string[];
  readonly times: number;
  /** Ids of at most 20 of the accounts that it concerns. */
  readonly subjects: readonly string[];
  readonly firstSeenAt: string;
  readonly lastSeenAt: string;
}

/** A report-only handler, and what would become of it. */
export interface ReportedWay {
  /** Its addresses, e.g. `GET /cats/:id`. */
  readonly ways: readonly string[];
  readonly handler: string;
  readonly policy: 'public' | 'authenticated' | 'permission' | 'system' | 'undeclared';
  readonly permissions: readonly string[];
  readonly state: ReportState;
  /** What would refuse the start; empty for every other state. */
  readonly faults: readonly string[];
  /** Calls that would have passed. */
  readonly passed: number;
  readonly findings: readonly ReportFinding[];
}

/** What would break if everything that is report-only were enforced. */
export interface AccessReport {
  readonly ways: readonly ReportedWay[];
  /** Routes of the adapter that nobody reviewed: enforced, they would refuse the start. */
  readonly bypassing: readonly string[];
  /** Calls that would have been refused and that no handler can be named for. */
  readonly unattributed: number;
  /** Rows of handlers that are enforced by now, or gone. */
  readonly outdated: number;
}

/** Puts together what the application says and what was found. Pure; sorted by what is worst, then by address. */
export function accessReport(
  handlers: readonly ServedHandler[],
  faultsOf: (handler: ServedHandler) => readonly string[],
  bypassing: readonly string[],
  stored: readonly StoredFinding[],
): AccessReport {
  const used = new Set<StoredFinding>();
  const ways = handlers
    .filter(({ entries }) => entries.some(({ reportOnly }) => reportOnly))
    .map((handler) => {
      const { address } = handler;
      const own = stored.filter(({ way, handler: name }) => way === address.way && name === address.handler);
      own.forEach((row) => used.add(row));
      return reportedWay(handler, faultsOf(handler), own);
    })
    .sort((a, b) => rankOf(a) - rankOf(b) || (sortKeyOf(a) < sortKeyOf(b) ? -1 : 1));
  const unattributed = stored.filter(({ reason }) => reason === OVERFLOW);
  unattributed.forEach((row) => used.add(row));
  return {
    ways,
    bypassing: [...bypassing].sort(),
    unattributed: sumOf(unattributed),
    outdated: stored.filter((row) => !used.has(row)).length,
  };
}

/** Whether enforcing would break anything that is known of. */
export function hasFindings({ ways, bypassing, unattributed }: AccessReport): boolean {
  return (
    bypassing.length > 0 ||
    unattributed > 0 ||
    ways.some(({ state }) => state === 'refuses-start' || state === 'would-refuse')
  );
}

function reportedWay(
  { entries, address }: ServedHandler,
  faults: readonly string[],
  rows: readonly StoredFinding[],
): ReportedWay {
  const policy = entries[0]?.policy ?? { kind: 'undeclared' as const };
  const findings = rows
    .filter(({ reason }) => reason !== PASSES)
    .map(({ reason, permissions, times, subjects, firstSeenAt, lastSeenAt }) => ({
      ...{ reason, permissions, times, subjects },
      firstSeenAt: firstSeenAt.toISOString(),
      lastSeenAt: lastSeenAt.toISOString(),
    }))
    .sort((a, b) => b.times - a.times);
  // A field may have no guard, whatever the mode: anybody who reaches its object reads it, before and after.
  const isNeverJudged = policy.kind === 'public' && entries.every(({ method }) => method === 'FIELD');
  return {
    ways: [...new Set(entries.map(wayOf))].sort(),
    handler: address.handler,
    policy: policy.kind,
    permissions: policy.kind === 'permission' ? policy.permissions : [],
    state:
      faults.length > 0
        ? 'refuses-start'
        : findings.length > 0
          ? 'would-refuse'
          : rows.length > 0 || isNeverJudged
            ? 'would-pass'
            : 'never-called',
    faults,
    passed: sumOf(rows.filter(({ reason }) => reason === PASSES)),
    findings,
  };
}

function rankOf({ state }: ReportedWay): number {
  return REPORT_STATES.indexOf(state);
}

function sortKeyOf({ ways, handler }: ReportedWay): string {
  return `${ways.join(' ')} ${handler}`;
}

function sumOf(rows: readonly StoredFinding[]): number {
  return rows.reduce((sum, { times }) => sum + times, 0);
}
