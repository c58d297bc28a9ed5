import { Inject, Injectable, type ExecutionContext } from '@nestjs/common';
import { QUOTA_FIELDS, SAY_QUOTA, type SaysQuota } from '../core/answer-quota.js';
import { PASSED, refused, type JudgedCall, type Stage, type Verdict } from '../core/pipeline.js';
import { PrincipalNote } from '../core/principal-note.js';
import type { Principal } from '../core/principal.js';
import type { Transport } from '../core/request-context.js';
import { CountedKeys, type KeyGroup } from './counted-keys.js';
import type { Rate, RateOutcome } from './gcra.js';
import { limitsOf, type HandlerLimits } from './handler.limits.js';
import { RequestCounter, type CountedKey } from './request-counter.js';
import { addressOf, SourceKeys } from './source.key.js';
import { THROTTLING_SETTINGS, type ThrottlingSettings } from './throttling.options.js';
import { policyField, quotaField, tooManyRequests, type LimitPolicy } from './too-many-requests.error.js';

/** What both stages share: the limits compiled once a handler, and the one way to answer. */
@Injectable()
export class ThrottleStages {
  readonly #settings: ThrottlingSettings;
  readonly #counter: RequestCounter;
  readonly #sources: SourceKeys;
  /** The one that was asked for last: the second stage asks for it right after the first. */
  #last: CompiledHandler | undefined;
  readonly #compiled = new WeakMap<object, WeakMap<object, Map<Transport, CompiledHandler>>>();
  readonly #keys = new CountedKeys();
  readonly #lastKey = new PrincipalNote<CountedKey>();
  /** Names for sockets whose peer is unknown: a bucket each, never one for all. */
  readonly #sockets = new WeakMap<object, string>();
  #lastSocket = 0;

  constructor(@Inject(THROTTLING_SETTINGS) settings: ThrottlingSettings, counter: RequestCounter) {
    this.#settings = settings;
    this.#counter = counter;
    this.#sources = new SourceKeys(settings.ipv6PrefixBits);
  }

  /** Before authentication: how often may this source call this handler? */
  readonly route: Stage = {
    name: 'throttle-route',
    judge: (call) => {
      if (isNestedField(call.execution)) return PASSED;
      const handler = this.#handlerOf(call);
      const source = this.#sourceOf(call);
      const limit = source === undefined ? handler.shared : handler.route;
      const key = handler.sources.of(source ?? '*');
      // Where a principal is still to be proved, the quota that is announced is the principal's.
      return this.#judge(key, limit, call, call.policy.kind === 'public');
    },
  };

  /** After authentication: how often may this principal call this handler, from wherever? */
  readonly principal: Stage = {
    name: 'throttle-principal',
    judge: (call) => {
      const principal = call.context.principal;
      // Public handlers have no principal; their source was counted by the stage before.
      if (!principal || isNestedField(call.execution)) return PASSED;
      const handler = this.#handlerOf(call);
      return this.#judge(this.#keyOf(principal, handler), handler.principal, call, true);
    },
  };

  #judge(key: CountedKey, limit: NamedLimit, call: JudgedCall, last: boolean): Verdict | Promise<Verdict> {
    const outcome = this.#counter.consume(key, limit.rate);
    return outcome instanceof Promise
      ? outcome.then((settled) => this.#verdict(limit, settled, call, last))
      : this.#verdict(limit, outcome, call, last);
  }

