import { Injectable } from '@nestjs/common';
import { AccessSettings } from '../access/access.settings.js';
import type { RoleGraph } from '../access/grants/role-graph.js';
import { RolesStore } from '../access/grants/roles.store.js';
import { UnitOfWork } from '../database/unit-of-work.js';

/** The roles that code declares, as if they had been synced; nothing changes them. */
@Injectable()
export class DeclaredRolesStore extends RolesStore {
  constructor(
    unitOfWork: UnitOfWork,
    private readonly settings: AccessSettings,
  ) {
    super(unitOfWork);
  }

  override graph(): Promise<RoleGraph> {
    return Promise.resolve(this.settings.roles);
  }
}
