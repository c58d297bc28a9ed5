import type { AssuranceLevel } from '../core/assurance.js';

/** How a session is handed to its client: the tokens themselves, or cookies that JavaScript cannot read. */
export const SESSION_DELIVERIES = ['token', 'cookie'] as const;
/** One of them. */
export type SessionDelivery = (typeof SESSION_DELIVERIES)[number];

/** Why a session ended. A closed list: the database knows no other. */
export const SESSION_ENDINGS = [
  'logout',
  'ended-by-subject',
  'ended-by-administrator',
  'password-changed',
  'factor-removed',
  'stepped-up',
  'signed-in-again',
  'refresh-reuse',
  'too-many-sessions',
  'account-disabled',
  'account-deleted',
] as const;
/** One of them. */
export type SessionEnding = (typeof SESSION_ENDINGS)[number];

export interface Session {
  readonly id: string;
  readonly subject: string;
  readonly clientId: string;
  readonly delivery: SessionDelivery;
  readonly acr: AssuranceLevel;
  readonly amr: readonly string[];
  /** Seconds since the epoch of the last active authentication. */
  readonly authTime: number;
}

/** A session as the database sees it now, by its own clock. */
export interface StoredSession extends Session {
  readonly ended: boolean;
  /** Seconds until its absolute end; negative when it has passed. */
  readonly secondsLeft: number;
  /** The number of the freshness feed at that moment: a token minted now carries it. */
  readonly feedSeq: number;
}
