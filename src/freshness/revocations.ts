import type { NumberedFeedEntry } from './feed-entry.js';

/** What a token says of itself that can be revoked. */
export interface RevocableProof {
  readonly sessionId: string;
  readonly subject: string;
  readonly clientId: string;
  /** The number of the feed when it was minted. */
  readonly feedSeq: number;
  /** Owned by `Revocations`: as of when it is known not to be revoked. Left out: it is looked up each time. */
  clearAsOf?: number;
}

interface Revoked {
  readonly seq: number;
  readonly forgetAtMs: number;
}

/** What was revoked lately, in memory. Entries go once no token can be older: memory follows the rate of revocations. */
export class Revocations {
  readonly #sessions = new Map<string, Revoked>();
  readonly #subjects = new Map<string, Revoked>();
  readonly #clients = new Map<string, Revoked>();
  /** Grows with each entry: until then, what was not revoked is not. */
  #version = 0;

  /** @param retainMs milliseconds for which an entry counts: longer than any token lives */
  constructor(private readonly retainMs: number) {}

  get size(): number {
    return this.#sessions.size + this.#subjects.size + this.#clients.size;
  }

  /** @param nowMs of a clock that nobody can set */
  add({ kind, id, seq }: NumberedFeedEntry, nowMs: number): void {
    const map = this.#mapOf(kind);
    if (!map || (map.get(id)?.seq ?? -1) >= seq) return;
    // Put last, so that the oldest are first when it is time to forget.
    map.delete(id);
    this.#version += 1;
    map.set(id, { seq, forgetAtMs: nowMs + this.retainMs });
  }

  /** A session that ended never lives again; of subjects and clients, only what was minted before is dead. */
  covers(proof: RevocableProof): boolean {
    if (proof.clearAsOf === this.#version) return false;
    const { sessionId, subject, clientId, feedSeq } = proof;
    const revoked =
      this.#sessions.has(sessionId) ||
      (this.#subjects.get(subject)?.seq ?? -1) > feedSeq ||
      (this.#clients.get(clientId)?.seq ?? -1) > feedSeq;
    if (!revoked && proof.clearAsOf !== undefined) proof.clearAsOf = this.#version;
    return revoked;
  }

  forget(nowMs: number): void {
    for (const map of [this.#sessions, this.#subjects, this.#clients]) {
      for (const [id, { forgetAtMs }] of map) {
        if (forgetAtMs > nowMs) break;
        map.delete(id);
      }
    }
  }

  clear(): void {
    for (const map of [this.#sessions, this.#subjects, this.#clients]) map.clear();
  }

  #mapOf(kind: NumberedFeedEntry['kind']): Map<string, Revoked> | undefined {
    switch (kind) {
      case 'session':
        return this.#sessions;
      case 'subject':
        return this.#subjects;
      case 'client':
        return this.#clients;
      default:
        return undefined;
    }
  }
}
