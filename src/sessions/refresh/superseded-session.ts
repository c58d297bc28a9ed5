import { Injectable } from '@nestjs/common';
import { presentedRefreshTokenOf } from './presented-refresh-token.js';
import { RefreshService } from './refresh.service.js';
import { SessionsService } from '../sessions.service.js';
import { SessionsSettings } from '../sessions.settings.js';

/** The session that a browser still holds while somebody signs in anew in it: its cookies are about to be replaced. */
@Injectable()
export class SupersededSession {
  constructor(
    private readonly sessions: SessionsService,
    private readonly refreshing: RefreshService,
    private readonly settings: SessionsSettings,
  ) {}

  /**
   * Ends it, whoever's it was, so that nothing is left alive that no cookie leads to (ASVS 7.2.4). Call it once the new
   * sign-in has succeeded. What is not a refresh cookie of ours is nobody's session.
   */
  async end(request: unknown): Promise<void> {
    const sessionId = this.#sessionOf(request);
    if (sessionId !== undefined) await this.sessions.end(sessionId, 'signed-in-again');
  }

  #sessionOf(request: unknown): string | undefined {
    try {
      const presented = presentedRefreshTokenOf(request, undefined, this.settings.cookies);
      return presented?.delivery === 'cookie'
        ? this.refreshing.sessionIdOf(presented.text, 'cookie')
        : undefined;
    } catch {
      // Two cookies of one name, or garbage in one: no proof of anything, and no reason to refuse a good sign-in.
      return undefined;
    }
  }
}
