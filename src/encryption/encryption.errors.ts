import { ZeroTrustError } from '../core/zero-trust-error.js';

/**
 * A sealed value that does not open. The caller reads the same `internal-error` whether it was altered, moved,
 * or sealed under a key that is unknown or gone (ASVS 11.2.5); only the operator's `detail` tells them apart.
 */
export class IntegrityError extends ZeroTrustError {
  constructor(detail: string) {
    super('internal-error', { detail });
  }
}
