import { Controller, Get, Header } from '@nestjs/common';
import { AccessService } from '../../access/access.service.js';
import type { Principal } from '../../core/principal.js';
import { RequestContext } from '../../core/request-context.js';
import { Authenticated } from '../../core/route-policy.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { AccountsService } from './accounts.service.js';

/** Who is asking, what they may do now, and how sure we are of it. */
export interface Me extends Pick<Principal, 'acr' | 'amr' | 'authTime' | 'sessionId'> {
  readonly id: string;
  readonly email: string;
  readonly displayName: string;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
}

/** `GET /auth/me`. */
@Controller()
export class MeController {
  constructor(
    private readonly accounts: AccountsService,
    private readonly access: AccessService,
  ) {}

  @Get('me')
  @Authenticated()
  @Header('Cache-Control', 'no-store')
  async me(): Promise<Me> {
    const principal = RequestContext.current()?.principal;
    // A service or a system has no account: nothing to show, whatever it may do.
    if (principal?.kind !== 'account') {
      throw new ZeroTrustError('not-found', { detail: 'the caller is no account' });
    }
    const { subject, acr, amr, authTime, sessionId } = principal;
    const { id, email, displayName } = await this.accounts.get(subject);
    const roles = await this.access.rolesOf(subject);
    const permissions = await this.access.permissionsOf(subject);
    return {
      id,
      email,
      displayName,
      roles,
      permissions,
      ...(acr !== undefined && { acr }),
      ...(amr !== undefined && { amr }),
      ...(authTime !== undefined && { authTime }),
      ...(sessionId !== undefined && { sessionId }),
    };
  }
}
