import { Body, Controller, HttpCode, Post, Res } from '@nestjs/common';
import { CurrentPrincipal } from '../../core/principal.decorator.js';
import type { Principal } from '../../core/principal.js';
import { Authenticated } from '../../core/route-policy.js';
import { SessionHandover, type SessionAnswer } from '../../sessions/session-handover.js';
import { ThrottleStrictly } from '../../throttler/throttle.decorators.js';
import { StepUpDto } from './step-up.dto.js';
import { StepUpService } from './step-up.service.js';

/** `POST /auth/step-up`: what a client does that was challenged by RFC 9470. */
@Controller()
export class StepUpController {
  constructor(
    private readonly service: StepUpService,
    private readonly handover: SessionHandover,
  ) {}

  @Post('step-up')
  @Authenticated()
  @ThrottleStrictly()
  @HttpCode(200)
  async stepUp(
    @CurrentPrincipal() caller: Principal,
    @Body() { method, password = '', code = '' }: StepUpDto,
    @Res({ passthrough: true }) response: unknown,
  ): Promise<SessionAnswer & { recoveryCodesLeft?: number }> {
    const { session, ...rest } =
      method === 'password'
        ? await this.service.byPassword(caller, password)
        : await this.service.byFactor(caller, method, code);
    return { ...this.handover.hand(response, session, session.delivery), ...rest };
  }
}
