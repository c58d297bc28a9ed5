import { ZeroTrustError } from '../core/zero-trust-error.js';
import { REFRESH_COOKIE, readCookie } from './cookies.js';
import type { SessionDelivery } from './session.js';

export interface PresentedRefreshToken {
  readonly text: string;
  readonly delivery: SessionDelivery;
}

/**
 * The refresh token of a request: in its body, or as `__Host-refresh` where cookies are in use.
 *
 * @throws ZeroTrustError `ambiguous-credentials` when both were sent.
 */
export function presentedRefreshTokenOf(
  request: unknown,
  inBody: string | undefined | null,
  cookies: boolean,
): PresentedRefreshToken | undefined {
  const { headers } = request as { readonly headers: { readonly cookie?: string } };
  const cookie = cookies ? readCookie(headers.cookie, REFRESH_COOKIE) : undefined;
  const body = inBody ?? undefined;
  if (cookie !== undefined && body !== undefined) {
    throw new ZeroTrustError('ambiguous-credentials', {
      detail: 'a refresh token was sent in the body and as a cookie',
    });
  }
  if (cookie !== undefined) return { text: cookie, delivery: 'cookie' };
  return body === undefined ? undefined : { text: body, delivery: 'token' };
}
