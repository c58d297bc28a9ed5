import type { ExecutionContext } from '@nestjs/common';

/**
 * What a call carries under a name, as it came in: guards run before pipes. A path parameter, a GraphQL argument, a
 * member of a message; own properties alone.
 */
export function argumentOf(execution: ExecutionContext, name: string): unknown {
  switch (execution.getType<string>()) {
    case 'http':
      return memberOf(memberOf(execution.getArgByIndex(0), 'params'), name);
    case 'graphql':
    case 'ws':
      return memberOf(execution.getArgByIndex(1), name);
    case 'rpc':
      return memberOf(execution.getArgByIndex(0), name);
    default:
      return undefined;
  }
}

/** A header of the HTTP request in hand, where there is one and it was sent once. */
export function headerOf(execution: ExecutionContext, name: string): string | undefined {
  const type = execution.getType<string>();
  const request =
    type === 'http'
      ? execution.getArgByIndex<unknown>(0)
      : type === 'graphql'
        ? memberOf(execution.getArgByIndex(2), 'req')
        : type === 'ws'
          ? // Socket.IO reads it by a getter of its class.
            execution.getArgByIndex<{ readonly request?: unknown } | null | undefined>(0)?.request
          : undefined;
  // The request's headers are read by a getter of its class; what was sent is the own property of these alone.
  const headers = (request as { readonly headers?: unknown } | null | undefined)?.headers;
  const value = memberOf(headers, name);
  return typeof value === 'string' ? value : undefined;
}

/**
 * What tells one call of a handler from every other, the same for its guard and for its parameters: the request, the
 * `info` of a GraphQL field, the data of a message or its context.
 */
export function callOf(execution: ExecutionContext): object | undefined {
  const type = execution.getType<string>();
  const place = type === 'http' ? 0 : type === 'graphql' ? 3 : 1;
  const call: unknown = execution.getArgByIndex(place);
  return typeof call === 'object' && call !== null ? call : undefined;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
