import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders } from 'node:http';
import { ZeroTrustError } from '../core/zero-trust-error.js';

/** Naming each unknown field costs class-validator microseconds: thousands in one body would hold the others up. */
const MAX_FIELDS = 1_000;

const refuse = (detail: string): ZeroTrustError => new ZeroTrustError('invalid-request', { detail });

/**
 * Keys that reach a prototype when an object is merged (CWE-1321), and those that every object has already: validation
 * by classes needs `constructor` to find the class, and drops the others without a word.
 */
const reachesPrototype = (key: string): boolean => key === 'prototype' || key in Object.prototype;

/**
 * Judges the media type of a body before anything reads it: JSON in UTF-8 or nothing (RFC 8259 8.1). A browser can
 * send other types across sites without asking first, so none of them may ever be bound (ASVS 3.5.2).
 */
export function mediaTypeFault(
  headers: IncomingHttpHeaders,
  bodyLimitBytes: number,
): ZeroTrustError | undefined {
  const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  if (!hasBody) return undefined;
  const unsupported = (detail: string): ZeroTrustError =>
    new ZeroTrustError('unsupported-media-type', { detail });
  if (headers['content-encoding'] !== undefined) return unsupported('a compressed body');
  if (!/^application\/json(?:\s*;\s*charset="?utf-8"?)?\s*$/i.test(headers['content-type'] ?? '')) {
    return unsupported('the body is not application/json in UTF-8');
  }
  // Said before a byte of it is read: a parser that reads to the end first would let the client go on sending.
  if (Number(headers['content-length'] ?? 0) > bodyLimitBytes) {
    return new ZeroTrustError('payload-too-large', { detail: 'the announced body is over the limit' });
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

/** The same for a value that came another way, a query for instance. */
export function valueFault(value: unknown, depth: number): ZeroTrustError | undefined {
  if (typeof value === 'string') return textFault(value);
  // JSON has no infinity, but `1e999` becomes one, and then null where it is written again.
  if (typeof value === 'number')
    return Number.isFinite(value) ? undefined : refuse('a number is out of range');
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth === 0) return refuse('the input nests too deep');
  const keys = Object.keys(value);
  if (keys.length > MAX_FIELDS && !Array.isArray(value)) return refuse('an object has too many fields');
  for (const key of keys) {
    if (reachesPrototype(key)) return refuse('a key reaches for a prototype');
    const fault = textFault(key) ?? valueFault((value as Record<string, unknown>)[key], depth - 1);
    if (fault) return fault;
  }
  return undefined;
}

function textFault(text: string): ZeroTrustError | undefined {
  // PostgreSQL's text cannot hold NUL, and C libraries end a string there.
  if (text.includes('\0')) return refuse('a text holds NUL');
  // Half a character (RFC 7493 2.1): jsonb refuses it, text silently stores another one.
  return /\p{Surrogate}/u.test(text) ? refuse('a text holds half a character') : undefined;
}

/** Refuses bytes that are no UTF-8: decoded all the same they become other texts than the ones that were sent. */
export function encodingFault(body: Uint8Array): ZeroTrustError | undefined {
  // RFC 8259 8.1 forbids the byte order mark; some parsers drop it and some do not.
  if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) return refuse('the body begins with a BOM');
  return isUtf8(body) ? undefined : refuse('the body is not UTF-8');
}

/** Parses a body as JSON, keeping every key, so that `bodyFault` sees them all. @throws ZeroTrustError */
export function parseJson(body: Buffer): unknown {
  const fault = encodingFault(body);
  if (fault) throw fault;
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    // Not as `cause`: the parser's message repeats a piece of the body.
    throw refuse('the body is not JSON');
  }
}
