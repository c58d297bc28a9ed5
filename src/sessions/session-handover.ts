import { Injectable } from '@nestjs/common';
import { ACCESS_COOKIE, REFRESH_COOKIE, writeCookie } from './cookies.js';
import type { SessionDelivery } from './session.js';
import type { IssuedTokens } from './session.issuer.js';
import { SessionsSettings } from './sessions.settings.js';

/** What a client reads when it has authenticated. Tokens are in it only where it asked for them. */
export interface SessionAnswer {
  readonly status: 'authenticated';
  /** Seconds that the access token lives. */
  readonly expiresIn: number;
  readonly accessToken?: string;
  readonly refreshToken?: string;
  readonly tokenType?: 'Bearer';
}

/** The part of Node's response that both adapters share; Fastify keeps it in `raw`. */
interface RawResponse {
  getHeader(name: string): number | string | string[] | undefined;
  setHeader(name: string, value: string | string[]): unknown;
}

/** Hands tokens to a client: in cookies that JavaScript cannot read, or in the body, never in both. */
@Injectable()
export class SessionHandover {
  constructor(private readonly settings: SessionsSettings) {}

  /**
   * @param response of the adapter (`@Res({ passthrough: true })`)
   * @returns the body of the answer
   */
  hand(response: unknown, issued: IssuedTokens, delivery: SessionDelivery): SessionAnswer {
    const { accessToken, refreshToken, expiresInSeconds: expiresIn } = issued;
    const raw = rawOf(response);
    raw.setHeader('Cache-Control', 'no-store');
    if (delivery === 'token') {
      return { status: 'authenticated', accessToken, refreshToken, tokenType: 'Bearer', expiresIn };
    }
    addCookies(raw, [
      writeCookie(ACCESS_COOKIE, accessToken, expiresIn),
      writeCookie(REFRESH_COOKIE, refreshToken, this.settings.absoluteLifetimeSeconds),
    ]);
    return { status: 'authenticated', expiresIn };
  }

  /** Takes the cookies away, and asks the browser to forget what else it keeps of this site (ASVS 14.3.1). */
  takeBack(response: unknown): void {
    const raw = rawOf(response);
    raw.setHeader('Cache-Control', 'no-store');
    raw.setHeader('Clear-Site-Data', '"cache", "cookies", "storage"');
    addCookies(raw, [writeCookie(ACCESS_COOKIE, '', 0), writeCookie(REFRESH_COOKIE, '', 0)]);
  }
}

function addCookies(raw: RawResponse, cookies: readonly string[]): void {
  const set = raw.getHeader('Set-Cookie') ?? [];
  raw.setHeader('Set-Cookie', [...(Array.isArray(set) ? set : [String(set)]), ...cookies]);
}

function rawOf(response: unknown): RawResponse {
  return ((response as { raw?: RawResponse }).raw ?? response) as RawResponse;
}
