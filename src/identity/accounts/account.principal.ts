import type { Principal } from '../../core/principal.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The account behind a caller. @throws ZeroTrustError `not-found` for a service or a system, which has none. */
export function accountIdOf({ kind, subject }: Principal): string {
  if (kind === 'account' && UUID.test(subject)) return subject;
  throw new ZeroTrustError('not-found', { detail: 'the caller has no account' });
}
