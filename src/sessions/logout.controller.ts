import { Controller, Header, HttpCode, Module, Post } from '@nestjs/common';
import { RequestContext } from '../core/request-context.js';
import { Authenticated } from '../core/route-policy.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { SessionsService } from './sessions.service.js';

/** `POST /auth/logout`: ends the session that asks. Its access token is dead from then on. */
@Controller()
export class LogoutController {
  constructor(private readonly sessions: SessionsService) {}

  @Post('logout')
  @Authenticated()
  @HttpCode(204)
  @Header('Cache-Control', 'no-store')
  async logout(): Promise<void> {
    const sessionId = RequestContext.current()?.principal?.sessionId;
    if (sessionId === undefined) {
      throw new ZeroTrustError('invalid-request', { detail: 'the principal has no session to end' });
    }
    await this.sessions.end(sessionId, 'logout');
  }
}

/** A module of its own, because a path prefix in Nest belongs to a module. */
@Module({ controllers: [LogoutController] })
export class LogoutModule {}
