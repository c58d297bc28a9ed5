import { Injectable } from '@nestjs/common';
import type { JudgedCall } from '../../core/pipeline.js';
import { canHoldGrants, HeldPermissions } from '../decision/held-permissions.js';
import type { Finding } from './report.findings.js';

type Lacked = Pick<Finding, 'reason' | 'permissions'>;

/** Which of the demanded permissions a refused caller lacks: what somebody has to grant before it is enforced. */
@Injectable()
export class MissingPermissions {
  constructor(private readonly held: HeldPermissions) {}

  /** Never rejects: where it cannot be known any more, all that was demanded is named. */
  async of({ policy, context }: JudgedCall): Promise<Lacked> {
    const demanded = policy.kind === 'permission' ? [...policy.permissions].sort() : [];
    const { principal } = context;
    const all: Lacked = { reason: 'a demanded permission is not held', permissions: demanded };
    if (!principal) return all;
    if (principal.kind !== 'system' && !canHoldGrants(principal.subject)) {
      return { reason: 'the subject can hold no grants: its id is no UUID', permissions: demanded };
    }
    try {
      // The stage has asked on this very request: nothing is read again.
      const held = await this.held.ofRequest(context, principal);
      const permissions = demanded.filter((permission) => !held.holdsSomewhere(permission));
      if (permissions.length > 0) return { ...all, permissions };
      return { reason: 'a demanded permission is held, but not here', permissions: demanded };
    } catch {
      return all;
    }
  }
}
