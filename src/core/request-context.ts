import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { Permission } from './permission.js';
import type { Principal } from './principal.js';
import { frozen } from './principal-note.js';

/** How a call reached the application; a `task` is called by a scheduler or a queue, and by nobody from outside. */
export type Transport = 'http' | 'rpc' | 'ws' | 'graphql' | 'task';

/** What the edge knows when a request comes in; the rest is written on its way. */
export interface RequestContextInit {
  /** Where the request was named before its context could be opened. Left out: a new one. */
  readonly id?: string | undefined;
  readonly transport: Transport;
  readonly receivedAtMs: number;
  /** The address of the peer, or of the client when a trusted proxy named it. Absent for brokers. */
  readonly sourceAddress?: string | undefined;
  readonly method?: string;
  /** Path without query: a query may hold personal data. */
  readonly path?: string;
  /** What the client calls itself: nobody's proof, and personal data. */
  readonly userAgent?: string | undefined;
}

const ambient = new AsyncLocalStorage<RequestContext>();
const NOTHING: readonly Permission[] = [];

/** What the kit knows of the request in hand. Written once by its owner at each step, then only read. */
export class RequestContext {
  /** Public: `X-Request-Id`, and `instance` of a problem document. */
  readonly id: string;
  readonly transport: Transport;
  readonly receivedAtMs: number;
  readonly sourceAddress: string | undefined;
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly userAgent: string | undefined;
  /** `Class.method` of the handler, written by the pipeline. */
  handler: string | undefined;
  #principal: Principal | undefined;
  #tenant: string | undefined;
  #letInBy: readonly Permission[] = NOTHING;

  constructor(init: RequestContextInit) {
    this.id = init.id ?? randomUUID();
    this.transport = init.transport;
    this.receivedAtMs = init.receivedAtMs;
    this.sourceAddress = init.sourceAddress;
    this.method = init.method;
    this.path = init.path;
    this.userAgent = init.userAgent;
  }

  /** Who is asking; undefined until the pipeline has authenticated the request, and on public routes. */
  get principal(): Principal | undefined {
    return this.#principal;
  }

  /** Owned by the pipeline's authenticate step. @throws TypeError when it is written twice. */
  authenticateAs(principal: Principal): void {
    if (this.#principal) throw new TypeError('The principal of a request is written once.');
    this.#principal = frozen(principal);
  }

  /**
   * The tenant that this request is of, among those of its principal; undefined when there are none. Whatever is asked of the
   * database for the request, PostgreSQL shows this tenant's rows only, where a table has row-level security.
   */
  get tenant(): string | undefined {
    return this.#tenant;
  }

  /** Owned by the pipeline's authorize step. @throws TypeError when it is changed. */
  enterTenant(tenant: string): void {
    if (this.#tenant !== undefined && this.#tenant !== tenant) {
      throw new TypeError('The tenant of a request is written once.');
    }
    this.#tenant = tenant;
  }

  /** The permissions by which the pipeline has let it in; several where it runs several handlers (GraphQL). */
  get letInBy(): readonly Permission[] {
    return this.#letInBy;
  }

  /** Owned by the pipeline's authorize step. */
  letIn(permissions: readonly Permission[]): void {
    this.#letInBy = this.#letInBy.length === 0 ? permissions : [...this.#letInBy, ...permissions];
  }

  /** The context of the request in hand, or undefined outside of one (CLI, timers). */
  static current(): RequestContext | undefined {
    return ambient.getStore();
  }

  /** Runs `work`, and whatever it starts, inside `context`. */
  static run<T>(context: RequestContext, work: () => T): T {
    return ambient.run(context, work);
  }
}
