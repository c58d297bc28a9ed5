import type { ReportReason } from './report.reasons.js';

/** A call that would have been refused, or would have passed, without anything of the call itself. */
export interface Finding {
  /** The address of the handler, as the access matrix names it. */
  readonly way: string;
  /** `Class.method`. */
  readonly handler: string;
  readonly reason: ReportReason | typeof PASSES | typeof OVERFLOW;
  /** Those that the caller lacks, sorted. */
  readonly permissions: readonly string[];
}

/** How often it was found, since when, and some of whom. */
export interface CountedFinding extends Finding {
  readonly times: number;
  readonly subjects: readonly string[];
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

/** What is known of a way in that was called and would have passed: nothing more is kept of it. */
export const PASSES = 'would pass';
export const OVERFLOW = 'more different findings than are told apart';

/** As in the table. */
export const MAX_SUBJECTS = 20;

interface Count {
  readonly finding: Finding;
  readonly subjects: Set<string>;
  times: number;
  firstSeenMs: number;
  lastSeenMs: number;
}

/** Counts findings until they are written. Bounded: what there is no room for is counted without particulars. */
export class Findings {
  #counts = new Map<string, Count>();

  constructor(private readonly maxDifferent: number) {}

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  add(finding: Finding, atMs: number, subject?: string): void {
    const subjects = subject === undefined ? [] : [subject];
    this.#add({ ...finding, times: 1, subjects, firstSeenMs: atMs, lastSeenMs: atMs });
  }

  /** Hands over what was counted, in one order for all replicas, so that none waits for another in a circle. */
  drain(): readonly CountedFinding[] {
    const counted = [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
    this.#counts = new Map();
    return counted.map(([, { finding, subjects, ...count }]) => ({
      ...finding,
      ...count,
      subjects: [...subjects].sort(),
    }));
  }

  /** Takes back what could not be written. */
  restore(findings: readonly CountedFinding[]): void {
    for (const finding of findings) this.#add(finding);
  }

  #add({ times, subjects, firstSeenMs, lastSeenMs, ...finding }: CountedFinding): void {
    const count = this.#countOf(finding, firstSeenMs, lastSeenMs);
    count.times += times;
    count.firstSeenMs = Math.min(count.firstSeenMs, firstSeenMs);
    count.lastSeenMs = Math.max(count.lastSeenMs, lastSeenMs);
    // Without particulars there is no handler that it could be said of.
    if (count.finding.reason === OVERFLOW) return;
    for (const subject of subjects) if (count.subjects.size < MAX_SUBJECTS) count.subjects.add(subject);
  }

  #countOf(finding: Finding, firstSeenMs: number, lastSeenMs: number): Count {
    const key = keyOf(finding);
    const known = this.#counts.get(key);
    if (known) return known;
    const isFull = this.#counts.size >= this.maxDifferent && finding.reason !== OVERFLOW;
    if (isFull) {
      return this.#countOf(
        { way: '*', handler: '*', reason: OVERFLOW, permissions: [] },
        firstSeenMs,
        lastSeenMs,
      );
    }
    const made: Count = { finding, subjects: new Set(), times: 0, firstSeenMs, lastSeenMs };
    this.#counts.set(key, made);
    return made;
  }
}

export function keyOf({ way, handler, reason, permissions }: Finding): string {
  return JSON.stringify([way, handler, reason, permissions]);
}
