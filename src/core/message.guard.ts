import { Injectable, Optional, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { ConnectionGate } from './connections/connection-gate.js';
import { letInOf } from './connections/open-connection.js';
import { OpenStreams } from './connections/open-streams.js';
import { judgeAnswer } from './connections/streaming-handlers.js';
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
  readonly #gate: ConnectionGate;
  readonly #streams: OpenStreams;

  constructor(
    @Optional() pipeline?: PipelineGuard,
    @Optional() gate?: ConnectionGate,
    @Optional() streams?: OpenStreams,
  ) {
    if (!pipeline || !gate || !streams) {
      throw new BootError('MessageGuard', [
        'a class with message handlers is shared with an application that has the kit: import PipelineModule here too, or give this application a class of its own',
      ]);
    }
    this.#pipeline = pipeline;
    this.#gate = gate;
    this.#streams = streams;
  }

  canActivate(execution: ExecutionContext): boolean | Promise<boolean> {
    const type = execution.getType<string>();
    // These always pass the global guard.
    if (type === 'http' || type === 'graphql') return true;
    // The global guard ran on this very call; it would have thrown to refuse.
    const judged = messageContextOf(execution) ? true : this.#pipeline.canActivate(execution);
    if (type === 'ws') return this.#onItsConnection(execution, judged);
    return judged instanceof Promise
      ? judged.then(() => this.#ofAService(execution))
      : this.#ofAService(execution);
  }

  /** A message of a socket that was not let in is none; what one was let in for is judged again while it is open. */
  async #onItsConnection(execution: ExecutionContext, judged: boolean | Promise<boolean>): Promise<boolean> {
    // Both at once: neither may fail while nobody looks.
    const client = execution.getArgByIndex<object>(0);
    await Promise.all([judged, this.#gate.assertAdmitted(client, execution.getClass())]);
    const call = letInOf(execution, messageContextOf(execution));
    if (!call) return true;
    this.#gate.watch(client, call);
    judgeAnswer(this.#streams, call, client);
    return true;
  }

  /** What a microservice answers is judged again where it streams: nobody knows whose connection it is. */
  #ofAService(execution: ExecutionContext): true {
    const call = letInOf(execution, messageContextOf(execution));
    if (call) judgeAnswer(this.#streams, call);
    return true;
  }
}
