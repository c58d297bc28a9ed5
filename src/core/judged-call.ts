import type { ExecutionContext } from '@nestjs/common';
import type { RequestContext } from './request-context.js';
import type { RoutePolicy } from './route-policy.js';

/** One call, as every stage sees it. */
export interface JudgedCall {
  readonly execution: ExecutionContext;
  readonly context: RequestContext;
  readonly policy: RoutePolicy;
  /** The handler function and its class, as registered with Nest. */
  readonly handler: object;
  readonly controller: object;
}
