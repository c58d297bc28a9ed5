import type { ExecutionContext } from '@nestjs/common';
import { ACCESS_COOKIE, readCookie } from '../cookies.js';
import type { SessionDelivery } from '../session.js';
import { ambiguousCredentials, invalidToken } from '../sessions.errors.js';

/** An access token as it was sent, and how; the same words as for how it was handed over. */
export interface PresentedToken {
  readonly token: string;
  readonly delivery: SessionDelivery;
}

/** What Node.js keeps of a request: `rawHeaders` shows the second of two headers, `headers` hides it. */
interface CarriesHeaders {
  readonly rawHeaders: readonly string[];
  readonly headers?: { readonly cookie?: string; readonly upgrade?: string };
  readonly url?: string;
}

/**
 * The access token of a call: `Authorization`, once, the word `Bearer`, one space, the token (RFC 6750 2.1); or, over
 * HTTP and where cookies are in use, `__Host-access`. A token in a query ends up in logs and is refused (ASVS 14.2.1);
 * one in a body is not looked at. A websocket takes no cookie, nor does GraphQL over one: a browser sends it along for any
 * page that opens a socket, and asks nobody first.
 *
 * @param isVerified whether this very text was verified before: then nobody needs to look at its characters again
 * @returns undefined when there is no token at all, or another scheme.
 * @throws ZeroTrustError `invalid-credentials`; `ambiguous-credentials` when both were sent.
 */
export function presentedTokenOf(
  execution: ExecutionContext,
  cookies: boolean,
  isVerified: IsVerified = nothing,
): PresentedToken | undefined {
  const type = execution.getType<string>();
  const request = requestOf(type, execution);
  const takesCookies = cookies && type !== 'ws' && request?.headers?.upgrade === undefined;
  return request && tokenOf(request, takesCookies, isVerified);
}

/** The same of an HTTP request that is at hand, for handlers that ask for it themselves. */
export function accessTokenOfRequest(request: unknown, cookies: boolean): PresentedToken | undefined {
  const found = headersOf(request);
  return found && tokenOf(found, cookies, nothing);
}

type IsVerified = (token: string) => boolean;

const nothing: IsVerified = () => false;

function tokenOf(
  request: CarriesHeaders,
  cookies: boolean,
  isVerified: IsVerified,
): PresentedToken | undefined {
  const bearer = bearerOf(request, isVerified);
  const cookie = cookies ? readCookie(request.headers?.cookie, ACCESS_COOKIE, isVerified) : undefined;
  if (cookie === undefined) return bearer === undefined ? undefined : { token: bearer, delivery: 'token' };
  if (bearer !== undefined) {
    throw ambiguousCredentials('a bearer token and a cookie were sent');
  }
  return { token: cookie, delivery: 'cookie' };
}

function bearerOf({ rawHeaders, url = '' }: CarriesHeaders, isVerified: IsVerified): string | undefined {
  if (url.includes('=') && /[?&]access_token=/i.test(url))
    throw invalidToken('a token was sent in the query');
  let value: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    // Of this length only one header matters: most are told apart without looking at their letters.
    if (name.length !== 13 || name.toLowerCase() !== 'authorization') continue;
    if (value !== undefined) throw invalidToken('several Authorization headers were sent');
    value = rawHeaders[at + 1] ?? '';
  }
  // Whether it means to be one at all; the form that is accepted begins like this, and is looked at once.
  if (value === undefined) return undefined;
  const token = value.slice('Bearer '.length);
  if (value.startsWith('Bearer ') && isVerified(token)) return token;
  if (!value.startsWith('Bearer ') && !/^\s*(?:bearer\b|$)/i.test(value)) return undefined;
  if (!/^Bearer [\w.-]+$/.test(value)) throw invalidToken('the Authorization header is malformed');
  return token;
}

/**
 * The request that carried the proof: on HTTP and GraphQL the one in hand, on a websocket the upgrade request, where
 * the gateway's adapter left it as `client.request` (Socket.IO does by itself). A microservice message has none: its
 * data comes from whoever may write to the broker.
 */
function requestOf(type: string, execution: ExecutionContext): CarriesHeaders | undefined {
  switch (type) {
    case 'http':
      return headersOf(execution.getArgByIndex(0));
    case 'graphql':
      return headersOf(memberOf(execution.getArgByIndex(2), 'req'));
    case 'ws':
      return headersOf(memberOf(execution.getArgByIndex(0), 'request'));
    default:
      return undefined;
  }
}

/** Express hands out Node's own request, Fastify keeps it in `raw`. */
function headersOf(request: unknown): CarriesHeaders | undefined {
  if (Array.isArray(memberOf(request, 'rawHeaders'))) return request as CarriesHeaders;
  const raw = memberOf(request, 'raw');
  return Array.isArray(memberOf(raw, 'rawHeaders')) ? (raw as CarriesHeaders) : undefined;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
