import { Injectable } from '@nestjs/common';
import type { Permission } from '../core/permission.js';
import { AccessChanges } from './access-changes.js';
import { decide, type Decision } from './decide.js';
import { GrantsStore } from './grants.store.js';
import { HeldPermissions } from './held-permissions.js';
import { pathTo } from './role-graph.js';

/** A grant that leads to the permission, and how: from the granted role through what it inherits. */
export interface GrantPath {
  readonly grantId: string;
  readonly roles: readonly string[];
  readonly expiresAt: Date | null;
}

export interface Explanation {
  readonly decision: Decision;
  readonly grants: readonly GrantPath[];
}

/** Why a subject may do something, or may not; by the same `decide()` as a request. */
@Injectable()
export class AccessExplanation {
  constructor(
    private readonly held: HeldPermissions,
    private readonly changes: AccessChanges,
    private readonly grants: GrantsStore,
  ) {}

  async explain(subject: string, permission: string): Promise<Explanation> {
    const graph = await this.changes.graph();
    const live = new Set(await this.grants.rolesOf(subject));
    const grants = (await this.grants.listOf(subject)).flatMap(({ id, role, expiresAt }) => {
      const roles = live.has(role) ? pathTo(graph, role, permission) : undefined;
      return roles ? [{ grantId: id, roles, expiresAt }] : [];
    });
    const decision = decide({
      principal: { kind: 'account', subject },
      permissions: [permission as Permission],
      held: await this.held.ofSubject(subject),
    });
    return { decision, grants };
  }
}
