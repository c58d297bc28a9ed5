import { Injectable, Logger, type ExecutionContext } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import type { IncomingMessage } from 'node:http';
import { closeSocket, isOpenSocket } from './connection-closing.js';
import { holdBack, letGo } from './held-socket.js';
import { letInOf, type Closable } from './open-connection.js';
import { OpenConnections } from './open-connections.js';
import { messageContextOf, PipelineGuard } from '../pipeline.guard.js';
import { RequestContext } from '../request-context.js';
import { ZeroTrustError } from '../zero-trust-error.js';

const UNJUDGED_RECOVERY =
  "Socket.IO's connectionStateRecovery says what a peer has missed before anybody is judged: leave it out.";

/** What became of one socket at one class of gateway. */
interface Admission {
  state: 'pending' | 'admitted' | 'refused';
  /** Never rejects. */
  settled: Promise<void> | undefined;
  /** The instances that it came to: as many as there are modules that provide the class. */
  readonly cameTo: WeakSet<object>;
  /** Those whose own `handleConnection` was told of it; only then is their `handleDisconnect`. */
  readonly entered: WeakSet<object>;
  /** In which it was judged. */
  context: RequestContext | undefined;
}

/** One call of `handleConnection`, as Nest makes it. */
export interface Connecting {
  readonly gateway: object;
  /** What carries the policy. */
  readonly handler: (...given: never[]) => unknown;
  readonly client: object;
  /** The upgrade request, from the adapter for `ws`. */
  readonly rest: readonly unknown[];
}

/**
 * Judges each socket before its gateway hears of it: by the policy of `handleConnection`, with the same guard as every
 * call. Who is refused is closed, and neither `handleConnection` nor a message handler runs for them.
 */
@Injectable()
export class ConnectionGate {
  readonly #logger = new Logger('Connections');
  readonly #admissions = new WeakMap<object, Map<object, Admission>>();

  constructor(
    private readonly modules: ModulesContainer,
    private readonly guard: PipelineGuard,
    private readonly connections: OpenConnections,
  ) {}

  /** Whether this application has made a gateway: itself, or (made anew for each connection) its class. */
  owns(gateway: object): 'itself' | 'its class' | undefined {
    let byClass = false;
    for (const module of this.modules.values()) {
      for (const wrapper of module.providers.values()) {
        if (wrapper.instance === gateway) return 'itself';
        byClass ||= !wrapper.isDependencyTreeStatic() && wrapper.metatype === gateway.constructor;
      }
    }
    return byClass ? 'its class' : undefined;
  }

  /** Judges a socket; `enter` is the host's method, and runs for whoever may. */
  admit(connecting: Connecting, enter: () => unknown): unknown {
    const { gateway, client, handler, rest } = connecting;
    const known = this.#admissionOf(client, gateway.constructor);
    // The method of a base class, called by the one that overrides it: it was judged a moment ago.
    if (known?.cameTo.has(gateway)) return known.state === 'admitted' ? enter() : undefined;
    if (known) return this.#enterAlso(connecting, known, enter);
    carryRequest(client, rest[0]);
    const admission: Admission = {
      state: 'pending',
      settled: undefined,
      context: undefined,
      cameTo: new WeakSet([gateway]),
      entered: new WeakSet(),
    };
    this.#remember(client, gateway.constructor, admission);
    const execution = new ExecutionContextHost([client, ...rest], gateway.constructor as never, handler);
    execution.setType('ws');
    const context = (): RequestContext | undefined => messageContextOf(execution);
    if (recoversConnections(client)) return this.#refuseRecovery(client, admission, execution);
    const verdict = this.guard.canActivate(execution);
    const admitted = (): void => {
      admission.state = 'admitted';
      // It may have gone meanwhile: a gateway hears of nobody after their end.
      if (!isOpenSocket(client)) return;
      if (this.#isLetInByAll(client)) letGo(client);
      const call = letInOf(execution, context());
      if (call) this.watch(client, call);
      admission.context = context();
      this.#enter(connecting, admission, enter);
    };
    if (!(verdict instanceof Promise)) {
      admitted();
      return undefined;
    }
    holdBack(client);
    admission.settled = verdict.then(admitted, (error: unknown) => {
      this.#refuse(client, admission, error);
    });
    return admission.settled;
  }

  /** Tells a gateway that a socket has gone, in the context that it came in; one that never heard of it hears nothing. */
  leave(gateway: object, client: object, tell: () => unknown): unknown {
    const admission = this.#admissionOf(client, gateway.constructor);
    if (!admission?.entered.has(gateway)) return undefined;
    return this.#call('handleDisconnect', admission.context, tell);
  }

  /**
   * Lets a message through whose socket was let in; waits for the verdict where it is not there yet.
   *
   * @throws ZeroTrustError `permission-denied`.
   */
  async assertAdmitted(client: object, gatewayClass: object): Promise<void> {
    const admission = this.#admissionOf(client, gatewayClass);
    await admission?.settled;
    if (admission?.state !== 'admitted' || !isOpenSocket(client)) {
      throw new ZeroTrustError('permission-denied', { detail: 'the connection was not let in' });
    }
  }

  watch(client: object, call: Parameters<OpenConnections['watch']>[1]): void {
    this.connections.watch(client as Closable, call, (error) => {
      for (const admission of this.#admissions.get(client)?.values() ?? []) admission.state = 'refused';
      closeSocket(client, error);
    });
  }

  /** At once: it would hear what is said to everybody while that is recorded. */
  async #refuseRecovery(client: object, admission: Admission, execution: ExecutionContext): Promise<void> {
    this.#logger.error(`a socket came to ${execution.getClass().name} and was refused: ${UNJUDGED_RECOVERY}`);
    const error = new ZeroTrustError('permission-denied', { detail: UNJUDGED_RECOVERY });
    this.#refuse(client, admission, error);
    await this.guard.refuse(execution, error).catch(() => undefined);
  }

  #refuse(client: object, admission: Admission, error: unknown): void {
    admission.state = 'refused';
    const detail = 'a connection could not be judged';
    closeSocket(
      client,
      error instanceof ZeroTrustError
        ? error
        : new ZeroTrustError('temporarily-unavailable', { detail, cause: error }),
    );
  }

