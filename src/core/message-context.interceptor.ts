import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Observable } from 'rxjs';
import { messageContextOf } from './pipeline.guard.js';
import { RequestContext } from './request-context.js';

/**
 * Keeps the request context that the guard opened for a message while its handler runs. HTTP needs none:
 * its middleware wraps the whole request (and an interceptor there would cost 13 µs a request).
 */
@Injectable()
export class MessageContextInterceptor implements NestInterceptor {
  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    const context = messageContextOf(execution);
    if (!context) return next.handle();
    return new Observable((subscriber) =>
      RequestContext.run(context, () => next.handle().subscribe(subscriber)),
    );
  }
}
