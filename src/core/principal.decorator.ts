import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { messageContextOf } from './pipeline.guard.js';
import type { Principal } from './principal.js';
import { RequestContext } from './request-context.js';

/**
 * Hands the handler who is asking, as the pipeline proved it on this request.
 *
 * @throws TypeError on a public handler, where nobody was asked for proof: a missing principal must not pass as one.
 */
export const CurrentPrincipal: () => ParameterDecorator = createParamDecorator(
  (_data: undefined, execution: ExecutionContext): Principal => {
    const context = messageContextOf(execution) ?? RequestContext.current();
    if (!context?.principal)
      throw new TypeError('@CurrentPrincipal() on a handler that nobody must sign in for.');
    return context.principal;
  },
);
