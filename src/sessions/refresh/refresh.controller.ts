import { Body, Controller, HttpCode, Post, Req, Res } from '@nestjs/common';
import { Public } from '../../core/route-policy.js';
import { presentedRefreshTokenOf } from './presented-refresh-token.js';
import { ProofRefusals } from '../access-tokens/proof-refusals.js';
import { RefreshDto } from './refresh.dto.js';
import { RefreshService } from './refresh.service.js';
import { SessionHandover, type SessionAnswer } from '../session-handover.js';
import { SessionsSettings } from '../sessions.settings.js';

/** `POST /auth/refresh`: a refresh token for a new pair, handed over as the old one was. */
@Controller()
export class RefreshController {
  constructor(
    private readonly service: RefreshService,
    private readonly handover: SessionHandover,
    private readonly settings: SessionsSettings,
    private readonly refusals: ProofRefusals,
  ) {}

  /** Public: the refresh token itself is the proof. A refusal leaves cookies alone: they may be somebody's who won a race. */
  @Post('refresh')
  @Public()
  @HttpCode(200)
  async refresh(
    @Req() request: unknown,
    @Res({ passthrough: true }) response: unknown,
    @Body() body?: RefreshDto,
  ): Promise<SessionAnswer> {
    const { cookies } = this.settings;
    const presented = await this.refusals.recording(() =>
      presentedRefreshTokenOf(request, body?.refreshToken, cookies),
    );
    if (!presented) return this.refusals.refuse('no refresh token was presented');
    const { text, delivery } = presented;
    return this.handover.hand(response, await this.service.refresh(text, delivery), delivery);
  }
}
