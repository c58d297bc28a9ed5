import type { Provider } from '@nestjs/common';
import { AccessChanges } from './access-changes.js';
import { AccessService } from './access.service.js';
import { AuthoriseStage } from './authorise.stage.js';
import { BootCheck } from './boot.check.js';
import { GrantsService } from './grants.service.js';
import { ReportOnlyCoverage } from './report-only.coverage.js';
import { Resources } from './resources.js';
import { RolesService } from './roles.service.js';
import { RouteInventory } from './route-inventory.js';
import { RouteMatrix } from './route-matrix.js';
import { Subjects } from './subjects.js';
import { Tenants } from './tenants.js';

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
