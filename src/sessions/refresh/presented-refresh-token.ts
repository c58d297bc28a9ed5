import { REFRESH_COOKIE, readCookie } from '../cookies.js';
import { accessTokenOfRequest } from '../access-tokens/presented-token.js';
import type { SessionDelivery } from '../session.js';
import { ambiguousCredentials } from '../sessions.errors.js';

export interface PresentedRefreshToken {
  readonly text: string;
  readonly delivery: SessionDelivery;
}

/**
 * The refresh token of a request: in its body, or as `__Host-refresh` where cookies are in use. An access token may
 * come along, the same way.
 *
 * @throws ZeroTrustError `ambiguous-credentials` when tokens came both ways.
 */
export function presentedRefreshTokenOf(
  request: unknown,
  inBody: string | undefined | null,
  cookies: boolean,
): PresentedRefreshToken | undefined {
  const { headers } = request as { readonly headers: { readonly cookie?: string } };
  const cookie = cookies ? readCookie(headers.cookie, REFRESH_COOKIE) : undefined;
  const body = inBody ?? undefined;
  if (cookie !== undefined && body !== undefined)
    throw ambiguousCredentials('a refresh token was sent in the body and as a cookie');
  const text = cookie ?? body;
  if (text === undefined) return undefined;
  const delivery = cookie === undefined ? 'token' : 'cookie';
  const access = accessTokenOfRequest(request, cookies);
  if (access && access.delivery !== delivery)
    throw ambiguousCredentials('one token was sent as a cookie and the other one was not');
  return { text, delivery };
}
