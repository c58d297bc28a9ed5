import { Injectable } from '@nestjs/common';
import type { Principal } from '../../core/principal.js';
import { RequestContext } from '../../core/request-context.js';
import { SecurityEvents } from '../../core/security-events.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { AccessSettings } from '../access.settings.js';
import { isBound } from './actor.js';
import { GrantsStore, type Grant, type Until } from './grants.store.js';
import { HeldPermissions } from '../decision/held-permissions.js';
import { conveyedBy, permissionsOf, type RoleGraph } from './role-graph.js';
import { RolesStore } from './roles.store.js';
import { kindOf } from './scope.js';
import { Subjects } from './subjects.js';

/** Whoever holds both can mend everything else; somebody must. */
const ADMINISTRATION = ['grants:write', 'roles:write'] as const;

/** "ztaccess" as a number: the advisory lock under which roles and grants change. */
const LOCK = '8823784649422893939';

/** What is changed, and where that counts: roles, and grants without a scope, count everywhere. */
export interface ChangeTarget {
  readonly type: 'grant' | 'role';
  readonly id: string;
  readonly scope: string | null;
}

/**
 * One change of roles or grants at a time, in one transaction: all of them hold one lock, so that what a rule was
 * checked against is still true when the change commits (two revocations of the last two administrators, two edges
 * that close a circle, the same grant twice).
 */
@Injectable()
export class AccessChanges {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly events: SecurityEvents,
    private readonly roles: RolesStore,
    private readonly grants: GrantsStore,
    private readonly settings: AccessSettings,
    private readonly held: HeldPermissions,
    private readonly subjects: Subjects,
  ) {}

  /**
   * Runs `work` under the lock, if the actor may still act, then checks what holds for every change.
   *
   * @throws ZeroTrustError `permission-denied` when the actor was disabled or lost its right while it waited;
   * `conflict` when nobody could administer any more; what `work` throws. Nothing is written then, and a
   * `permission-denied` is published once the transaction is gone.
   */
  async make<T>({ type, id, scope }: ChangeTarget, actor: Principal, work: () => Promise<T>): Promise<T> {
    try {
      return await this.unitOfWork.run(async () => {
        await this.#lock();
        await this.#assertStillMay(actor, scope);
        const before = await this.#administrators();
        const result = await work();
        await this.unitOfWork.afterCommit(() => {
          this.held.forget();
        });
        if (before.size > 0 && (await this.#administrators()).size === 0) {
          throw new ZeroTrustError('conflict', {
            detail: 'the change would leave nobody who can administer',
          });
        }
        return result;
      });
    } catch (error) {
      if (error instanceof ZeroTrustError && error.code === 'permission-denied') {
        await this.events.publish({
          action: 'access.refused',
          outcome: 'failure',
          delivery: 'detached',
          actor: actor.subject,
          target: { type, id },
          reason: error.detail,
          detail: { code: error.code },
        });
      }
      throw error;
    }
  }

  /** The roles as they count: what nobody declared conveys nothing. */
  async graph(): Promise<RoleGraph> {
    const { catalogue } = this.settings;
    const declared = (names: readonly string[]): readonly string[] =>
      names.filter((name) => catalogue.has(name));
    const stored = await this.roles.graph();
    return new Map(
      [...stored].map(([name, role]) => [name, { ...role, permissions: declared(role.permissions) }]),
    );
  }

  /**
   * Nobody hands out, takes away or changes what is beyond themselves: `permissions` are within what the actor's
   * roles convey, held at least until `until` (so that what was lent for an hour does not become lasting), everywhere or
   * in the `scope` of the change.
   *
   * @throws ZeroTrustError `permission-denied`
   */
  async assertWithin(
    actor: Principal,
    permissions: Iterable<string>,
    graph: RoleGraph,
    until: Until,
    scope: string | null,
  ): Promise<void> {
    if (!isBound(actor)) return;
    // What is held in a scope of a kind that nobody declares conveys nothing there either.
    const where = scope !== null && this.settings.scopes.includes(kindOf(scope)) ? scope : null;
    const conveyed = conveyedBy(graph, await this.grants.rolesHeldUntil(actor.subject, until, where));
    for (const permission of permissions) {
      if (!conveyed.has(permission)) deny('the actor does not hold what the change conveys');
    }
  }

  /**
   * Nobody changes a role so that they themselves may do more: not in more places than before, not for longer, and not
   * later either.
   *
   * @throws ZeroTrustError `permission-denied`
   */
  async assertNotRaised(actor: Principal, before: RoleGraph, after: RoleGraph): Promise<void> {
    if (!isBound(actor)) return;
    // Also what begins later.
    const own = await this.grants.listOf(actor.subject);
    for (const grant of own) {
      const roles = own.filter((other) => covers(other, grant)).map(({ role }) => role);
      const held = permissionsOf(before, roles);
      for (const permission of permissionsOf(after, [grant.role])) {
        if (!held.has(permission)) deny('the change would raise the actor');
      }
    }
  }

  /**
   * Whether this subject is the only one that can administer without an end. Ask before disabling an account, inside
   * of the unit of work that does it: the lock is held until it ends, so that two who are the last but one cannot
   * both go.
   */
  async isLastAdministrator(subject: string): Promise<boolean> {
    await this.#lock();
    const administrators = await this.#administrators();
    return administrators.size === 1 && administrators.has(subject.toLowerCase());
  }

  async #lock(): Promise<void> {
    await this.unitOfWork.query('SELECT pg_advisory_xact_lock($1::bigint)', [LOCK]);
  }

  /** What the pipeline found was true then; now nobody else can change it. */
  async #assertStillMay(actor: Principal, scope: string | null): Promise<void> {
    if (!isBound(actor)) return;
    if (actor.kind === 'account' && (await this.subjects.stateOf(actor.subject)) === 'disabled') {
      deny('the acting account is disabled');
    }
    const context = RequestContext.current();
    if (context?.principal?.subject !== actor.subject) return;
    if (!(await this.held.stillLetIn(context, actor, scope)))
      deny('the actor has lost the right to make the change');
  }

  async #administrators(): Promise<ReadonlySet<string>> {
    const graph = await this.graph();
    const conveying = (permission: string): readonly string[] =>
      [...graph.keys()].filter((role) => permissionsOf(graph, [role]).has(permission));
    const holders = await this.grants.lastingHolders(
      conveying(ADMINISTRATION[0]),
      conveying(ADMINISTRATION[1]),
    );
    // Who is shut out mends nothing.
    return this.subjects.activeOf(holders);
  }
}

/** Whether one grant counts wherever and whenever another does. */
function covers(one: Grant, other: Grant): boolean {
  return (
    (one.scope === null || one.scope === other.scope) &&
    (one.notBefore?.getTime() ?? -Infinity) <= (other.notBefore?.getTime() ?? -Infinity) &&
    (one.expiresAt?.getTime() ?? Infinity) >= (other.expiresAt?.getTime() ?? Infinity)
  );
}

export function deny(detail: string): never {
  throw new ZeroTrustError('permission-denied', { detail });
}