  /** The same class in another module: it is judged by the same policy, which is asked once, and hears for itself. */
  #enterAlso(connecting: Connecting, known: Admission, enter: () => unknown): Promise<void> | undefined {
    known.cameTo.add(connecting.gateway);
    const entered = (): void => {
      this.#enter(connecting, known, enter);
    };
    if (known.settled) return known.settled.then(entered);
    entered();
    return undefined;
  }

  #enter({ gateway, client }: Connecting, admission: Admission, enter: () => unknown): void {
    if (admission.state !== 'admitted' || !isOpenSocket(client)) return;
    admission.entered.add(gateway);
    // One that fails must not leave the socket half known.
    void this.#call('handleConnection', admission.context, enter, () => {
      closeSocket(client, new ZeroTrustError('internal-error', { detail: 'handleConnection failed' }));
    });
  }

  /** A gateway that fails on a socket must not take the process with it: nobody waits for what Nest calls here. */
  #call(
    name: string,
    context: RequestContext | undefined,
    method: () => unknown,
    onFailure?: () => void,
  ): Promise<unknown> {
    const failed = (error: unknown): void => {
      this.#logger.error(error instanceof Error ? (error.stack ?? error.message) : `${name} failed`);
      onFailure?.();
    };
    try {
      return Promise.resolve(context ? RequestContext.run(context, method) : method()).catch(failed);
    } catch (error) {
      failed(error);
      return Promise.resolve();
    }
  }

  #isLetInByAll(client: object): boolean {
    for (const { state } of this.#admissions.get(client)?.values() ?? [])
      if (state !== 'admitted') return false;
    return true;
  }

  #admissionOf(client: object, gatewayClass: object): Admission | undefined {
    return this.#admissions.get(client)?.get(gatewayClass);
  }

  #remember(client: object, gatewayClass: object, admission: Admission): void {
    const admissions = this.#admissions.get(client) ?? new Map<object, Admission>();
    this.#admissions.set(client, admissions.set(gatewayClass, admission));
  }
}

/** Socket.IO gives a connection that recovers its rooms and what was said there by a secret alone, whatever was revoked. */
function recoversConnections(client: object): boolean {
  return 'pid' in client && client.pid !== undefined;
}

/** `ws` keeps the upgrade request nowhere; whoever judges a message looks for it where Socket.IO has it. */
function carryRequest(client: object, request: unknown): void {
  if ('request' in client && client.request !== undefined) return;
  if (!Array.isArray((request as Partial<IncomingMessage> | undefined)?.rawHeaders)) return;
  Object.defineProperty(client, 'request', { value: request, configurable: true });
}
