import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { PROTECTIVE_HEADERS } from './protective-headers.js';

const ids = new WeakMap<IncomingMessage, string>();

/**
 * Names each request when it leaves Node's parser, before the adapter sees it: what the adapter answers on its own,
 * a CORS preflight or a target that it cannot route, bears an id too.
 */
export function nameRequests(server: Server): void {
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    response.setHeader('X-Request-Id', requestIdOf(request));
    response.setHeader('Cache-Control', 'no-store');
    // Fastify answers a preflight before the hook that sets the others.
    if (request.method === 'OPTIONS') {
      for (const [name, value] of Object.entries(PROTECTIVE_HEADERS)) response.setHeader(name, value);
    }
  });
}

/** Ours alone: an id from outside could be chosen to collide with another request's. */
export function requestIdOf(request: IncomingMessage): string {
  const known = ids.get(request);
  if (known !== undefined) return known;
  const id = randomUUID();
  ids.set(request, id);
  return id;
}
