import { Body, Controller, Delete, Header, HttpCode, Post } from '@nestjs/common';
import { CurrentPrincipal } from '../../core/principal.decorator.js';
import type { Principal } from '../../core/principal.js';
import { Authenticated, RequireAssurance } from '../../core/route-policy.js';
import { ThrottleStrictly } from '../../throttler/throttle.decorators.js';
import { ConfirmTotpDto } from './second-factors.dto.js';
import { SecondFactorsService, type OfferedTotp } from './second-factors.service.js';

/** The only time that anybody sees these codes. */
export interface RecoveryCodes {
  readonly recoveryCodes: readonly string[];
}

/**
 * `…/mfa`: the caller's own second factor. To enrol one needs a sign-in of the last five minutes, with the factor that
 * is there, if one is: the service asks for that, since only it knows.
 */
@Controller('mfa')
export class SecondFactorsController {
  constructor(private readonly factors: SecondFactorsService) {}

  @Post('totp')
  @Authenticated()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  offer(@CurrentPrincipal() caller: Principal): Promise<OfferedTotp> {
    return this.factors.offerTotp(caller);
  }

  @Post('totp/confirm')
  @Authenticated()
  @ThrottleStrictly()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async confirm(
    @CurrentPrincipal() caller: Principal,
    @Body() { code }: ConfirmTotpDto,
  ): Promise<RecoveryCodes> {
    return { recoveryCodes: await this.factors.confirmTotp(caller, code) };
  }

  @Delete('totp')
  @Authenticated()
  @RequireAssurance({ acr: 'aal2', maxAgeSeconds: 300 })
  @HttpCode(204)
  @Header('Cache-Control', 'no-store')
  remove(@CurrentPrincipal() caller: Principal): Promise<void> {
    return this.factors.removeTotp(caller);
  }

  @Post('recovery-codes')
  @Authenticated()
  @RequireAssurance({ acr: 'aal2', maxAgeSeconds: 300 })
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  async renewRecoveryCodes(@CurrentPrincipal() caller: Principal): Promise<RecoveryCodes> {
    return { recoveryCodes: await this.factors.renewRecoveryCodes(caller) };
  }
}
