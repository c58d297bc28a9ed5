import { Controller, Delete, Get, HttpCode, Param, ParseUUIDPipe } from '@nestjs/common';
import { RequestContext } from '../core/request-context.js';
import { Authenticated, RequireAssurance } from '../core/route-policy.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { SessionsService, type OwnSession } from './sessions.service.js';

/** Whoever ends sessions has authenticated lately (ASVS 7.5.2). */
const LATELY = { acr: 'aal1', maxAgeSeconds: 600 } as const;

/** `…/auth/sessions`: what its owner sees of them, and ends. Somebody else's do not exist here. */
@Controller('sessions')
export class OwnSessionsController {
  constructor(private readonly sessions: SessionsService) {}

  @Get()
  @Authenticated()
  async list(): Promise<{ items: readonly (OwnSession & { readonly current: boolean })[] }> {
    const { subject, sessionId } = caller();
    const own = await this.sessions.listOf(subject);
    return { items: own.map((each) => ({ ...each, current: each.id === sessionId })) };
  }

  @Delete(':id')
  @Authenticated()
  @RequireAssurance(LATELY)
  @HttpCode(204)
  async end(@Param('id', ParseUUIDPipe) id: string): Promise<void> {
    if (await this.sessions.endOwn(caller().subject, id.toLowerCase())) return;
    throw new ZeroTrustError('not-found', { detail: 'the caller has no such living session' });
  }

  /** All others; the one that asks lives on. */
  @Delete()
  @Authenticated()
  @RequireAssurance(LATELY)
  @HttpCode(204)
  async endOthers(): Promise<void> {
    const { subject, sessionId } = caller();
    await this.sessions.endAllOf(subject, 'ended-by-subject', sessionId);
  }
}

function caller(): { subject: string; sessionId: string } {
  const { subject, sessionId } = RequestContext.current()?.principal ?? {};
  if (subject === undefined || sessionId === undefined) {
    throw new ZeroTrustError('not-found', { detail: 'the caller has no session' });
  }
  return { subject, sessionId };
}
