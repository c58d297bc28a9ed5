import { Global, Module } from '@nestjs/common';
import { KitModule } from '../core/kit-module.js';
import { Pipeline } from '../core/pipeline.js';
import { FreshnessModule } from '../freshness/freshness.module.js';
import { AccessExplanation } from './decision/access-explanation.js';
import { AccessController } from './access.controller.js';
import { ACCESS_OPTIONS, AccessModuleBase, type AccessOptions } from './access.options.js';
import { DECIDING_PROVIDERS } from './access.providers.js';
import { AccessService } from './access.service.js';
import { AccessSettings, resolveAccessOptions } from './access.settings.js';
import { AuthoriseStage } from './decision/authorise.stage.js';
import { AccessReports } from './report-only/access-reports.js';
import { GrantsController } from './grants/grants.controller.js';
import { GrantsService } from './grants/grants.service.js';
import { GrantsStore } from './grants/grants.store.js';
import { HandlerAddresses } from './inventory/handler-addresses.js';
import { HeldPermissions } from './decision/held-permissions.js';
import { MissingPermissions } from './report-only/missing-permissions.js';
import { QueueWorkersModule } from './inventory/queue-workers.module.js';
import { ReportAnnouncements } from './report-only/report.announcements.js';
import { ReportOnlyCoverage } from './report-only/report-only.coverage.js';
import { ReportOnlyRecorder } from './report-only/report-only.recorder.js';
import { ReportStore } from './report-only/report.store.js';
import { RolesController } from './grants/roles.controller.js';
import { RolesService } from './grants/roles.service.js';
import { RolesStore } from './grants/roles.store.js';
import { RouteInventory } from './inventory/route-inventory.js';
import { RouteMatrix } from './inventory/route-matrix.js';
import { Scopes } from './grants/scopes.js';
import { SeparationReview } from './grants/separation-review.js';
import { Subjects } from './grants/subjects.js';
import { TenantTables } from './tenants/tenant-tables.js';
import { Tenants } from './tenants/tenants.js';

/** May they: roles and grants, the decision, and the proof that every way in is declared. */
@Global()
@KitModule()
@Module({
  imports: [FreshnessModule, QueueWorkersModule],
  controllers: [AccessController, RolesController, GrantsController],
  providers: [
    {
      provide: AccessSettings,
      inject: [ACCESS_OPTIONS],
      useFactory: (options: AccessOptions): AccessSettings => resolveAccessOptions(options),
    },
    ...DECIDING_PROVIDERS,
    Scopes,
    TenantTables,
    RolesStore,
    GrantsStore,
    HeldPermissions,
    AccessExplanation,
    SeparationReview,
    HandlerAddresses,
    MissingPermissions,
    ReportStore,
    ReportAnnouncements,
    ReportOnlyRecorder,
    AccessReports,
  ],
  exports: [
    AccessService,
    RolesService,
    GrantsService,
    RouteInventory,
    RouteMatrix,
    AccessSettings,
    Subjects,
    Scopes,
    Tenants,
    ReportOnlyRecorder,
    AccessReports,
  ],
})
export class AccessModule extends AccessModuleBase {
  constructor(
    pipeline: Pipeline,
    stage: AuthoriseStage,
    coverage: ReportOnlyCoverage,
    recorder: ReportOnlyRecorder,
  ) {
    super();
    pipeline.register(stage);
    // Where everything is enforced, no call is asked about it.
    if (coverage.inUse) pipeline.useReportOnly(recorder);
  }
}
