import { hash } from 'node:crypto';
import type { Principal } from '../../core/principal.js';
import type { RevocableProof } from '../../freshness/revocations.js';
import type { SessionDelivery } from '../session.js';

/** A token that was verified, with all that the next request needs to know of it. */
export interface RememberedToken extends RevocableProof {
  readonly principal: Principal;
  /** How it was handed over; it may come back in no other way. */
  readonly delivery: SessionDelivery;
  /** The key that signed it: it must be accepted each time. */
  readonly kid: string;
  /** `exp` with the clock tolerance, in seconds since the epoch. */
  readonly endsAtSeconds: number;
  /** When token or session end, whichever is first, by a clock that nobody can set. */
  readonly endsAtMs: number;
  /** When its session was last noted as seen; owned by the authenticator. */
  seenAtMs: number;
}

/** How a token is known: what it says, and the hash of its signature, without which that proves nothing. */
export interface TokenKey {
  /** Header and payload, as they were sent. */
  readonly said: string;
  /** SHA-256 of the signature, as it was sent. */
  readonly signature: string;
}

interface Kept extends RememberedToken {
  readonly said: string;
}

/**
 * Verified tokens, so that a known one costs a hash and a look-up instead of a verification and a read. The whole text is
 * compared: a changed byte is another token. Memory holds no token that could be used: of signatures it has the SHA-256
 * alone. Bounded: the one that was verified first makes room.
 */
export class RememberedTokens {
  readonly #tokens = new Map<string, Kept>();
  #version = 0;

  /** @param capacity how many are remembered; 0 remembers none */
  constructor(private readonly capacity: number) {}

  get size(): number {
    return this.#tokens.size;
  }

  /** Grows when all are forgotten: what was read before that may be of another history. */
  get version(): number {
    return this.#version;
  }

  static keyOf(token: string): TokenKey {
    const end = token.lastIndexOf('.');
    // Only the signature is long enough to be guessed by nobody: to hash the rest of it too would double the cost.
    return { said: token.slice(0, end), signature: hash('sha256', token.slice(end), 'base64url') };
  }

  get({ said, signature }: TokenKey): RememberedToken | undefined {
    const kept = this.#tokens.get(signature);
    return kept?.said === said ? kept : undefined;
  }

  /** @param version as it was before anything was read of the token: nothing is kept when all was forgotten since */
  add({ said, signature }: TokenKey, token: RememberedToken, version: number): void {
    if (this.capacity === 0 || version !== this.#version) return;
    if (this.#tokens.size >= this.capacity) {
      const [oldest] = this.#tokens.keys();
      if (oldest !== undefined) this.#tokens.delete(oldest);
    }
    this.#tokens.set(signature, keptOf(copyOf(said), token));
  }

  forget({ signature }: TokenKey): void {
    this.#tokens.delete(signature);
  }

  clear(): void {
    this.#version += 1;
    this.#tokens.clear();
  }
}

/** What each request looks at comes first: of many tokens none is in a processor's cache, and each line of it is a wait. */
function keptOf(said: string, token: RememberedToken): Kept {
  const { principal, delivery, kid, seenAtMs, endsAtMs, endsAtSeconds } = token;
  const { sessionId, subject, clientId, feedSeq } = token;
  return {
    said,
    principal,
    delivery,
    kid,
    clearAsOf: token.clearAsOf,
    seenAtMs,
    endsAtMs,
    endsAtSeconds,
    sessionId,
    subject,
    clientId,
    feedSeq,
  };
}

/** A part of a text may keep the whole of it in memory. */
function copyOf(text: string): string {
  return Buffer.from(text).toString();
}
