import { Controller, Get, Header } from '@nestjs/common';
import { Public } from '../../core/route-policy.js';
import { JWKS_MAX_AGE_SECONDS } from './signing-key.schedule.js';
import type { PublicJwk } from './signing-key.js';
import { SigningKeys } from './signing-keys.js';

/** `GET /.well-known/jwks.json`: the public keys for other services that verify our tokens (RFC 7517 5). */
@Controller('.well-known')
export class JwksController {
  constructor(private readonly keys: SigningKeys) {}

  @Get('jwks.json')
  @Public()
  @Header('Content-Type', 'application/jwk-set+json')
  @Header('Cache-Control', `public, max-age=${JWKS_MAX_AGE_SECONDS}`)
  async jwks(): Promise<{ keys: PublicJwk[] }> {
    return { keys: await this.keys.published() };
  }
}
