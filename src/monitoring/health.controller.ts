import { Controller, Get, Header, HttpStatus, Res } from '@nestjs/common';
import { Public } from '../core/route-policy.js';
import { Readiness } from './readiness.js';

/** All that a stranger learns. */
export interface Health {
  readonly status: 'up' | 'down';
}

/** What the reply of Express and of Fastify have in common. */
interface Reply {
  status(code: number): unknown;
}

/**
 * For orchestrators, which come without credentials: up or down and nothing more (ASVS 13.4.5).
 * `live` says that the process answers: down means restart it. `ready` says that it can serve: down means send
 * nothing here, with 503.
 */
@Controller('health')
export class HealthController {
  constructor(private readonly readiness: Readiness) {}

  @Get('live')
  @Public()
  @Header('Cache-Control', 'no-store')
  live(): Health {
    return { status: 'up' };
  }

  @Get('ready')
  @Public()
  @Header('Cache-Control', 'no-store')
  async ready(@Res({ passthrough: true }) reply: Reply): Promise<Health> {
    if (await this.readiness.check()) return { status: 'up' };
    reply.status(HttpStatus.SERVICE_UNAVAILABLE);
    return { status: 'down' };
  }
}
