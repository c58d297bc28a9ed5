import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { Clock } from '../../core/clock.js';
import type { Permission } from '../../core/permission.js';
import type { JudgedCall } from '../../core/pipeline.js';
import type { ReportOnlyMode, WouldBeRefusal } from '../../core/report-only.js';
import { RequestContext } from '../../core/request-context.js';
import { databaseErrorLine } from '../../database/database.errors.js';
import { HandlerAddresses, type HandlerAddress } from '../inventory/handler-addresses.js';
import { canHoldGrants } from '../decision/held-permissions.js';
import { MissingPermissions } from './missing-permissions.js';
import { ReportOnlyCoverage } from './report-only.coverage.js';
import { ReportAnnouncements } from './report.announcements.js';
import { Findings, PASSES, type Finding } from './report.findings.js';
import { reasonOf } from './report.reasons.js';
import { ReportStore } from './report.store.js';

const FLUSH_EVERY_MS = 1_000;
/** Handlers × reasons × permissions, all of them named in code: more than that is a mistake somewhere. */
const MAX_DIFFERENT = 5_000;

/** Since the process has started. For metrics. */
export interface ReportOnlyCounts {
  /** Calls that were let through and would have been refused. */
  readonly wouldRefuse: number;
  /** Calls of report-only handlers that enforcement would let through too. */
  readonly wouldPass: number;
  /** Findings that wait to be written, or could not be. */
  readonly unrecorded: number;
}

/**
 * Records what report-only handlers would refuse, off the way of the call: counted in memory, written once a second. A
 * database that does not answer costs the call nothing; what it could not take is kept, and lost with the process alone.
 */
@Injectable()
export class ReportOnlyRecorder
  implements ReportOnlyMode, OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown
{
  readonly #logger = new Logger('AccessModule');
  readonly #findings = new Findings(MAX_DIFFERENT);
  readonly #reported = new WeakMap<RequestContext, HandlerAddress>();
  readonly #enforced = new WeakSet<RequestContext>();
  #wouldRefuse = 0;
  #wouldPass = 0;
  #unrecorded = 0;
  #isFailing = false;
  #flushing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly coverage: ReportOnlyCoverage,
    private readonly addresses: HandlerAddresses,
    private readonly missing: MissingPermissions,
    private readonly store: ReportStore,
    private readonly announcements: ReportAnnouncements,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    if (!this.coverage.inUse) return;
    this.#timer = setInterval(() => void this.flush(), FLUSH_EVERY_MS);
    this.#timer.unref();
  }

  counts(): ReportOnlyCounts {
    return { wouldRefuse: this.#wouldRefuse, wouldPass: this.#wouldPass, unrecorded: this.#unrecorded };
  }

  covers(call: JudgedCall): boolean {
    const covered = this.coverage.covers(call.controller, call.handler);
    if (covered) this.#reported.set(call.context, this.addresses.of(call));
    // One GraphQL request runs many handlers: what one of them may overlook, another must not.
    else if (call.execution.getType<string>() === 'graphql') this.#enforced.add(call.context);
    return covered;
  }

  judged(call: JudgedCall, refusals: readonly WouldBeRefusal[]): void {
    const address = this.addresses.of(call);
    if (refusals.length === 0) {
      this.#wouldPass += 1;
      this.#add({ ...address, reason: PASSES, permissions: [] });
      return;
    }
    this.#wouldRefuse += 1;
    const subject = call.context.principal?.subject;
    // Whoever asks, and with whatever proof: what it will demand is not known yet.
    if (call.policy.kind === 'undeclared') {
      this.#add({ ...address, reason: 'the handler has no policy', permissions: [] }, subject);
      return;
    }
    for (const reason of new Set(refusals.map(reasonOf))) {
      if (reason !== 'a demanded permission is not held') {
        this.#add({ ...address, reason, permissions: [] }, subject);
        continue;
      }
      void this.missing.of(call).then((lacked) => {
        this.#add({ ...address, ...lacked }, subject);
      });
    }
  }

  /**
   * Whether what a handler would refuse by itself, about an object, is let through: it belongs to a call that is
   * report-only, and has been counted now.
   *
   * @param reason of `decide()`
   */
  letsThrough(permission: Permission, reason: string): boolean {
    const context = RequestContext.current();
    const address = context && this.#reported.get(context);
    if (!context || !address || this.#enforced.has(context)) return false;
    this.#wouldRefuse += 1;
    const lacks = reason === 'a demanded permission is not held';
    this.#add(
      {
        ...address,
        reason: lacks ? 'a demanded permission is not held' : 'the object is beyond the caller',
        permissions: [permission],
      },
      context.principal?.subject,
    );
    return true;
  }

  /** Writes what was counted. Never rejects. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => (this.#flushing = undefined));
    return this.#flushing;
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.flush();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    // What came while the last calls finished, and after a flush that is still under way had begun.
    await this.#flushing;
    await this.flush();
    if (this.#unrecorded > 0) {
      this.#logger.error(
        `Stopping with ${this.#unrecorded} report-only findings that could not be recorded.`,
      );
    }
  }

  #add(finding: Finding, subject?: string): void {
    this.#unrecorded += 1;
    // Ids alone: what another identity calls its subjects may be anything, a name or an address.
    const known = subject !== undefined && canHoldGrants(subject) ? subject.toLowerCase() : undefined;
    this.#findings.add(finding, this.clock.nowMs(), finding.reason === PASSES ? undefined : known);
  }

  async #flush(): Promise<void> {
    this.announcements.summarise(this.#wouldRefuse);
    if (this.#findings.isEmpty) return;
    const found = this.#findings.drain();
    try {
      await this.store.add(found);
      this.#unrecorded -= found.reduce((sum, { times }) => sum + times, 0);
      this.#isFailing = false;
    } catch (error) {
      this.#findings.restore(found);
      if (!this.#isFailing) {
        const line = databaseErrorLine(error);
        this.#logger.error(`What report-only found could not be recorded and is kept: ${line}`);
      }
      this.#isFailing = true;
      return;
    }
    await this.announcements.publish(found);
  }
}
