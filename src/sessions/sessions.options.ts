import type { SigningAlgorithm } from './signing-keys/signing-key.js';

/** Proof: who issues access tokens, for whom, and how long they and their sessions live. */
export interface SessionsOptions {
  /**
   * `iss` of every access token: the origin that people see, e.g. `https://portal.example.com`. Compared character
   * by character. `http` is refused in production, except on loopback. There is no default.
   */
  readonly issuer: string;
  /**
   * `aud` of every access token: this one service, usually its own origin. A token for several audiences is refused
   * (ASVS 9.2.3). There is no default.
   */
  readonly audience: string;
  /** Life of an access token, 60 to 900. Nothing lengthens it: 900 is also what verification enforces. @default 900 */
  readonly accessTokenTtlSeconds?: number;
  /**
   * How far the clocks of two replicas may differ, 0 to 60: an access token is accepted that much before its `iat`
   * and `nbf` and that much after its `exp`. @default 5
   */
  readonly clockToleranceSeconds?: number;
  /**
   * Life of a session from sign-in on, whatever is done in it, from `accessTokenTtlSeconds` to 2,592,000 (30 days,
   * AAL1). The default is the limit of AAL3, the shortest of NIST SP 800-63B (ASVS 7.3.2). @default 43200
   */
  readonly absoluteLifetimeSeconds?: number;
  /**
   * Life of a session that is not used, from `accessTokenTtlSeconds` to 2,592,000. Counted from its last refresh or,
   * to the minute, its last request (ASVS 7.3.1). @default 1800
   */
  readonly idleLifetimeSeconds?: number;
  /**
   * For how long a retry of the directly preceding refresh token gets the same successor again, 0 to 60: for answers
   * that were lost and requests that crossed. Later it is reuse, and the session ends. @default 10
   */
  readonly refreshRetrySeconds?: number;
  /** Living sessions of one subject, 1 to 1000; the one that was seen longest ago ends (ASVS 7.1.2). @default 20 */
  readonly maxSessionsPerSubject?: number;
  /**
   * Whether sessions may be handed over as cookies. On, the application must refuse what other sites make a browser
   * send (`secureApplication` of HttpModule does), or it refuses to start. Off, no cookie is read. @default true
   */
  readonly cookies?: boolean;
  /**
   * What is kept, sealed, of where a session was opened from, so that its owner can recognise it: nothing, the
   * `User-Agent`, or the address too. @default 'device'
   */
  readonly clientDetails?: 'none' | 'device' | 'device-and-address';
  /**
   * What says on each request that a session is alive: `feed` trusts what this replica heard of revocations less than
   * a second ago, `database` asks each time (`@StrictFreshness()` does so for one handler). @default 'feed'
   */
  readonly freshness?: 'feed' | 'database';
  /**
   * What signs new access tokens; a change rotates to it. EdDSA is not possible through jsonwebtoken. @default 'ES256'
   */
  readonly signingAlgorithm?: SigningAlgorithm;
  /** How long a key signs before the next one follows, 3,600 to 31,622,400 (ASVS 11.1.1). @default 2592000 */
  readonly signingKeyLifetimeSeconds?: number;
  /** How long a key is published before it signs, 600 to 604,800: longer than anybody keeps the JWK Set. @default 3600 */
  readonly signingKeyPublicationSeconds?: number;
  /** `manual`: this process reads the keys and leaves their rotation to others. @default 'scheduled' */
  readonly signingKeyRotation?: 'scheduled' | 'manual';
  /** How many verified tokens are remembered, 0 to 1,000,000; about 1.5 kB each. @default 10000 */
  readonly rememberedTokens?: number;
}

/** What must be known before any option is: with `forRootAsync` it stands beside `useFactory`. */
export interface SessionsExtras {
  /** Path under which `…/refresh`, `…/logout` and `…/sessions` are mounted. @default 'auth' */
  readonly authPrefix?: string;
}

export const SESSIONS_OPTIONS = Symbol('nestjs-zero-trust:sessions-options');
