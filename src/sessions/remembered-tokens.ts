import { hash } from 'node:crypto';
import type { Principal } from '../core/principal.js';
import type { RevocableProof } from '../freshness/revocations.js';
import type { SessionDelivery } from './session.js';

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

/**
 * Verified tokens, so that a known one costs a hash and a look-up instead of a signature and a read. Keyed by the
 * SHA-256 of the whole token: a changed byte is another token, and memory holds no token that could be used.
 * Bounded: the one that was verified first makes room.
 */
export class RememberedTokens {
  readonly #tokens = new Map<string, RememberedToken>();

  /** @param capacity how many are remembered; 0 remembers none */
  constructor(private readonly capacity: number) {}

  get size(): number {
    return this.#tokens.size;
  }

  static keyOf(token: string): string {
    return hash('sha256', token, 'base64url');
  }

  get(key: string): RememberedToken | undefined {
    return this.#tokens.get(key);
  }

  add(key: string, token: RememberedToken): void {
    if (this.capacity === 0) return;
    if (this.#tokens.size >= this.capacity) {
      const [oldest] = this.#tokens.keys();
      if (oldest !== undefined) this.#tokens.delete(oldest);
    }
    this.#tokens.set(key, token);
  }

  forget(key: string): void {
    this.#tokens.delete(key);
  }

  clear(): void {
    this.#tokens.clear();
  }
}
