import { createHash, createHmac, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { SessionDelivery } from '../session.js';

/**
 * A refresh token names its session and generation, and proves by two things that we issued it:
 * - `secret`: 128 random bits that all tokens of a family share. The row holds their SHA-256, so that whoever has our
 *   MAC key alone cannot make a token;
 * - a MAC over everything, under a key that the database does not have: whoever has the database alone cannot make
 *   one either, and what we never issued is refused without asking the database.
 *
 * Nothing is random from one generation to the next: a retry of the same token leads to the very same successor, on
 * every replica, without anything being kept for it.
 */
export interface RefreshToken {
  readonly sessionId: string;
  readonly secret: Buffer;
  readonly generation: number;
}

/** Says what it is to whoever finds it in a log or a repository (secret scanners look for prefixes). */
const PREFIX = 'zt_refresh_';
const SECRET_BYTES = 16;
const MAC_BYTES = 32;
const BODY_BYTES = 16 + SECRET_BYTES + 4;
const TEXT = new RegExp(`^${PREFIX}[A-Za-z0-9_-]{${Math.ceil(((BODY_BYTES + MAC_BYTES) * 8) / 6)}}$`);
/** `generation` of the row is a signed integer, and a token must leave room for its successor. */
const MOST_GENERATIONS = 2 ** 31 - 1;
/** Characters of every refresh token. */
export const REFRESH_TOKEN_LENGTH = PREFIX.length + Math.ceil(((BODY_BYTES + MAC_BYTES) * 8) / 6);

/** The secret of a new family. */
export const newFamilySecret = (): Buffer => randomBytes(SECRET_BYTES);

/** What the row holds of it. */
export const hashOfSecret = (secret: Buffer): Buffer => createHash('sha256').update(secret).digest();

/** Writes a token. One for a cookie is no token for a body, nor the other way round: the MAC says which it is. */
export function writeRefreshToken(token: RefreshToken, delivery: SessionDelivery, key: KeyObject): string {
  const body = Buffer.alloc(BODY_BYTES);
  body.write(token.sessionId.replaceAll('-', ''), 0, 'hex');
  token.secret.copy(body, 16);
  body.writeUInt32BE(token.generation, 16 + SECRET_BYTES);
  return PREFIX + Buffer.concat([body, macOf(body, delivery, key)]).toString('base64url');
}

/** @returns undefined for everything that we did not write for this delivery: one answer, in constant time. */
export function readRefreshToken(
  text: unknown,
  delivery: SessionDelivery,
  key: KeyObject,
): RefreshToken | undefined {
  // Where no edge validates bodies, JSON may hold anything in the place of a string.
  if (typeof text !== 'string' || !TEXT.test(text)) return undefined;
  const encoded = text.slice(PREFIX.length);
  const bytes = Buffer.from(encoded, 'base64url');
  // One token has one spelling: the decoder forgives loose bits at the end. (So many characters are so many bytes.)
  if (bytes.toString('base64url') !== encoded) return undefined;
  const body = bytes.subarray(0, BODY_BYTES);
  if (!timingSafeEqual(macOf(body, delivery, key), bytes.subarray(BODY_BYTES))) return undefined;
  const generation = body.readUInt32BE(16 + SECRET_BYTES);
  if (generation >= MOST_GENERATIONS) return undefined;
  const id = body.toString('hex', 0, 16);
  return {
    sessionId: [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20)].join('-'),
    secret: Buffer.from(body.subarray(16, 16 + SECRET_BYTES)),
    generation,
  };
}

function macOf(body: Buffer, delivery: SessionDelivery, key: KeyObject): Buffer {
  return createHmac('sha256', key).update(`refresh\0${delivery}\0`).update(body).digest();
}
