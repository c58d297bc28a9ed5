import { Body, Controller, Header, HttpCode, Post } from '@nestjs/common';
import { Public } from '../core/route-policy.js';
import { ThrottleStrictly } from '../throttler/throttle.decorators.js';
import { SignInChallenges } from './sign-in-challenges.service.js';
import { SignInChallengeDto, SignInDto } from './sign-in.dto.js';
import { SignInService, type SignIn } from './sign-in.service.js';

export interface SessionHandedOver {
  readonly status: 'authenticated';
  readonly accessToken: string;
  readonly tokenType: 'Bearer';
  /** Seconds that the access token lives. */
  readonly expiresIn: number;
  /** After a recovery code was used: how many are left. */
  readonly recoveryCodesLeft?: number;
}

export type SignInAnswer = SessionHandedOver | Extract<SignIn, { status: 'mfa_required' }>;

/** `POST /auth/login` and `POST /auth/login/mfa`: e-mail address and password, and what else there is, for a session. */
@Controller('login')
export class SignInController {
  constructor(
    private readonly signIn: SignInService,
    private readonly challenges: SignInChallenges,
  ) {}

  @Post()
  @Public()
  @ThrottleStrictly()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async login(@Body() { email, password, delivery }: SignInDto): Promise<SignInAnswer> {
    return handOver(await this.signIn.signIn(email, password, delivery));
  }

  @Post('mfa')
  @Public()
  @ThrottleStrictly()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async answerChallenge(@Body() { challengeId, method, code }: SignInChallengeDto): Promise<SignInAnswer> {
    return handOver(await this.challenges.answer(challengeId, method, code));
  }
}

function handOver(signIn: SignIn): SignInAnswer {
  if (signIn.status === 'mfa_required') return signIn;
  const { session, recoveryCodesLeft } = signIn;
  return {
    status: 'authenticated',
    accessToken: session.accessToken,
    tokenType: 'Bearer',
    expiresIn: session.expiresInSeconds,
    ...(recoveryCodesLeft !== undefined && { recoveryCodesLeft }),
  };
}
