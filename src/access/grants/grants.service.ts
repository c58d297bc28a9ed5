import { Injectable } from '@nestjs/common';
import { Clock } from '../../core/clock.js';
import type { Principal } from '../../core/principal.js';
import { SecurityEvents } from '../../core/security-events.js';
import { uuidV7 } from '../../core/uuid-v7.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { AccessChanges, deny } from './access-changes.js';
import { actorOr, isBound } from './actor.js';
import { GrantsStore, type Grant } from './grants.store.js';
import { canHoldGrants } from '../decision/held-permissions.js';
import { AccessSettings } from '../access.settings.js';
import { conveyedBy, type RoleGraph } from './role-graph.js';
import { Scopes } from './scopes.js';
import { brokenByAdding } from './separation-of-duty.js';
import { Subjects } from './subjects.js';

/** What is asked for: a role for a subject, with the reason that an auditor will read. */
export interface GrantRequest {
  /** The account's id, a UUID. That it exists is asked of the application's identity, where it tells. */
  readonly subject: string;
  readonly role: string;
  /** Where it counts, `kind:id`, of a kind that the application declares. Left out: everywhere. */
  readonly scope?: string;
  /** Why, in the words of whoever grants; 1 to 500 characters. Kept in the grant, not in the audit log. */
  readonly reason: string;
  /** From when on it counts. Left out: at once. */
  readonly notBefore?: Date;
  /** Until when it counts, by the clock of the database. Left out: until it is revoked. */
  readonly expiresAt?: Date;
}

const MAX_REASON_LENGTH = 500;
/** Grants of one subject that have not ended: bounds what one look-up reads, and what is remembered of a subject. */
const MAX_GRANTS = 1000;

/**
 * Grants of roles. Each change is one transaction with its event, under one lock. Nobody grants or revokes what is
 * beyond themselves, nobody grants to themselves, and the last administrator stays (OWASP API5:2023).
 */
@Injectable()
export class GrantsService {
  constructor(
    private readonly changes: AccessChanges,
    private readonly store: GrantsStore,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
    private readonly subjects: Subjects,
    private readonly scopes: Scopes,
    private readonly settings: AccessSettings,
  ) {}

  /** The grants of a subject that have not ended, those that begin later included. */
  async listOf(subject: string): Promise<readonly Grant[]> {
    return this.store.listOf(subject);
  }

  /**
   * Grants a role. Left-out `actor`: the caller of the request in hand.
   *
   * @throws ZeroTrustError `validation-failed` on an unknown role or scope, no reason, or an end that is past; `not-found`
   * when there is no such account; `permission-denied` beyond the actor's own rights or to the actor; `conflict` when such
   * a grant has not ended, when the subject would hold roles that are to be separate, or has too many grants.
   */
  async grant(request: GrantRequest, actor?: Principal): Promise<Grant> {
    const by = actorOr(actor);
    const { subject, role, scope = null, notBefore = null, expiresAt = null } = request;
    const reason = request.reason.trim();
    if (!canHoldGrants(subject)) throw invalid('subject', 'must be a UUID');
    if (reason === '' || reason.length > MAX_REASON_LENGTH) {
      throw invalid('reason', `must have 1 to ${MAX_REASON_LENGTH} characters`);
    }
    // PostgreSQL keeps every character but this one.
    if (reason.includes('\0')) throw invalid('reason', 'must be text');
    for (const [field, time] of Object.entries({ notBefore, expiresAt })) {
      if (time && Number.isNaN(time.getTime())) throw invalid(field, 'must be a point in time');
    }
    if (notBefore && expiresAt && expiresAt <= notBefore)
      throw invalid('expiresAt', 'must be after notBefore');

    const id = uuidV7(this.clock.nowMs());
    return this.changes.make({ type: 'grant', id, scope }, by, async () => {
      const graph = await this.changes.graph();
      if (!graph.has(role)) throw invalid('role', 'must name a role that exists');
      const fault = scope === null ? undefined : await this.scopes.faultOf(scope);
      if (fault !== undefined) throw invalid('scope', fault);
      // Otherwise it would wait for whoever gets this id one day.
      if ((await this.subjects.stateOf(subject)) === 'unknown') {
        throw new ZeroTrustError('not-found', { detail: 'there is no such account' });
      }
      // Also what one holds already: a grant that ends must not be made to last by who holds it.
      if (isBound(by) && isSame(subject, by)) deny('nobody grants to themselves');
      await this.changes.assertWithin(by, conveyedBy(graph, [role]), graph, expiresAt ?? 'ever', scope);
      await this.#assertCompatible(subject, role, graph);

      const grantedBy = by.subject;
      const outcome = await this.store.append({
        ...{ id, subject, role, scope, reason, grantedBy, notBefore, expiresAt },
      });
      if (outcome === 'already-over') throw invalid('expiresAt', 'must be in the future');
      if (outcome === 'duplicate') {
        throw new ZeroTrustError('conflict', { detail: 'a grant of this role has not ended' });
      }
      await this.#publish('grant.created', { id, subject, role, scope, expiresAt }, by);
      const granted = await this.store.find(id);
      if (!granted) throw new ZeroTrustError('internal-error', { detail: 'a grant was not stored' });
      return granted;
    });
  }

