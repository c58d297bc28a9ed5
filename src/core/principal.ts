/**
 * Who is asking, as proved on this very request (NIST SP 800-207: the subject). It carries no permissions:
 * these are looked up when something is decided, so that a changed grant is felt at once.
 */
export interface Principal {
  readonly kind: 'account' | 'service' | 'system';
  /** `sub`: the stable, pseudonymous id. Never an e-mail address. */
  readonly subject: string;
  /** `sid`: the session that this proof belongs to; absent for systems. */
  readonly sessionId?: string;
  /** `client_id` of RFC 9068: the client that the session was opened for. */
  readonly clientId?: string;
  /** `acr`: how sure we are, in NIST SP 800-63B levels: `aal1`, `aal2`, `aal3`. */
  readonly acr?: string;
  /** `amr` (RFC 8176): how it was proved, e.g. `['pwd']`. */
  readonly amr?: readonly string[];
  /**
   * The tenant that the proof itself fixes, where an authenticator of the host says so. Left out: one of the tenants in
   * which the subject holds a grant.
   */
  readonly tenant?: string;
  /** `auth_time`: seconds since the epoch of the last active authentication. */
  readonly authTime?: number;
}
