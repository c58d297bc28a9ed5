import type { Provider } from '@nestjs/common';
import { AccessChanges } from './grants/access-changes.js';
import { AccessService } from './access.service.js';
import { AuthoriseStage } from './decision/authorise.stage.js';
import { BootCheck } from './inventory/boot.check.js';
import { GrantsService } from './grants/grants.service.js';
import { ReportOnlyCoverage } from './report-only/report-only.coverage.js';
import { Resources } from './objects/resources.js';
import { RolesService } from './grants/roles.service.js';
import { RouteInventory } from './inventory/route-inventory.js';
import { RouteMatrix } from './inventory/route-matrix.js';
import { Subjects } from './grants/subjects.js';
import { Tenants } from './tenants/tenants.js';

/**
 * All of this room that keeps nothing itself: the same whether grants stand in PostgreSQL or a test says what somebody
 * holds. Whoever lists them brings `AccessSettings`, `HeldPermissions`, `GrantsStore`, `RolesStore` and `Scopes` too.
 */
export const DECIDING_PROVIDERS: readonly Provider[] = [
  Subjects,
  Tenants,
  Resources,
  AccessChanges,
  AuthoriseStage,
  AccessService,
  RolesService,
  GrantsService,
  ReportOnlyCoverage,
  RouteInventory,
  RouteMatrix,
  BootCheck,
];
