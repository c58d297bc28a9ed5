import { Injectable } from '@nestjs/common';
import { AccessChanges } from '../grants/access-changes.js';
import { accessMatrix, type AccessMatrixRow } from './access-matrix.js';
import { AccessSettings } from '../access.settings.js';
import { BootCheck } from './boot.check.js';
import { RouteInventory } from './route-inventory.js';

/** The access matrix of this very application, for `GET /admin/access/routes` and `zero-trust routes` alike. */
@Injectable()
export class RouteMatrix {
  constructor(
    private readonly inventory: RouteInventory,
    private readonly changes: AccessChanges,
    private readonly settings: AccessSettings,
    private readonly bootCheck: BootCheck,
  ) {}

  /** Every way in, what it demands, and which of the stored roles get through. Needs no `init()`. */
  async rows(): Promise<readonly AccessMatrixRow[]> {
    const roles = await this.changes.graph();
    const undeclared = this.bootCheck.undeclaredRoutes();
    return accessMatrix(
      this.inventory.entries(),
      this.settings.adapterRoutes,
      roles,
      undeclared,
      this.settings.reportOnly.adapterRoutes,
    );
  }
}
