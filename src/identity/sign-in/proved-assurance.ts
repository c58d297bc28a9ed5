import type { AssuranceLevel } from '../../core/assurance.js';

/** How an authentication was made, in the words of RFC 8176. */
export type ProvedMethod = 'pwd' | 'otp';

export interface ProvedAssurance {
  readonly acr: AssuranceLevel;
  readonly amr: readonly ProvedMethod[];
}

/**
 * What a session is worth after its subject proved something once more. `acr` speaks of `auth_time`, so only what was
 * proved just now may raise or keep it:
 * - a password alone is `aal1`, also in a session that was `aal2` before;
 * - a second factor is `aal2` in a session that a password opened or renewed: whoever holds the session and the device
 *   has shown both (NIST SP 800-63B-4 2.2.3). In any other session it is a single factor.
 *
 * @param before `amr` of the session until now
 */
export function assuranceAfter(before: readonly string[], proved: ProvedMethod): ProvedAssurance {
  if (proved === 'pwd') return { acr: 'aal1', amr: ['pwd'] };
  return before.includes('pwd') ? { acr: 'aal2', amr: ['pwd', 'otp'] } : { acr: 'aal1', amr: ['otp'] };
}
