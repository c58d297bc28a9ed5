import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Observable } from 'rxjs';
import { watchedAnswer } from './connections/streaming-handlers.js';
import { messageContextOf } from './pipeline.guard.js';
import { RequestContext } from './request-context.js';

/**
 * Keeps the request context that the guard opened for a message while it is answered, and judges what streams for as
 * long as it does: outside of the application's own interceptors, which may make a stream of any answer. HTTP needs
 * none: its middleware wraps the whole request (and an interceptor there would cost 13 µs a request).
 */
@Injectable()
export class MessageContextInterceptor implements NestInterceptor {
  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    const context = messageContextOf(execution);
    if (!context) return next.handle();
    const answer = new Observable((subscriber) =>
      RequestContext.run(context, () => next.handle().subscribe(subscriber)),
    );
    return watchedAnswer(context, answer);
  }
}