  #verdict(
    { policy, rate, field }: NamedLimit,
    outcome: RateOutcome,
    call: JudgedCall,
    last: boolean,
  ): Verdict {
    if (!outcome.allowed) {
      const error = tooManyRequests(policy, rate, outcome);
      return refused(error.detail, error);
    }
    if (last && this.#settings.announceQuota) announce(call.execution, quotaField(policy, outcome), field);
    return PASSED;
  }

  /** Who calls a handler calls it again, most of the time. */
  #keyOf(principal: Principal, handler: CompiledHandler): CountedKey {
    const keys = handler.principals(principal.kind);
    const last = this.#lastKey.of(principal);
    if (last?.group === keys) return last;
    const key = keys.of(principal.subject);
    this.#lastKey.keep(principal, key);
    return key;
  }

  #sourceOf(call: JudgedCall): string | undefined {
    const address = addressOf(call.execution, call.context);
    if (address !== undefined) return this.#sources.of(address);
    if (call.execution.getType<string>() !== 'ws') return undefined;
    const client = call.execution.getArgByIndex<object>(0);
    let name = this.#sockets.get(client);
    if (name === undefined) {
      this.#lastSocket += 1;
      name = `socket-${this.#lastSocket}`;
      this.#sockets.set(client, name);
    }
    return name;
  }

  #handlerOf({ controller, handler, context }: JudgedCall): CompiledHandler {
    const last = this.#last;
    if (last?.handler === handler && last.controller === controller && last.transport === context.transport) {
      return last;
    }
    let handlers = this.#compiled.get(controller);
    if (!handlers) this.#compiled.set(controller, (handlers = new WeakMap()));
    let transports = handlers.get(handler);
    if (!transports) handlers.set(handler, (transports = new Map<Transport, CompiledHandler>()));
    let compiled = transports.get(context.transport);
    if (!compiled) {
      compiled = this.#compile(controller, handler, context.transport);
      transports.set(context.transport, compiled);
    }
    this.#last = compiled;
    return compiled;
  }

  /** Keys go by class and method and not by URL: `HEAD`, a trailing slash or other case reach the same bucket. */
  #compile(controller: Named, handler: Named, transport: Transport): CompiledHandler {
    const limits = limitsOf(handler, controller, this.#settings);
    const id = `${transport}|${controller.name ?? ''}.${handler.name ?? ''}`;
    const kinds = new Map<string, KeyGroup>();
    const ofKind = (kind: string): KeyGroup => {
      let group = kinds.get(kind);
      if (!group) kinds.set(kind, (group = this.#keys.group(`principal|${id}|${kind}|`)));
      return group;
    };
    return {
      ...{ handler, controller, transport },
      route: named('route', limits.route),
      shared: named('route', limits.shared),
      principal: named('principal', limits.principal),
      sources: this.#keys.group(`route|${id}|`),
      principals: ofKind,
    };
  }
}

type Named = object & { readonly name?: string };

interface NamedLimit {
  readonly policy: LimitPolicy;
  readonly rate: Rate;
  /** What `RateLimit-Policy` says of it. */
  readonly field: string;
}

type CompiledHandler = Readonly<Record<keyof HandlerLimits, NamedLimit>> & {
  readonly handler: object;
  readonly controller: object;
  readonly transport: Transport;
  readonly sources: KeyGroup;
  readonly principals: (kind: string) => KeyGroup;
};

function named(policy: LimitPolicy, rate: Rate): NamedLimit {
  return { policy, rate, field: policyField(policy, rate) };
}

/**
 * A GraphQL query runs the guard for each object that a field resolver is asked about; only what the caller named
 * at the top counts, each alias of it as a call of its own.
 */
function isNestedField(execution: ExecutionContext): boolean {
  if (execution.getType<string>() !== 'graphql') return false;
  const info = execution.getArgByIndex<{ path?: { prev?: unknown } } | undefined>(3);
  return info?.path?.prev !== undefined;
}

interface HeaderHolder {
  /** Of Fastify: what Node.js answers with. */
  readonly raw?: Partial<SaysQuota>;
  readonly setHeader?: (name: string, value: string) => void;
  readonly header?: (name: string, value: string) => void;
}

/** Tells an allowed caller what is left. Express and Fastify name the same thing differently. */
function announce(execution: ExecutionContext, quota: string, policy: string): void {
  if (execution.getType() !== 'http') return;
  const response = execution.getArgByIndex<(HeaderHolder & Partial<SaysQuota>) | undefined>(1);
  const answer = response?.raw ?? response;
  if (answer?.[SAY_QUOTA]) {
    answer[SAY_QUOTA](quota, policy);
    return;
  }
  for (const [at, value] of [quota, policy].entries()) {
    const name = QUOTA_FIELDS[at] ?? '';
    if (response?.setHeader) response.setHeader(name, value);
    else response?.header?.(name, value);
  }
}
