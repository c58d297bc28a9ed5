import { IncomingMessage, ServerResponse, type Server } from 'node:http';

/** What an Express application lets its requests and answers inherit from. */
export interface ExpressPrototypes {
  request: object;
  response: object;
}

/**
 * Express gives each request and each answer the prototypes of its application, and V8 takes a microsecond to change one:
 * more than all decisions about the request together. Here the server makes them with these prototypes, so that there is
 * nothing to change. A server that does not say what it makes is left as it is: slower, and the same in all else.
 */
export function makeWithPrototypes(express: ExpressPrototypes, server: Server): void {
  const made = server as unknown as Record<symbol, unknown>;
  for (const [member, base] of [
    ['request', IncomingMessage],
    ['response', ServerResponse],
  ] as const) {
    const symbol = Object.getOwnPropertySymbols(server).find(({ description }) => description === base.name);
    // Somebody's own class may have a constructor of its own.
    if (!symbol || made[symbol] !== base) continue;
    const extended =
      member === 'request' ? class extends IncomingMessage {} : class extends ServerResponse {};
    takeThePlace(extended.prototype, express[member]);
    express[member] = extended.prototype;
    made[symbol] = extended;
  }
}

/**
 * One object becomes what another one is, in all that it has and inherits; whoever holds on to the other one sees what is
 * put on this one. An application that is mounted into another one later inherits from that, and keeps its own.
 */
function takeThePlace(taking: object, taken: object): void {
  Reflect.deleteProperty(taking, 'constructor');
  Object.defineProperties(taking, Object.getOwnPropertyDescriptors(taken));
  Object.setPrototypeOf(taking, Object.getPrototypeOf(taken) as object);
  Object.setPrototypeOf(taken, taking);
}
