import { Body, Controller, Header, HttpCode, Post, Req, Res } from '@nestjs/common';
import { Public } from '../../core/route-policy.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { SessionHandover, type SessionAnswer } from '../../sessions/session-handover.js';
import type { SessionDelivery } from '../../sessions/session.js';
import { SessionsSettings } from '../../sessions/sessions.settings.js';
import { SupersededSession } from '../../sessions/refresh/superseded-session.js';
import { ThrottleStrictly } from '../../throttler/throttle.decorators.js';
import { SignInChallenges } from './sign-in-challenges.service.js';
import { SignInChallengeDto, SignInDto } from './sign-in.dto.js';
import { SignInService, type SignIn } from './sign-in.service.js';

export type SignInAnswer =
  | Extract<SignIn, { status: 'mfa_required' }>
  /** After a recovery code was used: how many are left. */
  | (SessionAnswer & { readonly recoveryCodesLeft?: number });

/** `POST /auth/login` and `POST /auth/login/mfa`: e-mail address and password, and what else there is, for a session. */
@Controller('login')
export class SignInController {
  constructor(
    private readonly signIn: SignInService,
    private readonly challenges: SignInChallenges,
    private readonly handover: SessionHandover,
    private readonly superseded: SupersededSession,
    private readonly settings: SessionsSettings,
  ) {}

  @Post()
  @Public()
  @ThrottleStrictly()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async login(
    @Body() { email, password, delivery = 'cookie' }: SignInDto,
    @Req() request: unknown,
    @Res({ passthrough: true }) response: unknown,
  ): Promise<SignInAnswer> {
    this.#assertOffered(delivery);
    return this.#answer(request, response, await this.signIn.signIn(email, password, delivery));
  }

  @Post('mfa')
  @Public()
  @ThrottleStrictly()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async answerChallenge(
    @Body() { challengeId, method, code }: SignInChallengeDto,
    @Req() request: unknown,
    @Res({ passthrough: true }) response: unknown,
  ): Promise<SignInAnswer> {
    return this.#answer(request, response, await this.challenges.answer(challengeId, method, code));
  }

  async #answer(request: unknown, response: unknown, signIn: SignIn): Promise<SignInAnswer> {
    if (signIn.status === 'mfa_required') return signIn;
    const { session, recoveryCodesLeft } = signIn;
    if (session.delivery === 'cookie') await this.superseded.end(request);
    const answer = this.handover.hand(response, session, session.delivery);
    return { ...answer, ...(recoveryCodesLeft !== undefined && { recoveryCodesLeft }) };
  }

  #assertOffered(delivery: SessionDelivery): void {
    if (delivery === 'token' || this.settings.cookies) return;
    const errors = [{ field: 'delivery', messages: ['delivery must be token: there are no cookies here'] }];
    throw new ZeroTrustError('validation-failed', { detail: 'cookies are off', errors });
  }
}
