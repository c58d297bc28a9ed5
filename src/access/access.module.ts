import { Global, Module } from '@nestjs/common';
import { KitModule } from '../core/kit-module.js';
import { Pipeline } from '../core/pipeline.js';
import { FreshnessModule } from '../freshness/freshness.module.js';
import { AccessExplanation } from './access-explanation.js';
import { AccessController } from './access.controller.js';
import { ACCESS_OPTIONS, AccessModuleBase, type AccessOptions } from './access.options.js';
import { DECIDING_PROVIDERS } from './access.providers.js';
import { AccessService } from './access.service.js';
import { AccessSettings, resolveAccessOptions } from './access.settings.js';
import { AuthoriseStage } from './authorise.stage.js';
import { AccessReports } from './access-reports.js';
import { GrantsController } from './grants.controller.js';
import { GrantsService } from './grants.service.js';
import { GrantsStore } from './grants.store.js';
import { HandlerAddresses } from './handler-addresses.js';
import { HeldPermissions } from './held-permissions.js';
import { MissingPermissions } from './missing-permissions.js';
import { ReportAnnouncements } from './report.announcements.js';
import { ReportOnlyCoverage } from './report-only.coverage.js';
import { ReportOnlyRecorder } from './report-only.recorder.js';
import { ReportStore } from './report.store.js';
import { RolesController } from './roles.controller.js';
import { RolesService } from './roles.service.js';
import { RolesStore } from './roles.store.js';
import { RouteInventory } from './route-inventory.js';
import { RouteMatrix } from './route-matrix.js';
import { Scopes } from './scopes.js';
import { SeparationReview } from './separation-review.js';
import { Subjects } from './subjects.js';
import { TenantTables } from './tenant-tables.js';
import { Tenants } from './tenants.js';

/** May they: roles and grants, the decision, and the proof that every way in is declared. */
@Global()
@KitModule()
@Module({
  imports: [FreshnessModule],
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
