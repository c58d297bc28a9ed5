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
}

/** What must be known before any option is: with `forRootAsync` it stands beside `useFactory`. */
export interface SessionsExtras {
  /** Path under which `POST …/logout` is mounted. @default 'auth' */
  readonly authPrefix?: string;
}

export const SESSIONS_OPTIONS = Symbol('nestjs-zero-trust:sessions-options');
