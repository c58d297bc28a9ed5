import { Body, Controller, Header, HttpCode, Post } from '@nestjs/common';
import { Public } from '../core/route-policy.js';
import { ThrottleStrictly } from '../throttler/throttle.decorators.js';
import { SignInDto } from './sign-in.dto.js';
import { SignInService } from './sign-in.service.js';

export interface SignInAnswer {
  readonly status: 'authenticated';
  readonly accessToken: string;
  readonly tokenType: 'Bearer';
  /** Seconds that the access token lives. */
  readonly expiresIn: number;
}

/** `POST /auth/login`: e-mail address and password for an access token. */
@Controller()
export class SignInController {
  constructor(private readonly signIn: SignInService) {}

  @Post('login')
  @Public()
  @ThrottleStrictly()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async login(@Body() { email, password }: SignInDto): Promise<SignInAnswer> {
    const { accessToken, expiresInSeconds } = await this.signIn.signIn(email, password);
    return { status: 'authenticated', accessToken, tokenType: 'Bearer', expiresIn: expiresInSeconds };
  }
}
