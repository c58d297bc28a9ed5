import { Injectable } from '@nestjs/common';
import type { Permission } from '../core/permission.js';
import { RequestContext } from '../core/request-context.js';
import { SecurityEvents } from '../core/security-events.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { decide, type Decision } from './decide.js';
import { GrantsStore } from './grants.store.js';
import { HeldPermissions } from './held-permissions.js';
import type { ObjectRule } from './object-rule.js';

/** The object that a handler decides on. */
export interface ObjectDemand<T> {
  readonly rule: ObjectRule<T>;
  /** The object's id: what events say was refused. */
  readonly id: string;
  /** The object, or its look-up. Nothing found is refused like something that is not theirs. */
  readonly object: T | null | undefined | Promise<T | null | undefined>;
  /** Whether a refusal says "not found": who may not read it may not learn that it exists. @default true */
  readonly hidden?: boolean;
}

/** What handlers ask, by the same `decide()` as the pipeline and of the same grants, read once a request. */
@Injectable()
export class AccessService {
  constructor(
    private readonly held: HeldPermissions,
    private readonly grants: GrantsStore,
    private readonly events: SecurityEvents,
  ) {}

  /**
   * Demands a permission, on an object where one is given, and hands the object back:
   *
   * ```ts
   * return this.access.require('documents:read', { rule: ownOrShared, id, object: this.documents.find(id) });
   * ```
   *
   * A refusal is published before it is thrown, so ask before you open a unit of work.
   *
   * @throws ZeroTrustError `not-found` or, without an object or with `hidden: false`, `permission-denied`.
   */
  require(permission: Permission): Promise<void>;
  require<T>(permission: Permission, demand: ObjectDemand<T>): Promise<T>;
  async require<T>(permission: Permission, demand?: ObjectDemand<T>): Promise<T | undefined> {
    const object = await demand?.object;
    const decision = await this.#decide(permission, demand && { rule: demand.rule, subject: object });
    if (decision.granted) return object ?? undefined;

    // Also when there is no such object: otherwise the missing work would tell the two apart.
    await this.events.publish({
      action: 'access.refused',
      outcome: 'failure',
      delivery: 'detached',
      ...(demand && { target: { type: demand.rule.type, id: demand.id } }),
      reason: decision.reason,
      detail: { permission },
    });
    const code = demand && demand.hidden !== false ? 'not-found' : 'permission-denied';
    throw new ZeroTrustError(code, { detail: decision.reason });
  }

  /** Decides without consequences: to leave something out of an answer, or out of a list. */
  async decide<T>(
    permission: Permission,
    demand?: Omit<ObjectDemand<T>, 'id' | 'hidden'>,
  ): Promise<Decision> {
    return this.#decide(permission, demand && { rule: demand.rule, subject: await demand.object });
  }

  /** Whether the caller holds a permission: `decide` in one word. */
  async holds(permission: Permission): Promise<boolean> {
    return (await this.decide(permission)).granted;
  }

  /** Everything that a subject may do now, sorted. */
  async permissionsOf(subject: string): Promise<readonly string[]> {
    return [...(await this.held.ofSubject(subject))].sort();
  }

  /** The roles that were granted to a subject and count now, sorted; without what they inherit. */
  rolesOf(subject: string): Promise<readonly string[]> {
    return this.grants.rolesOf(subject);
  }

  async #decide<T>(
    permission: Permission,
    object?: { rule: ObjectRule<T>; subject: T | null | undefined },
  ): Promise<Decision> {
    const context = RequestContext.current();
    const principal = context?.principal;
    const held = context && principal ? await this.held.ofRequest(context, principal) : new Set<string>();
    return decide({ principal, permissions: [permission], held, ...(object && { object }) });
  }
}
