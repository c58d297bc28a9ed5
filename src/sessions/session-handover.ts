import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
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

/** Hands tokens to a client: in cookies that JavaScript cannot read, or in the body, never in both. */
@Injectable()
export class SessionHandover {
  constructor(
    private readonly settings: SessionsSettings,
    private readonly host: HttpAdapterHost,
  ) {}

  /**
   * @param response of the adapter (`@Res({ passthrough: true })`)
   * @returns the body of the answer
   */
  hand(response: unknown, issued: IssuedTokens, delivery: SessionDelivery): SessionAnswer {
    const { accessToken, refreshToken, expiresInSeconds: expiresIn } = issued;
    this.#set(response, 'Cache-Control', 'no-store');
    if (delivery === 'token') {
      return { status: 'authenticated', accessToken, refreshToken, tokenType: 'Bearer', expiresIn };
    }
    this.#addCookie(response, writeCookie(ACCESS_COOKIE, accessToken, expiresIn));
    this.#addCookie(
      response,
      writeCookie(REFRESH_COOKIE, refreshToken, this.settings.absoluteLifetimeSeconds),
    );
    return { status: 'authenticated', expiresIn };
  }

  /** Takes the cookies away, and asks the browser to forget what else it keeps of this site (ASVS 14.3.1). */
  takeBack(response: unknown): void {
    this.#set(response, 'Cache-Control', 'no-store');
    this.#set(response, 'Clear-Site-Data', '"cache", "cookies", "storage"');
    if (!this.settings.cookies) return;
    for (const name of [ACCESS_COOKIE, REFRESH_COOKIE] as const)
      this.#addCookie(response, writeCookie(name, '', 0));
  }

  #set(response: unknown, name: string, value: string): void {
    this.host.httpAdapter.setHeader(response, name, value);
  }

  /** By the adapter, which keeps what the handler or its host has set besides. */
  #addCookie(response: unknown, cookie: string): void {
    this.host.httpAdapter.appendHeader(response, 'Set-Cookie', cookie);
  }
}
