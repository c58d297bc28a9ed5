import { Injectable, Optional, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { messageContextOf, PipelineGuard } from './pipeline.guard.js';
import { BootError } from './zero-trust-error.js';

/**
 * Judges messages (microservices, websockets) where the global guard does not: a hybrid application's microservice
 * knows global guards only with `inheritAppConfig`. `MessageHandlers` binds it to every class with message handlers;
 * as a class, so that two applications in one process that share a handler class each find their own.
 */
@Injectable()
export class MessageGuard implements CanActivate {
  readonly #pipeline: PipelineGuard;

  constructor(@Optional() pipeline?: PipelineGuard) {
    if (!pipeline) {
      throw new BootError('MessageGuard', [
        'a class with message handlers is shared with an application that has the kit: import PipelineModule here too, or give this application a class of its own',
      ]);
    }
    this.#pipeline = pipeline;
  }

  canActivate(execution: ExecutionContext): boolean | Promise<boolean> {
    const type = execution.getType<string>();
    // These always pass the global guard.
    if (type === 'http' || type === 'graphql') return true;
    // The global guard ran on this very call; it would have thrown to refuse.
    if (messageContextOf(execution)) return true;
    return this.#pipeline.canActivate(execution);
  }
}
