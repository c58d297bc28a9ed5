import { Body, Controller, Delete, Get, HttpCode, Param, ParseUUIDPipe, Post } from '@nestjs/common';
import { ADMINISTRATIVE_CHANGE } from '../../core/assurance.js';
import { RequireAssurance, RequirePermission } from '../../core/route-policy.js';
import { CreateGrantDto } from './grant.dto.js';
import { GrantsService } from './grants.service.js';
import type { Grant } from './grants.store.js';

@Controller()
export class GrantsController {
  constructor(private readonly grants: GrantsService) {}

  @Get('accounts/:id/grants')
  @RequirePermission('grants:read')
  async list(@Param('id', ParseUUIDPipe) subject: string): Promise<{ grants: readonly Grant[] }> {
    return { grants: await this.grants.listOf(subject) };
  }

  @Post('accounts/:id/grants')
  @RequirePermission('grants:write')
  @RequireAssurance(ADMINISTRATIVE_CHANGE)
  grant(
    @Param('id', ParseUUIDPipe) subject: string,
    @Body() { role, scope, reason, expiresAt, notBefore }: CreateGrantDto,
  ): Promise<Grant> {
    return this.grants.grant({
      subject,
      role,
      reason,
      ...(scope !== undefined && { scope }),
      ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt) }),
      ...(notBefore !== undefined && { notBefore: new Date(notBefore) }),
    });
  }

  @Delete('grants/:id')
  @HttpCode(204)
  @RequirePermission('grants:write')
  @RequireAssurance(ADMINISTRATIVE_CHANGE)
  revoke(@Param('id', ParseUUIDPipe) id: string): Promise<void> {
    return this.grants.revoke(id);
  }
}
