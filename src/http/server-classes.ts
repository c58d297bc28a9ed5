import { IncomingMessage, ServerResponse, type Server } from 'node:http';
import { ServerRequest } from './server-request.js';

/** What an Express application lets its requests and answers inherit from. */
export interface ExpressPrototypes {
  request: object;
  response: object;
}

/** One of the options `IncomingMessage` and `ServerResponse` of a server: what it makes requests or answers of. */
type Made = (new (...given: never[]) => unknown) & { readonly name: string };

/**
 * Lets a server make requests of ours. A server that makes what somebody else told it, or does not say what it makes, is
 * left as it is: slower, and the same in all else.
 */
export function makeOurRequests(server: Server): void {
  replace(server, IncomingMessage, () => ServerRequest);
}

/**
 * Express gives each request and each answer the prototypes of its application, and V8 takes a microsecond to change one:
 * more than all decisions about the request together. Here the server makes them with these prototypes, so that there is
 * nothing to change, and requests are ours too.
 */
export function makeWithPrototypes(express: ExpressPrototypes, server: Server): void {
  replace(server, IncomingMessage, () => {
    const extended = class extends ServerRequest {};
    takeThePlace(extended.prototype, express.request, ServerRequest.prototype);
    express.request = extended.prototype;
    return extended;
  });
  replace(server, ServerResponse, () => {
    const extended = class extends ServerResponse {};
    takeThePlace(extended.prototype, express.response);
    express.response = extended.prototype;
    return extended;
  });
}

/**
 * Puts a class of ours where a server keeps the one of Node.js.
 *
 * @returns whether it did: a server that makes what somebody else told it, or does not say what it makes, is left as it is.
 */
export function replace(server: Server, base: Made, by: () => Made): boolean {
  const made = server as unknown as Record<symbol, unknown>;
  const symbol = Object.getOwnPropertySymbols(server).find(({ description }) => description === base.name);
  // Somebody's own class may have a constructor of its own.
  if (!symbol || made[symbol] !== base) return false;
  made[symbol] = by();
  return true;
}

/**
 * One object becomes what another one is, in all that it has and inherits; whoever holds on to the other one sees what is
 * put on this one. What is ours comes with it, where it has nothing of the name. An application that is mounted into another one later inherits from that, and keeps its own.
 */
function takeThePlace(taking: object, taken: object, ours: object = {}): void {
  Object.defineProperties(taking, Object.getOwnPropertyDescriptors(ours));
  Reflect.deleteProperty(taking, 'constructor');
  Object.defineProperties(taking, Object.getOwnPropertyDescriptors(taken));
  Object.setPrototypeOf(taking, Object.getPrototypeOf(taken) as object);
  Object.setPrototypeOf(taken, taking);
}
