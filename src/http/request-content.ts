import type { IncomingHttpHeaders } from 'node:http';
import { ZeroTrustError } from '../core/zero-trust-error.js';

/**
 * Keys that reach a prototype when an object is merged (CWE-1321). Validation by classes cannot see `constructor`: it
 * needs that very property to find the class.
 */
const POLLUTING: ReadonlySet<string> = new Set(['__proto__', 'constructor']);

const refuse = (detail: string): ZeroTrustError => new ZeroTrustError('invalid-request', { detail });

/**
 * Judges the media type of a body before anything reads it: JSON in UTF-8 or nothing (RFC 8259 8.1). A browser can
 * send other types across sites without asking first, so none of them may ever be bound (ASVS 3.5.2).
 */
export function mediaTypeFault(headers: IncomingHttpHeaders): ZeroTrustError | undefined {
  const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  if (!hasBody) return undefined;
  const unsupported = (detail: string): ZeroTrustError =>
    new ZeroTrustError('unsupported-media-type', { detail });
  if (headers['content-encoding'] !== undefined) return unsupported('a compressed body');
  if (!/^application\/json(?:\s*;\s*charset="?utf-8"?)?\s*$/i.test(headers['content-type'] ?? '')) {
    return unsupported('the body is not application/json in UTF-8');
  }
  return undefined;
}

/** Refuses what no handler of this application could mean. `undefined`: nothing to say against it. */
export function bodyFault(body: unknown, depth: number): ZeroTrustError | undefined {
  if (body === undefined) return undefined;
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return refuse('the body is not a JSON object');
  return valueFault(body, depth);
}

function valueFault(value: unknown, depth: number): ZeroTrustError | undefined {
  // PostgreSQL's text cannot hold NUL, and C libraries end a string there.
  if (typeof value === 'string') return value.includes('\0') ? refuse('a text holds NUL') : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth === 0) return refuse('the body nests too deep');
  for (const key of Object.keys(value)) {
    if (POLLUTING.has(key)) return refuse('a key reaches for a prototype');
    if (key.includes('\0')) return refuse('a key holds NUL');
    const fault = valueFault((value as Record<string, unknown>)[key], depth - 1);
    if (fault) return fault;
  }
  return undefined;
}

/** Refuses request lines and header fields that two parsers could read in two ways. */
export function requestLineFault(
  url: string,
  rawHeaders: readonly string[],
  limits: { readonly maxHeaderFields: number; readonly allowedHosts: readonly string[] },
): ZeroTrustError | undefined {
  if (rawHeaders.length / 2 > limits.maxHeaderFields) {
    return new ZeroTrustError('headers-too-large', { detail: 'too many header fields' });
  }
  if (/%00/.test(url)) return refuse('the request target holds NUL');
  const hosts = rawHeaders.filter(
    (_, index) => index % 2 === 0 && rawHeaders[index]?.toLowerCase() === 'host',
  );
  if (hosts.length > 1) return refuse('more than one Host');
  if (limits.allowedHosts.length > 0) {
    const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'host');
    const host = rawHeaders[at + 1]?.toLowerCase();
    if (host === undefined || !limits.allowedHosts.includes(host)) return refuse('a Host that is not ours');
  }
  return undefined;
}

/** Parses a body as JSON, keeping every key, so that `bodyFault` sees them all. @throws ZeroTrustError */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Not as `cause`: the parser's message repeats a piece of the body.
    throw refuse('the body is not JSON');
  }
}
