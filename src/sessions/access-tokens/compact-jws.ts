import { isUtf8 } from 'node:buffer';
import { invalidToken } from '../sessions.errors.js';

/** The parts of a JWS in compact form (RFC 7515 7.1). Nothing in them is proved yet. */
export interface CompactJws {
  readonly header: Readonly<Record<string, unknown>>;
  /** The JSON text of `header`, as it was signed. */
  readonly headerBytes: Buffer;
  readonly payload: Buffer;
  readonly signature: Buffer;
}

/** Four times what our own tokens need; far below what Node.js takes as a header. */
export const MAX_TOKEN_LENGTH = 4096;

/**
 * Takes a text apart strictly: three parts, each in canonical base64url, the first one a JSON object. The decoders
 * under us forgive blanks, padding, the other alphabet and loose trailing bits, so that many texts would be one token.
 *
 * @throws ZeroTrustError `invalid-credentials`.
 */
export function parseCompactJws(text: string): CompactJws {
  if (text.length > MAX_TOKEN_LENGTH) throw invalidToken('the token is too long');
  const parts = text.split('.');
  if (parts.length !== 3) throw invalidToken('the token is not in compact form');
  // An empty header is no JSON. An empty payload is one that was left out, and no claims.
  const [header, payload, signature] = parts as [string, string, string];
  if (signature === '') throw invalidToken('the token is not in compact form');
  const headerBytes = decode(header);
  return {
    header: jsonObject(headerBytes),
    headerBytes,
    payload: decode(payload),
    signature: decode(signature),
  };
}

/**
 * Whether `bytes` are what we ourselves write for `value`: compact JSON, no member twice, no second spelling. What was
 * read is then all there is, whoever reads it.
 */
export function isOwnEncodingOf(value: unknown, bytes: Buffer): boolean {
  return Buffer.from(JSON.stringify(value)).equals(bytes);
}

function decode(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.toString('base64url') !== part) throw invalidToken('the token is not in compact form');
  return bytes;
}

function jsonObject(bytes: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = isUtf8(bytes) ? JSON.parse(bytes.toString('utf8')) : undefined;
  } catch (cause) {
    throw invalidToken('the token is not in compact form', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidToken('the token is not in compact form');
  }
  return value as Record<string, unknown>;
}
