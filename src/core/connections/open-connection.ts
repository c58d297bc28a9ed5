import type { ExecutionContext } from '@nestjs/common';
import type { Principal } from '../principal.js';
import type { RequestContext } from '../request-context.js';
import { policyOf } from '../route-policy.js';
import type { ZeroTrustError } from '../zero-trust-error.js';

/** What stays open after it was judged: a socket or a response. */
export interface Closable {
  on(event: 'close' | 'disconnect', listener: () => void): unknown;
}

/** One call by which a connection was let in, with all that is needed to judge it again. */
export interface LetIn {
  readonly execution: ExecutionContext;
  readonly context: RequestContext;
  readonly principal: Principal;
}

/** By what name callers are told apart, whatever connections and sessions they have. */
export function callerOf({ principal }: LetIn): string {
  return `${principal.kind} ${principal.subject}`;
}

/** While nothing is asked. */
const NEVER = Number.POSITIVE_INFINITY;

/** One open socket, response or stream, with everything that its peer was let in for. */
export class OpenConnection {
  /** Which handlers, each as it was called last: at most as many as there are. */
  readonly #calls = new Map<object, LetIn>();
  #loadsObjects = false;
  /** By when it must have been judged again, by a clock that nobody can set. */
  #dueAtMs = NEVER;
  /** The same for what was asked since its judgement began: that may have looked before something changed. */
  #dueAfterwardsAtMs = NEVER;
  /** Of the request that opened it: what its peer and the log know it by. */
  readonly id: string;
  /** Whoever opened it: on whose account it is judged. */
  readonly caller: string;
  /** The call that is being judged at this moment; undefined while none is. */
  judging: LetIn | undefined;

  constructor(
    /** What is open. */
    readonly connection: object,
    call: LetIn,
    readonly close: (error: ZeroTrustError) => void,
    /** What carries it, where a stream is not ended without that. */
    readonly carrier?: object,
  ) {
    this.id = call.context.id;
    this.caller = callerOf(call);
    this.add(call);
  }

  get dueAtMs(): number {
    return this.#dueAtMs;
  }

  /** Whether it is to be judged, or is being judged. */
  get isAsked(): boolean {
    return this.#dueAtMs !== NEVER;
  }

  ask(dueAtMs: number): void {
    if (this.judging) this.#dueAfterwardsAtMs = Math.min(this.#dueAfterwardsAtMs, dueAtMs);
    else this.#dueAtMs = Math.min(this.#dueAtMs, dueAtMs);
  }

  /** What was asked before its judgement began is answered; what was asked since is not. */
  settle(): void {
    this.judging = undefined;
    this.#dueAtMs = this.#dueAfterwardsAtMs;
    this.#dueAfterwardsAtMs = NEVER;
  }

  /** Gives it as much more time. */
  delay(byMs: number): void {
    this.#dueAtMs += byMs;
    this.#dueAfterwardsAtMs += byMs;
  }

  get calls(): readonly LetIn[] {
    return [...this.#calls.values()];
  }

  /** Whether to judge it again is to load an object of the application, however long that takes. */
  get loadsObjects(): boolean {
    return this.#loadsObjects;
  }

  add(call: LetIn): void {
    const handler = call.execution.getHandler();
    this.#calls.set(handler, call);
    const policy = policyOf(handler);
    this.#loadsObjects ||= policy.kind === 'permission' && policy.resource !== undefined;
  }

  /** Whether it is still let in by this very call: a later one to the same handler stands in its place. */
  has(call: LetIn): boolean {
    return this.#calls.get(call.execution.getHandler()) === call;
  }

  /** What it was let in for by a call is over, unless a later one stands in its place. */
  drop(call: LetIn): void {
    if (this.has(call)) this.#calls.delete(call.execution.getHandler());
  }

  concerns(test: (principal: Principal) => boolean): boolean {
    for (const { principal } of this.#calls.values()) if (test(principal)) return true;
    return false;
  }
}

/** Whether somebody was proved and asked for: what everybody may do needs no second look. */
export function letInOf(execution: ExecutionContext, context: RequestContext | undefined): LetIn | undefined {
  const principal = context?.principal;
  if (!principal || policyOf(execution.getHandler()).kind === 'public') return undefined;
  return { execution, context, principal };
}
