import { MetadataScanner } from '@nestjs/core';
import {
  GATEWAY_METADATA,
  PATTERN_HANDLER_METADATA,
  SUBSCRIPTION_METADATA,
} from '../core/message-handlers.js';
import { policyOfMethod, metadataOf, type HandlerHost, type RouteEntry } from './route-entry.js';
import type { RoutePolicy } from '../core/route-policy.js';

/** `PatternHandler.EVENT` of `@nestjs/microservices`. */
const EVENT = 2;
const PATTERN_METADATA = 'microservices:pattern';
const MESSAGE_METADATA = 'message';
const GATEWAY_OPTIONS_METADATA = 'websockets:gateway_options';
const PORT_METADATA = 'port';

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

/** `@SubscribeMessage()` handlers of a gateway, and `handleConnection` where it has one. */
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
  if (typeof host.prototype['handleConnection'] !== 'function') return messages;
  const handlerName = 'handleConnection';
  const policy = openOnly(policyOfMethod(host, handlerName));
  return [
    ...messages,
    { transport: 'ws', method: 'CONNECT', path: place, className: host.name, handlerName, policy },
  ];
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

/** Nest calls it for every socket before any guard: a stricter policy would be written down and not enforced. */
function openOnly(policy: RoutePolicy): RoutePolicy {
  if (policy.kind === 'public') return policy;
  const fault =
    'runs for every socket before anybody is judged: write @Public() on it and let it tell nothing, or leave it out';
  return { kind: 'undeclared', fault };
}

function textOf(pattern: unknown): string {
  return typeof pattern === 'string' ? pattern : JSON.stringify(pattern);
}
