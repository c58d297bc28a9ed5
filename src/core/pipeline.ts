import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { Authenticator } from './authenticator.js';
import type { JudgedCall } from './judged-call.js';
import { judgeWithoutConsequence } from './report-only.judgement.js';
import type { ReportOnlyMode } from './report-only.js';
import { PASSED, refusalIn, refused, type Verdict } from './verdict.js';
import { systemPermissionsOf } from './system-task.js';
import { BootError, ZeroTrustError } from './zero-trust-error.js';

/**
 * THE order in which a request is judged, on every transport. Nothing else decides it: neither the order of
 * module imports nor how often a module is imported. (Headers, CORS, body limit and the coarse limit per source
 * come before it, as middleware, because they must also see what never reaches a handler.)
 */
export const PIPELINE = [
  'throttle-route', // how often may this source call this route? before anything costs
  'authenticate', // proof → principal, written into the request context once
  'throttle-principal', // how often may this principal call this route?
  'segment', // may the caller's zone speak to this zone?
  'authorize', // decide(principal, policy, grants) → granted | refused(reason)
  'assure', // is it proved as surely and as lately as the handler demands? (RFC 9470)
] as const;

/** A place in `PIPELINE`. */
export type StageName = (typeof PIPELINE)[number];

/** The stages without which nothing may be served. */
const REQUIRED: readonly StageName[] = ['authenticate', 'authorize'];

export { PASSED, refused, type JudgedCall, type Verdict };

/** The stages that ask how often. */
const COUNTING: readonly StageName[] = ['throttle-route', 'throttle-principal'];

/** One judgement of every call, under the name that gives it its place in `PIPELINE`. */
export interface Stage {
  readonly name: Exclude<StageName, 'authenticate'>;
  /** Judges one call. Answers without a promise where it can: most allowed calls should cost no turn of the loop. */
  judge(call: JudgedCall): Verdict | Promise<Verdict>;
}

type Order = readonly { readonly name: StageName; readonly judge: Stage['judge'] }[];

/** Where modules register their stage. Registering the same stage twice is a fault of the application. */
@Injectable()
export class Pipeline implements OnApplicationBootstrap {
  readonly #stages = new Map<StageName, Stage['judge']>();
  readonly #faults: string[] = [];
  #order: Order = [];
  #orderAgain: Order = [];
  #isComplete = false;
  #reportOnly: ReportOnlyMode | undefined;

  register(stage: Stage): void {
    this.#add(stage.name, (call) => stage.judge(call));
  }

  /** Says who proves identity. @see Authenticator */
  useAuthenticator(authenticator: Authenticator): void {
    this.#add('authenticate', (call) => authenticate(authenticator, call));
  }

  /** Says which calls are judged without consequences. Without it every verdict counts. */
  useReportOnly(mode: ReportOnlyMode): void {
    this.#reportOnly = mode;
  }

  /** Judges a call stage by stage, in the order of `PIPELINE`. The first refusal is the verdict. */
  judge(call: JudgedCall): Verdict | Promise<Verdict> {
    const missing = this.#missing();
    if (missing) return missing;
    if (this.#reportOnly?.covers(call)) return judgeWithoutConsequence(this.#order, call, this.#reportOnly);
    return this.#judgeFrom(0, call, this.#order);
  }

  /** Judges anew what was let in and is still open: by every stage but those that ask how often, for nobody called. */
  judgeAgain(call: JudgedCall): Verdict | Promise<Verdict> {
    const missing = this.#missing();
    if (missing) return missing;
    // It was let in whatever was said of it, and that was told then.
    if (this.#reportOnly?.covers(call)) return PASSED;
    return this.#judgeFrom(0, call, this.#orderAgain);
  }

  #missing(): Verdict | undefined {
    if (this.#isComplete) return undefined;
    for (const name of REQUIRED) {
      if (!this.#stages.has(name)) {
        const detail = `the pipeline has no "${name}" stage`;
        return refused(detail, new ZeroTrustError('internal-error', { detail }));
      }
    }
    return undefined;
  }

  onApplicationBootstrap(): void {
    const missing = REQUIRED.filter((name) => !this.#stages.has(name)).map((name) =>
      name === 'authenticate'
        ? 'no authenticator: import SessionsModule, or call Pipeline.useAuthenticator(…) with your own'
        : 'no authorisation: import AccessModule',
    );
    const faults = [...this.#faults, ...missing];
    if (faults.length > 0) throw new BootError('The pipeline', faults);
  }

  #add(name: StageName, judge: Stage['judge']): void {
    if (this.#stages.has(name)) {
      this.#faults.push(
        `stage "${name}" was registered twice: import the module that brings it with one configuration`,
      );
      return;
    }
    this.#stages.set(name, judge);
    this.#order = PIPELINE.flatMap((each) => {
      const stage = this.#stages.get(each);
      return stage ? [{ name: each, judge: stage }] : [];
    });
    this.#isComplete = REQUIRED.every((each) => this.#stages.has(each));
    this.#orderAgain = this.#order.filter(({ name: each }) => !COUNTING.includes(each));
  }

  #judgeFrom(index: number, call: JudgedCall, order: Order): Verdict | Promise<Verdict> {
    for (let at = index; at < order.length; at += 1) {
      const verdict: unknown = order[at]?.judge(call);
      // The way of nearly every call.
      if (verdict === PASSED) continue;
      if (isPromise(verdict)) {
        return Promise.resolve(verdict).then(
          (settled) => refusalIn(settled) ?? this.#judgeFrom(at + 1, call, order),
        );
      }
      const refusal = refusalIn(verdict);
      if (refusal) return refusal;
    }
    return PASSED;
  }
}

/** Also one of another library or realm: taken for a value, it would be a principal of which nothing is known. */
function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { readonly then?: unknown } | null | undefined)?.then === 'function';
}

const CHALLENGE = { 'WWW-Authenticate': 'Bearer' };

function authenticate(authenticator: Authenticator, call: JudgedCall): Verdict | Promise<Verdict> {
  // A public handler asks for no proof; it must not fail because of a stale one either.
  if (call.policy.kind === 'public') return PASSED;
  // One GraphQL request runs the guard for each of its fields: who is asking was proved on this very request.
  if (call.context.principal) return PASSED;
  const principal = authenticator.authenticate(call.execution, call.context);
  if (isPromise(principal)) return Promise.resolve(principal).then((proved) => admit(proved, call));
  return admit(principal, call);
}

function admit(principal: Awaited<ReturnType<Authenticator['authenticate']>>, call: JudgedCall): Verdict {
  if (!principal) {
    const detail = 'no credentials were presented';
    return refused(detail, new ZeroTrustError('authentication-required', { detail, headers: CHALLENGE }));
  }
  if (systemPermissionsOf(principal)) {
    const detail = 'a task proves nothing on a request';
    return refused(detail, new ZeroTrustError('authentication-required', { detail, headers: CHALLENGE }));
  }
  call.context.authenticateAs(principal);
  return PASSED;
}
