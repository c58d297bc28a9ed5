import { MetadataScanner } from '@nestjs/core';
import {
  GATEWAY_METADATA,
  PATTERN_HANDLER_METADATA,
  SUBSCRIPTION_METADATA,
} from '../../core/message-handlers.js';
import { policyOfMethod, metadataOf, type HandlerHost, type RouteEntry } from './route-entry.js';
import type { RoutePolicy } from '../../core/route-policy.js';

/** `PatternHandler.EVENT` of `@nestjs/microservices`. */
const EVENT = 2;
const PATTERN_METADATA = 'microservices:pattern';
const MESSAGE_METADATA = 'message';
const GATEWAY_OPTIONS_METADATA = 'websockets:gateway_options';
const PORT_METADATA = 'port';

/** The judgement of a socket stands in the class; whatever is put on the instance would run without it. */
const ON_INSTANCE = 'is replaced on its instance, where no socket is judged: make it a method of the class';

/** A socket that recovers gets its rooms and what was said there by a secret alone; core refuses what an adapter switches on. */
const RECOVERS =
  'has connectionStateRecovery, by which Socket.IO says what was missed before anybody is judged: leave it out';

const scanner = new MetadataScanner();

/** `@MessagePattern()` and `@EventPattern()` handlers of a controller. */
export function microserviceHandlersOf(host: HandlerHost): readonly RouteEntry[] {
  return scanner.getAllMethodNames(host.prototype).flatMap((handlerName): RouteEntry[] => {
    const kind = metadataOf(PATTERN_HANDLER_METADATA, host.prototype[handlerName]);
    if (kind === undefined) return [];
    const patterns = metadataOf(PATTERN_METADATA, host.prototype[handlerName]);
    return (Array.isArray(patterns) ? patterns : [patterns]).map((pattern) => ({
      transport: 'rpc',
      method: kind === EVENT ? 'EVENT' : 'MESSAGE',
      path: textOf(pattern),
      className: host.name,
      handlerName,
      policy: policyOfMethod(host, handlerName),
    }));
  });
}

/** `@SubscribeMessage()` handlers of a gateway, and who may open a socket to it. */
export function gatewayHandlersOf(host: HandlerHost): readonly RouteEntry[] {
  if (metadataOf(GATEWAY_METADATA, host.type) === undefined) return [];
  const place = placeOf(host);
  const messages = scanner.getAllMethodNames(host.prototype).flatMap((handlerName): RouteEntry[] => {
    if (metadataOf(SUBSCRIPTION_METADATA, host.prototype[handlerName]) === undefined) return [];
    const policy = policyOfMethod(host, handlerName);
    const event = textOf(metadataOf(MESSAGE_METADATA, host.prototype[handlerName]));
    // Gateways in different places may listen for the same event.
    const path = place === '/' ? event : `${place} ${event}`;
    return [{ transport: 'ws', method: 'MESSAGE', path, className: host.name, handlerName, policy }];
  });
  const handlerName = 'handleConnection';
  // A gateway without one lets in whoever is authenticated; core puts a method there that says so, but not in a preview.
  const fault = connectionFault(host, handlerName);
  const policy: RoutePolicy = fault
    ? { kind: 'undeclared', fault }
    : typeof host.prototype[handlerName] === 'function'
      ? policyOfMethod(host, handlerName)
      : { kind: 'authenticated' };
  return [
    ...messages,
    { transport: 'ws', method: 'CONNECT', path: place, className: host.name, handlerName, policy },
  ];
}

/** Why no socket of a gateway could be judged as its policy says. */
function connectionFault({ type, instance }: HandlerHost, handlerName: string): string | undefined {
  if (Object.hasOwn(instance ?? {}, handlerName)) return ON_INSTANCE;
  const options = metadataOf(GATEWAY_OPTIONS_METADATA, type) as
    { connectionStateRecovery?: unknown } | undefined;
  return options?.connectionStateRecovery ? RECOVERS : undefined;
}

/** Where a gateway is reached: its port, unless it is the application's, and its namespace or path. */
function placeOf({ type }: HandlerHost): string {
  const { namespace, path } = (metadataOf(GATEWAY_OPTIONS_METADATA, type) ?? {}) as {
    readonly namespace?: unknown;
    readonly path?: unknown;
  };
  const at = namespace ?? path ?? '/';
  const port = metadataOf(PORT_METADATA, type);
  const text = at instanceof RegExp ? at.toString() : typeof at === 'string' ? at : '/';
  return `${typeof port === 'number' && port !== 0 ? `:${port}` : ''}${text.startsWith('/') ? '' : '/'}${text}`;
}

function textOf(pattern: unknown): string {
  return typeof pattern === 'string' ? pattern : JSON.stringify(pattern);
}
