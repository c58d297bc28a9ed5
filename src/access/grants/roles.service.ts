import { Injectable } from '@nestjs/common';
import type { Principal } from '../../core/principal.js';
import { SecurityEvents } from '../../core/security-events.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { AccessChanges, type ChangeTarget } from './access-changes.js';
import type { DeclaredRole, DeclaredRoles } from '../access.options.js';
import { AccessSettings, definitionOf, isRoleName } from '../access.settings.js';
import { actorOr } from './actor.js';
import { GrantsStore } from './grants.store.js';
import {
  conveyedBy,
  cycleThrough,
  isTooDeep,
  MAX_ROLE_DEPTH,
  permissionsOf,
  type RoleDefinition,
  type RoleGraph,
} from './role-graph.js';
import { RolesStore } from './roles.store.js';
import { newlyBrokenBy } from './separation-of-duty.js';

export interface Role extends RoleDefinition {
  readonly name: string;
}

/** One role that a synchronisation changes; `before` is absent when it is new. */
export interface RoleChange {
  readonly role: string;
  readonly before?: RoleDefinition;
  readonly after: RoleDefinition;
}

/**
 * Roles and their hierarchy. Every change is one transaction with its event, under one lock, and nobody brings about
 * by it what they do not hold themselves (OWASP API5:2023).
 */
@Injectable()
export class RolesService {
  constructor(
    private readonly changes: AccessChanges,
    private readonly store: RolesStore,
    private readonly grants: GrantsStore,
    private readonly events: SecurityEvents,
    private readonly settings: AccessSettings,
  ) {}

  async list(): Promise<readonly Role[]> {
    return [...(await this.store.graph())].map(([name, role]) => ({ name, ...role }));
  }

  /** @throws ZeroTrustError `not-found` */
  async get(name: string): Promise<Role> {
    const role = (await this.store.graph()).get(name);
    if (!role) throw notFound();
    return { name, ...role };
  }

  /**
   * Makes a role, or replaces all that it says. Left-out `actor`: the caller of the request in hand.
   *
   * @throws ZeroTrustError `validation-failed` on an undeclared permission, an unknown role or a circle;
   * `permission-denied` beyond the actor's own rights; `conflict` when nobody could administer any more, or somebody would
   * hold roles that are to be separate.
   */
  async put(name: string, role: DeclaredRole, actor?: Principal): Promise<Role> {
    const by = actorOr(actor);
    const after = definitionOf(role);
    await this.changes.make(targetOf(name), by, () => this.#write(new Map([[name, after]]), by));
    return { name, ...after };
  }

  /** @throws ZeroTrustError `not-found`; `conflict` while somebody holds it or a role inherits it. */
  async delete(name: string, actor?: Principal): Promise<void> {
    const by = actorOr(actor);
    await this.changes.make(targetOf(name), by, async () => {
      const stored = await this.store.graph();
      const role = stored.get(name);
      if (!role) throw notFound();
      const graph = await this.changes.graph();
      await this.changes.assertWithin(by, conveyedBy(graph, [name]), graph, 'ever', null);
      if ([...stored.values()].some(({ inherits }) => inherits.includes(name))) {
        throw new ZeroTrustError('conflict', { detail: 'another role inherits this one' });
      }
      if ((await this.grants.countOf(name)) > 0) {
        throw new ZeroTrustError('conflict', { detail: 'somebody holds this role' });
      }
      await this.store.remove(name);
      await this.#publish('role.deleted', name, role, undefined, by);
    });
  }

  /**
   * Brings roles that code declares into the database, all or none; again and again with the same outcome. Roles that
   * code does not name are left alone.
   *
   * @returns what differed. With `dryRun` nothing is written.
   */
  async sync(
    roles: DeclaredRoles,
    actor?: Principal,
    { dryRun = false }: { readonly dryRun?: boolean } = {},
  ): Promise<readonly RoleChange[]> {
    const wanted = new Map(Object.entries(roles).map(([name, role]) => [name, definitionOf(role)]));
    if (dryRun) return differences(await this.store.graph(), wanted);
    const by = actorOr(actor);
    return this.changes.make(targetOf('*'), by, () => this.#write(wanted, by));
  }

  /** Under the lock: writes what differs, then checks the whole that came of it. */
  async #write(wanted: RoleGraph, by: Principal): Promise<readonly RoleChange[]> {
    const before = await this.changes.graph();
    const changed = differences(await this.store.graph(), wanted);
    this.#assertDefined(wanted, before);
    await this.store.make(changed.map(({ role }) => role));
    for (const { role, after } of changed) await this.store.define(role, after);

    const after = await this.changes.graph();
    for (const { role } of changed) {
      if (cycleThrough(after, role)) throw invalid('inherits', 'would make a circle of roles');
    }
    if (changed.length > 0 && isTooDeep(after)) {
      throw invalid('inherits', `would make a chain of more than ${MAX_ROLE_DEPTH} roles`);
    }
    for (const { role } of changed) {
      await this.changes.assertWithin(by, differing(before, after, role), before, 'ever', null);
    }
    await this.changes.assertNotRaised(by, before, after);
    if (changed.length > 0) await this.#assertSeparate(before, after);
    for (const change of changed) {
      await this.#publish('role.changed', change.role, change.before, change.after, by);
    }
    return changed;
  }

  /** A role that begins to inherit another may join what is to be separate, also in the hands of who holds it. */
  async #assertSeparate(before: RoleGraph, after: RoleGraph): Promise<void> {
    const { separationOfDuty } = this.settings;
    if (separationOfDuty.length === 0) return;
    for (const role of after.keys()) {
      const broken = newlyBrokenBy(separationOfDuty, before, after, [role]);
      if (broken) throw invalid('inherits', `would join roles that are to be separate (${broken.name})`);
    }
    for (const { roles } of await this.grants.heldTogether()) {
      const broken = newlyBrokenBy(separationOfDuty, before, after, roles);
      if (!broken) continue;
      const detail = `separation of duty (${broken.name}): somebody would hold roles that are to be separate`;
      throw new ZeroTrustError('conflict', { detail });
    }
  }

