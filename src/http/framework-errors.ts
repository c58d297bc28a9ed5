import type { HttpServer } from '@nestjs/common';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { keptOptionsOf } from './fastify.options.js';
import type { ProblemFilter } from './problem.filter.js';

/**
 * Fastify's router refuses a target that it cannot decode and a path parameter that is too long before any hook, in a
 * shape of its own that repeats the target. It takes an answer of ours when it is made; by the time that an
 * application exists, only where Fastify keeps it.
 */
export function answerFrameworkErrors(adapter: HttpServer, filter: ProblemFilter): void {
  const options = keptOptionsOf(adapter);
  // Nest's own sets the security headers, and then sends.
  const { frameworkErrors: before } = options;
  options.frameworkErrors = (error, request, reply) => {
    const send = (): void => {
      filter.catch(error, new ExecutionContextHost([request, reply]));
    };
    if (before) return before(error, request, { raw: reply.raw, send });
    send();
    return undefined;
  };
}
