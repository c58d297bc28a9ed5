import { Injectable, Optional } from '@nestjs/common';
import type { Permission } from '../core/permission.js';
import { RequestContext } from '../core/request-context.js';
import { SecurityEvents } from '../core/security-events.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { decide, OBJECT_REFUSED, type AccessQuestion, type Decision } from './decision/decide.js';
import {
  assertDeclared,
  permissionsFor,
  readPermissionsOf,
  revealed,
  type FieldRules,
  type Revealed,
} from './objects/field-rules.js';
import { GrantsStore } from './grants/grants.store.js';
import { HeldPermissions } from './decision/held-permissions.js';
import { ListFilter } from './objects/list-filter.js';
import type { ObjectRule } from './objects/object-rule.js';
import { ReportOnlyRecorder } from './report-only/report-only.recorder.js';

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
    @Optional() private readonly reports?: ReportOnlyRecorder,
  ) {}

  /**
   * Demands a permission, on an object where one is given, and hands the object back:
   *
   * ```ts
   * return this.access.require('documents:read', { rule: ownOrShared, id, object: this.documents.find(id) });
   * ```
   *
   * A refusal is published before it is thrown, so ask before you open a unit of work. In a report-only handler it is
   * recorded, and the object is handed back.
   *
   * @throws ZeroTrustError `not-found` or, without an object or with `hidden: false`, `permission-denied`.
   */
  require(permission: Permission): Promise<void>;
  require<T>(permission: Permission, demand: ObjectDemand<T>): Promise<T>;
  async require<T>(permission: Permission, demand?: ObjectDemand<T>): Promise<T | undefined> {
    const object = await demand?.object;
    const decision = await this.#decide(permission, demand && { rule: demand.rule, object });
    if (decision.granted) return object ?? undefined;
    // There is nothing to hand out where there is no object: that is no refusal of the kit's.
    const isThere = demand === undefined || (object !== null && object !== undefined);
    if (isThere && this.reports?.letsThrough(permission, decision.reason)) return object ?? undefined;

    // Also when there is no such object: otherwise the missing work would tell the two apart.
    await this.#publishRefusal(
      permission,
      decision.reason,
      demand && { type: demand.rule.type, id: demand.id },
    );
    const code = demand && demand.hidden !== false ? 'not-found' : 'permission-denied';
    throw new ZeroTrustError(code, { detail: demand ? OBJECT_REFUSED : decision.reason });
  }

  /** Decides without consequences: to leave something out of an answer. */
  async decide<T>(
    permission: Permission,
    demand?: Omit<ObjectDemand<T>, 'id' | 'hidden'>,
  ): Promise<Decision> {
    return this.#decide(permission, demand && { rule: demand.rule, object: await demand.object });
  }

  /** Whether the caller holds a permission everywhere: `decide` in one word. */
  async holds(permission: Permission): Promise<boolean> {
    return (await this.decide(permission)).granted;
  }

  /**
   * The filter for a list of what the caller may do this to, of the same rule as the item.
   *
   * @throws ZeroTrustError `permission-denied` outside of a request, and for who holds it nowhere. TypeError when the
   * rule is a predicate.
   */
  async filter<T>(permission: Permission, rule: ObjectRule<T>): Promise<ListFilter<T>> {
    const context = RequestContext.current();
    const principal = context?.principal;
    const held = context && principal ? await this.held.ofRequest(context, principal) : undefined;
    if (!principal || !held?.holdsSomewhere(permission)) {
      const detail = 'a demanded permission is not held';
      await this.#publishRefusal(permission, detail);
      throw new ZeroTrustError('permission-denied', { detail });
    }
    return new ListFilter(rule, { principal, permissions: [permission], held, tenant: context.tenant });
  }

  /**
   * What of an object the caller may see: properties that no rule names are left out, and so are those that the caller
   * lacks the permission for, or shown as the rule masks them (ASVS 8.2.3). Give the rule of the object where permissions
   * are held in scopes.
   */
  async reveal<T extends object>(
    fields: FieldRules<T>,
    object: T,
    rule?: ObjectRule<T>,
  ): Promise<Revealed<T>> {
    const held = new Set<Permission>();
    for (const permission of readPermissionsOf(fields)) {
      if (await this.#isHeldFor(permission, object, rule)) held.add(permission);
    }
    return revealed(fields, object, held);
  }

  /**
   * Demands that the caller may write each property that a change names. A refusal is published.
   *
   * @throws ZeroTrustError `validation-failed` for a property that nobody may write, `permission-denied` for one that
   * this caller may not.
   */
  async requireWritable<T extends object>(
    fields: FieldRules<T>,
    change: object,
    target?: { readonly object: T; readonly rule: ObjectRule<T> },
  ): Promise<void> {
    const named = Object.entries(change).flatMap(([name, value]) => (value === undefined ? [] : [name]));
    await this.#requireFields(fields, 'write', named, target);
  }

  /**
   * Demands that the caller may sort and filter by each of these properties, and see them: the order of what one may not
   * see tells what it is. A refusal is published.
   *
   * @throws ZeroTrustError `validation-failed` for a property that nobody may ask by, `permission-denied` for one that this
   * caller may not.
   */
  async requireQueryable<T extends object>(fields: FieldRules<T>, names: readonly string[]): Promise<void> {
    await this.#requireFields(fields, 'query', names);
  }

  /** Everything that a subject may do now, anywhere, sorted. */
  async permissionsOf(subject: string): Promise<readonly string[]> {
    return (await this.held.ofSubject(subject)).permissions();
  }

  /** The roles that were granted to a subject and count now, in whatever scope, sorted; without what they inherit. */
  rolesOf(subject: string): Promise<readonly string[]> {
    return this.grants.rolesOf(subject);
  }

  async #requireFields<T extends object>(
    fields: FieldRules<T>,
    use: 'write' | 'query',
    names: readonly string[],
    target?: { readonly object: T; readonly rule: ObjectRule<T> },
  ): Promise<void> {
    assertDeclared(fields, use, names);
    for (const name of names) {
      for (const permission of permissionsFor(fields, use, name)) {
        if (await this.#isHeldFor(permission, target?.object, target?.rule)) continue;
        if (this.reports?.letsThrough(permission, 'a demanded permission is not held')) continue;
        const detail = 'a field is beyond the caller';
        await this.#publishRefusal(permission, detail);
        throw new ZeroTrustError('permission-denied', { detail });
      }
    }
  }

  /** Whether it is held where the object lies. That the caller reaches the object at all is another question. */
  async #isHeldFor<T>(
    permission: Permission,
    object: T | undefined,
    rule: ObjectRule<T> | undefined,
  ): Promise<boolean> {
    if (object === undefined || rule?.scopes === undefined) return (await this.#decide(permission)).granted;
    const { type, name, scopes } = rule;
    return (await this.#decide(permission, { rule: { type, name, scopes, holds: () => true }, object }))
      .granted;
  }

  async #publishRefusal(
    permission: Permission,
    reason: string,
    target?: { readonly type: string; readonly id: string },
  ): Promise<void> {
    await this.events.publish({
      action: 'access.refused',
      outcome: 'failure',
      delivery: 'detached',
      ...(target && { target }),
      reason,
      detail: { permission },
    });
  }

  async #decide<T>(permission: Permission, resource?: AccessQuestion<T>['resource']): Promise<Decision> {
    const context = RequestContext.current();
    const principal = context?.principal;
    const held = context && principal ? await this.held.ofRequest(context, principal) : NOTHING;
    const tenant = context?.tenant;
    return decide({ principal, permission, context: { held, tenant }, ...(resource && { resource }) });
  }
}

const NOTHING = { holds: () => false, holdsSomewhere: () => false };
