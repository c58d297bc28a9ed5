import type { ExecutionContext } from '@nestjs/common';
import { invalidToken } from './sessions.errors.js';

/** What Node.js keeps of a request: `rawHeaders` shows the second of two headers, `headers` hides it. */
interface CarriesHeaders {
  readonly rawHeaders: readonly string[];
  readonly url?: string;
}

/**
 * The one form: `Authorization`, once, the word `Bearer`, one space, the token (RFC 6750 2.1). A token in a query ends
 * up in logs and is refused (ASVS 14.2.1); one in a body is not looked at.
 *
 * @returns undefined when there is no token at all, or another scheme.
 * @throws ZeroTrustError `invalid-credentials`.
 */
export function bearerTokenOf(execution: ExecutionContext): string | undefined {
  const request = requestOf(execution);
  if (!request) return undefined;
  if (/[?&]access_token=/i.test(request.url ?? '')) throw invalidToken('a token was sent in the query');
  const values = request.rawHeaders.filter(
    (_, index, raw) => index % 2 === 1 && raw[index - 1]?.toLowerCase() === 'authorization',
  );
  if (values.length > 1) throw invalidToken('several Authorization headers were sent');
  const value = values[0];
  if (value === undefined || !/^\s*(?:bearer\b|$)/i.test(value)) return undefined;
  if (!/^Bearer [\w.-]+$/.test(value)) throw invalidToken('the Authorization header is malformed');
  return value.slice('Bearer '.length);
}

/**
 * The request that carried the proof: on HTTP and GraphQL the one in hand, on a websocket the upgrade request, where
 * the gateway's adapter left it as `client.request` (Socket.IO does by itself). A microservice message has none: its
 * data comes from whoever may write to the broker.
 */
function requestOf(execution: ExecutionContext): CarriesHeaders | undefined {
  switch (execution.getType<string>()) {
    case 'http':
      return headersOf(execution.getArgByIndex(0));
    case 'graphql':
      return headersOf(memberOf(execution.getArgByIndex(2), 'req'));
    case 'ws':
      return headersOf(memberOf(execution.getArgByIndex(0), 'request'));
    default:
      return undefined;
  }
}

/** Express hands out Node's own request, Fastify keeps it in `raw`. */
function headersOf(request: unknown): CarriesHeaders | undefined {
  for (const each of [request, memberOf(request, 'raw')]) {
    if (Array.isArray(memberOf(each, 'rawHeaders'))) return each as CarriesHeaders;
  }
  return undefined;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