  /**
   * Ends a grant at once.
   *
   * @throws ZeroTrustError `not-found` when there is none or it has ended; `permission-denied` beyond the actor's own
   * rights; `conflict` when nobody could administer any more.
   */
  async revoke(id: string, actor?: Principal): Promise<void> {
    const by = actorOr(actor);
    const scope = (await this.store.find(id))?.scope ?? null;
    await this.changes.make({ type: 'grant', id, scope }, by, async () => {
      const grant = await this.store.find(id);
      if (!grant) throw notFound();
      const graph = await this.changes.graph();
      // Whoever may not give it may not take it: a lesser manager cannot unseat a greater one. One's own may go.
      if (!isSame(grant.subject, by)) {
        await this.changes.assertWithin(by, conveyedBy(graph, [grant.role]), graph, 'now', grant.scope);
      }
      if (!(await this.store.end(id, by.subject))) throw notFound();
      await this.#publish('grant.revoked', grant, by);
    });
  }

  /**
   * Whether nobody could administer if this subject were gone. Ask before disabling an account, inside of the unit
   * of work that does it: until that ends no other change can make the answer wrong.
   */
  isLastAdministrator(subject: string): Promise<boolean> {
    return this.changes.isLastAdministrator(subject);
  }

  /** Counted together whatever their scopes and times: what is kept apart is kept apart everywhere, and later too. */
  async #assertCompatible(subject: string, role: string, graph: RoleGraph): Promise<void> {
    const held = await this.store.listOf(subject);
    if (held.length >= MAX_GRANTS) {
      throw new ZeroTrustError('conflict', { detail: `the subject has ${MAX_GRANTS} grants already` });
    }
    const roles = held.map((grant) => grant.role);
    const broken = brokenByAdding(this.settings.separationOfDuty, graph, roles, role);
    if (broken) {
      const detail = `separation of duty (${broken.name}): the subject would hold roles that are to be separate`;
      throw new ZeroTrustError('conflict', { detail });
    }
  }

  #publish(
    action: 'grant.created' | 'grant.revoked',
    { id, subject, role, scope, expiresAt }: Pick<Grant, 'id' | 'subject' | 'role' | 'scope' | 'expiresAt'>,
    by: Principal,
  ): Promise<void> {
    return this.events.publish({
      action,
      outcome: 'success',
      delivery: 'same-transaction',
      actor: by.subject,
      target: { type: 'grant', id },
      detail: { subject, role, scope, expiresAt: expiresAt?.toISOString() ?? null },
    });
  }
}

/** UUIDs are written in either case. */
function isSame(subject: string, actor: Principal): boolean {
  return subject.toLowerCase() === actor.subject.toLowerCase();
}

function notFound(): ZeroTrustError {
  return new ZeroTrustError('not-found', { detail: 'there is no such grant' });
}

function invalid(field: string, message: string): ZeroTrustError {
  const detail = 'the grant cannot be made like this';
  return new ZeroTrustError('validation-failed', { detail, errors: [{ field, messages: [message] }] });
}
