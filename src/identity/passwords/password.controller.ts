import { Body, Controller, Header, HttpCode, Post } from '@nestjs/common';
import { CurrentPrincipal } from '../../core/principal.decorator.js';
import type { Principal } from '../../core/principal.js';
import { Authenticated } from '../../core/route-policy.js';
import { ThrottleStrictly } from '../../throttler/throttle.decorators.js';
import { PasswordChangeService } from './password-change.service.js';
import { ChangePasswordDto } from './password.dto.js';

/** `POST /auth/password/change`. */
@Controller('password')
export class PasswordController {
  constructor(private readonly passwords: PasswordChangeService) {}

  @Post('change')
  @Authenticated()
  @ThrottleStrictly()
  @HttpCode(204)
  @Header('Cache-Control', 'no-store')
  change(
    @CurrentPrincipal() caller: Principal,
    @Body() { currentPassword, newPassword }: ChangePasswordDto,
  ): Promise<void> {
    return this.passwords.change(caller, currentPassword, newPassword);
  }
}
