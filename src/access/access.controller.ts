import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { RequirePermission } from '../core/route-policy.js';
import { AccessChanges } from './access-changes.js';
import { AccessExplanation, type Explanation } from './access-explanation.js';
import { accessMatrix, type AccessMatrixRow } from './access-matrix.js';
import { AccessSettings } from './access.settings.js';
import { ExplainDto } from './explain.dto.js';
import { RouteInventory } from './route-inventory.js';

@Controller('access')
export class AccessController {
  constructor(
    private readonly inventory: RouteInventory,
    private readonly explanation: AccessExplanation,
    private readonly changes: AccessChanges,
    private readonly settings: AccessSettings,
  ) {}

  /** Every way into the application, what it demands, and which of the stored roles get through. */
  @Get('routes')
  @RequirePermission('access:read')
  async routes(): Promise<{ routes: readonly AccessMatrixRow[] }> {
    const roles = await this.changes.graph();
    return { routes: accessMatrix(this.inventory.entries(), this.settings.adapterRoutes, roles) };
  }

  /** Why an account may do something, or may not. A question, though it is a POST: it changes nothing. */
  @Post('explain')
  @HttpCode(200)
  @RequirePermission('access:explain')
  explain(@Body() { accountId, permission }: ExplainDto): Promise<Explanation> {
    return this.explanation.explain(accountId, permission);
  }
}
