import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Observable } from 'rxjs';
import { messageContextOf } from './pipeline.guard.js';
import { RequestContext } from './request-context.js';

/**
 * Has the handler of a message, and what it streams, run in the context of that message, whoever calls it: an interceptor of the application
 * that runs handlers from a queue of its own calls them in the context of whoever drains that, which may be another
 * caller's. The innermost of all, so that none comes between.
 */
@Injectable()
export class HandlerContextInterceptor implements NestInterceptor {
  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    const context = messageContextOf(execution);
    if (!context || RequestContext.current() === context) return next.handle();
    return new Observable((subscriber) =>
      RequestContext.run(context, () => next.handle().subscribe(subscriber)),
    );
  }
}
