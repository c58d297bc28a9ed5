import { Body, Controller, HttpCode, Post, Req, Res } from '@nestjs/common';
import { RequestContext } from '../core/request-context.js';
import { Authenticated, Public } from '../core/route-policy.js';
import { AccessTokenAuthenticator } from './access-tokens/access-token.authenticator.js';
import { ProofRefusals } from './access-tokens/proof-refusals.js';
import { presentedRefreshTokenOf } from './refresh/presented-refresh-token.js';
import { accessTokenOfRequest } from './access-tokens/presented-token.js';
import { RefreshDto } from './refresh/refresh.dto.js';
import { RefreshService } from './refresh/refresh.service.js';
import { SessionHandover } from './session-handover.js';
import { invalidToken } from './sessions.errors.js';
import { SessionsService } from './sessions.service.js';
import { SessionsSettings } from './sessions.settings.js';

/** `POST /auth/logout` and `/auth/logout/all`: the tokens are dead here at once, and everywhere within a second. */
@Controller()
export class LogoutController {
  constructor(
    private readonly sessions: SessionsService,
    private readonly refreshing: RefreshService,
    private readonly authenticator: AccessTokenAuthenticator,
    private readonly handover: SessionHandover,
    private readonly settings: SessionsSettings,
    private readonly refusals: ProofRefusals,
  ) {}

  /**
   * Ends the session of whichever token comes along. Public, because an access token that has run out must not keep
   * anybody from logging out: the refresh token proves as much.
   */
  @Post('logout')
  @Public()
  @HttpCode(204)
  async logout(
    @Req() request: unknown,
    @Res({ passthrough: true }) response: unknown,
    @Body() body?: RefreshDto,
  ): Promise<void> {
    const sessionId = await this.refusals.recording(() => this.#sessionOf(request, body?.refreshToken));
    await this.sessions.end(sessionId, 'logout');
    this.handover.takeBack(response);
  }

  /** Ends every session of the caller, this one too. */
  @Post('logout/all')
  @Authenticated()
  @HttpCode(204)
  async logoutAll(@Res({ passthrough: true }) response: unknown): Promise<void> {
    const principal = RequestContext.current()?.principal;
    if (!principal) throw invalidToken('the session is unknown');
    await this.sessions.endAllOf(principal.subject, 'logout');
    this.handover.takeBack(response);
  }

  async #sessionOf(request: unknown, inBody: string | undefined): Promise<string> {
    const { cookies } = this.settings;
    const refresh = presentedRefreshTokenOf(request, inBody, cookies);
    const renewing = refresh && this.refreshing.sessionIdOf(refresh.text, refresh.delivery);
    if (renewing !== undefined) return renewing;
    const presented = accessTokenOfRequest(request, cookies);
    if (!presented)
      throw invalidToken(refresh ? 'the refresh token is not one of ours' : 'the session is unknown');
    const { sessionId } = await this.authenticator.prove(presented, false);
    if (sessionId === undefined) throw invalidToken('the session is unknown');
    return sessionId;
  }
}
