import { Injectable, Logger } from '@nestjs/common';
import { Clock } from '../../core/clock.js';
import { SecurityEvents } from '../../core/security-events.js';
import { keyOf, PASSES, type CountedFinding } from './report.findings.js';

/** One entry an hour for each way in and reason: the audit log tells that it goes on, the report how often. */
const EVENT_EVERY_MS = 3_600_000;
/** The log is reminded once a minute while it goes on. */
const LINE_EVERY_MS = 60_000;

/** Keeps report-only from being silent, and from filling log and audit log. */
@Injectable()
export class ReportAnnouncements {
  readonly #logger = new Logger('AccessModule');
  readonly #published = new Map<string, number>();
  #said = 0;
  #saidAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
  ) {}

  /** One line, when there is more to say than before and the last one is a minute old. */
  summarise(wouldRefuse: number): void {
    const nowMs = this.clock.nowMs();
    const calls = wouldRefuse - this.#said;
    if (calls === 0 || nowMs - this.#saidAtMs < LINE_EVERY_MS) return;
    this.#said = wouldRefuse;
    this.#saidAtMs = nowMs;
    this.#logger.warn(
      `REPORT-ONLY: ${calls} calls that enforcement would refuse were let through; see \`zero-trust report\``,
    );
  }

  /** Publishes the first finding of its kind in an hour. Never rejects: what fails is published with the next one. */
  async publish(findings: readonly CountedFinding[]): Promise<void> {
    const nowMs = this.clock.nowMs();
    for (const [key, atMs] of this.#published) {
      if (nowMs - atMs >= EVENT_EVERY_MS) this.#published.delete(key);
    }
    for (const finding of findings) {
      const key = keyOf(finding);
      if (finding.reason === PASSES || this.#published.has(key)) continue;
      this.#published.set(key, nowMs);
      const { handler, reason, permissions, times } = finding;
      try {
        await this.events.publish({
          action: 'access.would-refuse',
          outcome: 'failure',
          delivery: 'detached',
          target: { type: 'handler', id: handler },
          reason,
          detail: { count: times, ...(permissions.length > 0 && { permission: permissions.join(' ') }) },
        });
      } catch {
        this.#published.delete(key);
        // The log that does not answer now is asked again in a second, not for each finding.
        return;
      }
    }
  }
}
