import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { ZeroTrustError } from '../core/zero-trust-error.js';

const refuse = (detail: string): ZeroTrustError => new ZeroTrustError('invalid-request', { detail });

/** Fields that mean something once only. Node keeps the first of them without a word, a proxy perhaps the last. */
const ONCE = ['host', 'content-type', 'origin', 'transfer-encoding'];
/** No two of them are of one length: most fields are told apart without looking at their letters. */
const ONCE_BY_LENGTH = new Map(ONCE.map((name, at) => [name.length, { name, bit: 1 << at }]));

/** RFC 9112 3.2, without user information: a name, an IPv4 or bracketed IPv6 address, with or without a port. */
const HOST = /^(?:[a-z0-9._-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

/** Looked at lately and found to be one: nearly every request names the same. */
let lastHost: string | undefined;

/**
 * A path and a query, nothing else (RFC 9112 3.2.1): the absolute form names a host beside `Host`, `*` nothing that is
 * served here, a fragment has no business on the wire, and some parsers take a backslash for a slash.
 */
const TARGET = /^\/[!"$->@-[\]-~]*(?:\?[!"$-~]*)?$/;

/** Connections on which nobody can know any more where the next request begins. */
const doubtful = new WeakSet<Socket>();

/**
 * Refuses request lines and header fields that two parsers could read in two ways. Where that could be said of the
 * end of the request, whatever follows on the connection is refused too, and it closes (ASVS 4.2.1).
 */
export function requestLineFault(
  request: IncomingMessage,
  limits: { readonly maxHeaderFields: number; readonly allowedHosts: readonly string[] },
): ZeroTrustError | undefined {
  const detail = doubtful.has(request.socket) ? 'it follows a doubtful request' : framingFault(request);
  if (detail !== undefined) {
    doubtful.add(request.socket);
    return new ZeroTrustError('invalid-request', { detail, headers: { Connection: 'close' } });
  }
  if (request.rawHeaders.length / 2 > limits.maxHeaderFields) {
    return new ZeroTrustError('headers-too-large', { detail: 'too many header fields' });
  }
  return (
    targetFault(request.url ?? '') ??
    hostFault(
      request.headers.host ?? (request.headers[':authority'] as string | undefined),
      request.httpVersion,
      limits.allowedHosts,
    )
  );
}

function framingFault({ headers, rawHeaders, httpVersion }: IncomingMessage): string | undefined {
  if (httpVersion !== '1.1' && httpVersion !== '1.0' && httpVersion !== '2.0')
    return 'a version of HTTP that is not served';
  const repeated = repeatedField(rawHeaders);
  if (repeated !== undefined) return `more than one ${repeated}`;
  const { 'transfer-encoding': coding } = headers;
  return coding === undefined || coding.toLowerCase() === 'chunked'
    ? undefined
    : 'a transfer coding other than chunked';
}

function repeatedField(rawHeaders: readonly string[]): string | undefined {
  let seen = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const field = rawHeaders[at] ?? '';
    const once = ONCE_BY_LENGTH.get(field.length);
    if (!once || field.toLowerCase() !== once.name) continue;
    if ((seen & once.bit) !== 0) return once.name;
    seen |= once.bit;
  }
  return undefined;
}

function targetFault(url: string): ZeroTrustError | undefined {
  if (!TARGET.test(url)) return refuse('the request target is not a path');
  if (!url.includes('%')) return undefined;
  if (url.includes('%00')) return refuse('the request target holds NUL');
  try {
    decodeURIComponent(url);
    return undefined;
  } catch {
    // Adapters, proxies and logs each make something else of it.
    return refuse('the request target is not percent-encoded UTF-8');
  }
}

function hostFault(
  host: string | undefined,
  httpVersion: string,
  allowed: readonly string[],
): ZeroTrustError | undefined {
  if (host === undefined && httpVersion === '1.0' && allowed.length === 0) return undefined;
  if (host === undefined) return refuse('no Host, or one that names none');
  if (host !== lastHost) {
    if (!HOST.test(host)) return refuse('no Host, or one that names none');
    lastHost = host;
  }
  return allowed.length === 0 || allowed.includes(host.toLowerCase())
    ? undefined
    : refuse('a Host that is not ours');
}
