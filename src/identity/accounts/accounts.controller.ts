import { Controller, Delete, Get, Header, HttpCode, Param, ParseUUIDPipe, Post, Query } from '@nestjs/common';
import { ADMINISTRATIVE_CHANGE } from '../../core/assurance.js';
import { RequireAssurance, RequirePermission } from '../../core/route-policy.js';
import { AccountsQueryDto } from './accounts.dto.js';
import { AccountsService, type AccountPage } from './accounts.service.js';

const DEFAULT_LIMIT = 50;

/** `/admin/accounts`: who there is, and who may not come in any more. */
@Controller('accounts')
export class AccountsController {
  constructor(private readonly accounts: AccountsService) {}

  @Get()
  @RequirePermission('accounts:read')
  @Header('Cache-Control', 'no-store')
  list(@Query() { after, limit }: AccountsQueryDto): Promise<AccountPage> {
    return this.accounts.list({ after, limit: limit === undefined ? DEFAULT_LIMIT : Number(limit) });
  }

  @Post(':id/disable')
  @RequirePermission('accounts:disable')
  @RequireAssurance(ADMINISTRATIVE_CHANGE)
  @HttpCode(204)
  disable(@Param('id', ParseUUIDPipe) id: string): Promise<void> {
    return this.accounts.disable(id);
  }

  @Post(':id/enable')
  @RequirePermission('accounts:disable')
  @RequireAssurance(ADMINISTRATIVE_CHANGE)
  @HttpCode(204)
  enable(@Param('id', ParseUUIDPipe) id: string): Promise<void> {
    return this.accounts.enable(id);
  }

  @Delete(':id/sessions')
  @RequirePermission('accounts:end-sessions')
  @RequireAssurance(ADMINISTRATIVE_CHANGE)
  @HttpCode(204)
  endSessions(@Param('id', ParseUUIDPipe) id: string): Promise<void> {
    return this.accounts.endSessions(id);
  }
}