  #assertDefined(wanted: RoleGraph, stored: RoleGraph): void {
    for (const [name, { permissions, inherits, mayGrant }] of wanted) {
      const known = (role: string): boolean => role !== name && (stored.has(role) || wanted.has(role));
      if (!isRoleName(name)) throw invalid('name', 'must be lower-case words joined by "-"');
      if (!permissions.every((permission) => this.settings.catalogue.has(permission))) {
        throw invalid('permissions', 'must name declared permissions only');
      }
      if (!inherits.every(known)) throw invalid('inherits', 'must name other roles that exist');
      if (!mayGrant.every(known)) throw invalid('mayGrant', 'must name other roles that exist');
    }
  }

  #publish(
    action: 'role.changed' | 'role.deleted',
    role: string,
    before: RoleDefinition | undefined,
    after: RoleDefinition | undefined,
    by: Principal,
  ): Promise<void> {
    return this.events.publish({
      action,
      outcome: 'success',
      delivery: 'same-transaction',
      actor: by.subject,
      target: { type: 'role', id: role },
      detail: {
        role,
        before: before ? wordsOf(before).join(' ') : null,
        after: after ? wordsOf(after).join(' ') : null,
      },
    });
  }
}

/** What a definition says, in words that an auditor reads: permissions, `+inherited`, `>grantable`. */
export function wordsOf({ permissions, inherits, mayGrant }: RoleDefinition): readonly string[] {
  return [...permissions, ...inherits.map((role) => `+${role}`), ...mayGrant.map((role) => `>${role}`)];
}

function differences(stored: RoleGraph, wanted: RoleGraph): readonly RoleChange[] {
  return [...wanted].flatMap(([role, after]) => {
    const before = stored.get(role);
    if (!before) return [{ role, after }];
    return wordsOf(before).join(' ') === wordsOf(after).join(' ') ? [] : [{ role, before, after }];
  });
}

/**
 * What the role lets one do or hand out after and did not before, and the other way round. Both are compared: what one
 * may hand out already must not become what one may do oneself.
 */
function differing(before: RoleGraph, after: RoleGraph, role: string): ReadonlySet<string> {
  return new Set(
    [permissionsOf, conveyedBy].flatMap((said) => {
      const was = said(before, [role]);
      const is = said(after, [role]);
      return [...was, ...is].filter((permission) => !was.has(permission) || !is.has(permission));
    }),
  );
}

function targetOf(role: string): ChangeTarget {
  return { type: 'role', id: role, scope: null };
}

function notFound(): ZeroTrustError {
  return new ZeroTrustError('not-found', { detail: 'there is no such role' });
}

function invalid(field: string, message: string): ZeroTrustError {
  const detail = 'the role cannot be defined like this';
  return new ZeroTrustError('validation-failed', { detail, errors: [{ field, messages: [message] }] });
}
