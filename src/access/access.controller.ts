import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { RequirePermission } from '../core/route-policy.js';
import { AccessExplanation, type Explanation } from './decision/access-explanation.js';
import type { AccessMatrixRow } from './inventory/access-matrix.js';
import type { AccessReport } from './report-only/access-report.js';
import { AccessReports } from './report-only/access-reports.js';
import { ExplainDto } from './decision/explain.dto.js';
import { RouteMatrix } from './inventory/route-matrix.js';

@Controller('access')
export class AccessController {
  constructor(
    private readonly matrix: RouteMatrix,
    private readonly explanation: AccessExplanation,
    private readonly reports: AccessReports,
  ) {}

  /** Every way into the application, what it demands, and which of the stored roles get through. */
  @Get('routes')
  @RequirePermission('access:read')
  async routes(): Promise<{ routes: readonly AccessMatrixRow[] }> {
    return { routes: await this.matrix.rows() };
  }

  /** What would break if everything that is report-only were enforced. */
  @Get('report')
  @RequirePermission('access:read')
  report(): Promise<AccessReport> {
    return this.reports.read();
  }

  /** Why an account may do something, or may not. A question, though it is a POST: it changes nothing. */
  @Post('explain')
  @HttpCode(200)
  @RequirePermission('access:explain')
  explain(@Body() { accountId, permission, resource }: ExplainDto): Promise<Explanation> {
    return this.explanation.explain({ subject: accountId, permission, resource });
  }
}
