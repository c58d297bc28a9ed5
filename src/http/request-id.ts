import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { StandingFields } from './standing-fields.js';

const ID = Symbol('nestjs-zero-trust:request-id');

/**
 * Names each request when it leaves Node's parser, before the adapter sees it: what the adapter answers on its own,
 * a CORS preflight or a target that it cannot route, bears an id and the fields of every other answer too.
 */
export function nameRequests(server: Server, fields: StandingFields): void {
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    fields.putOn(response, requestIdOf(request));
  });
}

/** Ours alone: an id from outside could be chosen to collide with another request's. */
export function requestIdOf(request: IncomingMessage): string {
  // On the request itself: of all requests together a WeakMap would have to be kept, at a multiple of the cost.
  return ((request as { [ID]?: string })[ID] ??= randomUUID());
}
