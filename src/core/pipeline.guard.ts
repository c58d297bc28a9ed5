import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Clock } from './clock.js';
import { Pipeline, refused, type JudgedCall, type Verdict } from './pipeline.js';
import { RequestContext, type Transport } from './request-context.js';
import { policyOf } from './route-policy.js';
import { SecurityEvents } from './security-events.js';
import { refusalOf } from './verdict.js';
import { ZeroTrustError } from './zero-trust-error.js';

const TRANSPORTS: ReadonlySet<string> = new Set<Transport>(['http', 'rpc', 'ws', 'graphql']);

/** Message handlers have no middleware that opens a context: the guard opens one, the interceptor keeps it. */
const messageContexts = new WeakMap<object, RequestContext>();

/** The context that the guard opened for a message, by the arguments of its handler. */
export function messageContextOf(execution: ExecutionContext): RequestContext | undefined {
  return messageContexts.get(execution.getArgs());
}

interface NamedHandler {
  readonly controller: object;
  readonly name: string;
}

/** By the handler; an inherited one has several controllers, and is named anew where another one is asked for. */
const names = new WeakMap<object, NamedHandler>();

/** `Class.method`. */
function nameOf(controller: { readonly name: string }, handler: { readonly name: string }): string {
  const known = names.get(handler);
  if (known?.controller === controller) return known.name;
  const name = `${controller.name}.${handler.name}`;
  names.set(handler, { controller, name });
  return name;
}

/**
 * The policy enforcement point (NIST SP 800-207): the only guard of the kit, on every handler of every
 * transport. It fetches the policy, asks the pipeline, publishes a refusal, and throws.
 * Whatever is unknown, unreadable or thrown on the way is a refusal.
 */
@Injectable()
export class PipelineGuard implements CanActivate {
  constructor(
    private readonly pipeline: Pipeline,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
  ) {}

  canActivate(execution: ExecutionContext): boolean | Promise<boolean> {
    const context = this.#contextOf(execution);
    const verdict = this.clock.during(() => this.#judge(execution, context));
    if (verdict instanceof Promise) {
      return verdict.then(
        (settled) => (settled.passed ? true : this.#refuse(settled, context)),
        (thrown: unknown) => this.#refuse(refusalOf(thrown), context),
      );
    }
    return verdict.passed ? true : this.#refuse(verdict, context);
  }

  /** Refuses a call that is not even judged: named, recorded and thrown like any other. */
  refuse(execution: ExecutionContext, error: ZeroTrustError): Promise<never> {
    const context = this.#contextOf(execution);
    context.handler = nameOf(execution.getClass(), execution.getHandler());
    return this.#refuse(refusalOf(error), context);
  }

  #judge(execution: ExecutionContext, context: RequestContext): Verdict | Promise<Verdict> {
    try {
      if (!TRANSPORTS.has(execution.getType())) {
        const detail = 'the transport is unknown';
        return refused(detail, new ZeroTrustError('permission-denied', { detail }));
      }
      const handler = execution.getHandler();
      const controller = execution.getClass();
      context.handler = nameOf(controller, handler);
      const call: JudgedCall = { execution, context, policy: policyOf(handler), handler, controller };
      // What is asked of the database on the way is asked for this very call, whose tenant may be known by then.
      if (RequestContext.current() === context) return this.pipeline.judge(call);
      return RequestContext.run(context, () => this.pipeline.judge(call));
    } catch (thrown) {
      return refusalOf(thrown);
    }
  }

  async #refuse(verdict: Exclude<Verdict, { passed: true }>, context: RequestContext): Promise<never> {
    const { error, reason, target, detail } = verdict;
    const publish = (): Promise<void> =>
      this.events.publish({
        action:
          error.status === 401
            ? 'authentication.refused'
            : error.status === 429
              ? 'throttle.refused'
              : 'access.refused',
        outcome: 'failure',
        delivery: 'detached',
        reason,
        ...(target && { target }),
        detail: { ...detail, code: error.code },
      });
    const recorded = RequestContext.current() === context ? publish() : RequestContext.run(context, publish);
    // A store did not answer in time: do not wait for it once more. What records counts what it could not write.
    if (error.status === 503) {
      recorded.catch(() => undefined);
      throw error;
    }
    try {
      await recorded;
    } catch (cause) {
      // The refusal could not be recorded. It stays a refusal, and says that a check could not be made.
      throw new ZeroTrustError('temporarily-unavailable', {
        detail: 'a refusal could not be recorded',
        cause,
      });
    }
    throw error;
  }

  #contextOf(execution: ExecutionContext): RequestContext {
    const ambient = RequestContext.current();
    const type = execution.getType<string>();
    if (ambient && (type === 'http' || type === 'graphql')) return ambient;
    const context = new RequestContext({
      transport: TRANSPORTS.has(type) ? (type as Transport) : 'rpc',
      receivedAtMs: this.clock.nowMs(),
    });
    messageContexts.set(execution.getArgs(), context);
    return context;
  }
}
