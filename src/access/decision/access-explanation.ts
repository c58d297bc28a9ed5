import { Injectable } from '@nestjs/common';
import type { Permission } from '../../core/permission.js';
import type { Principal } from '../../core/principal.js';
import { RequestContext } from '../../core/request-context.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { AccessChanges } from '../grants/access-changes.js';
import { AccessSettings } from '../access.settings.js';
import { decide, type Decision } from './decide.js';
import { GrantsStore } from '../grants/grants.store.js';
import { HeldPermissions } from './held-permissions.js';
import { Resources } from '../objects/resources.js';
import { pathTo } from '../grants/role-graph.js';

/** A grant that leads to the permission, and how: from the granted role through what it inherits. */
export interface GrantPath {
  readonly grantId: string;
  readonly roles: readonly string[];
  /** Where it counts; null is everywhere. */
  readonly scope: string | null;
  readonly expiresAt: Date | null;
}

/** What one rule says of the object: a handler names each. */
export interface RuleDecision {
  /** `type: name`, as the rule was declared. */
  readonly rule: string;
  readonly decision: Decision;
}

/** What is asked: as whom, what, and on which object. */
export interface ExplanationRequest {
  readonly subject: string;
  readonly permission: string;
  /** `type:id`, of a type that some handler demands together with the permission. */
  readonly resource?: string | undefined;
  /** The tenant that the request would be of. @default the only one in which the subject holds a grant */
  readonly tenant?: string | undefined;
}

/** The decision, and the path that led to it. */
export interface Explanation {
  /** Without a resource: what is held everywhere, or in the tenant. With one: granted by each rule that applies. */
  readonly decision: Decision;
  readonly grants: readonly GrantPath[];
  readonly rules?: readonly RuleDecision[];
}

/** Why a subject may do something, or may not; by the same `decide()` as a request, whatever its assurance. */
@Injectable()
export class AccessExplanation {
  constructor(
    private readonly held: HeldPermissions,
    private readonly changes: AccessChanges,
    private readonly grants: GrantsStore,
    private readonly resources: Resources,
    private readonly settings: AccessSettings,
  ) {}

  /**
   * @throws ZeroTrustError `validation-failed` when nobody declared the permission, or no handler demands it on such a
   * resource.
   */
  async explain({ subject, permission, resource, tenant }: ExplanationRequest): Promise<Explanation> {
    if (!this.settings.catalogue.has(permission))
      throw invalid('permission', 'must name a declared permission');
    const graph = await this.changes.graph();
    const grants = (await this.grants.liveOf(subject)).flatMap(({ id, role, scope, expiresAt }) => {
      const roles = pathTo(graph, role, permission);
      return roles ? [{ grantId: id, roles, scope, expiresAt }] : [];
    });
    const held = await this.held.ofSubject(subject);
    const tenants = this.settings.tenants ? held.tenants() : [];
    const question = {
      principal: { kind: 'account', subject } satisfies Principal,
      permission: permission as Permission,
      context: { held, tenant: tenant ?? (tenants.length === 1 ? tenants[0] : undefined) },
    };
    if (resource === undefined) {
      const isOfTenant = question.context.tenant !== undefined;
      return { decision: decide({ ...question, ...(isOfTenant && { within: 'tenant' }) }), grants };
    }
    const { type, id } = partsOf(resource);
    const resolvers = this.resources.resolversFor(permission, type);
    if (resolvers.length === 0)
      throw invalid('resource', 'must be of a type that is demanded with the permission');
    const rules = await Promise.all(
      resolvers.map(async (resolver): Promise<RuleDecision> => {
        const { rule } = resolver;
        const object = this.resources.accepts(resolver, id)
          ? await within(question.context.tenant, () => this.resources.load(resolver, id))
          : null;
        return {
          rule: `${type}: ${rule.name}`,
          decision: decide({ ...question, resource: { rule, object } }),
        };
      }),
    );
    const [decision] = rules
      .map((each) => each.decision)
      .sort((a, b) => Number(a.granted) - Number(b.granted));
    return { decision: decision ?? { granted: false, reason: 'the decision failed' }, grants, rules };
  }
}

/** Loads as a request of that tenant would, whose rows alone PostgreSQL shows; not of whoever asks for the explanation. */
function within<T>(tenant: string | undefined, work: () => Promise<T>): Promise<T> {
  const context = new RequestContext({ transport: 'task', receivedAtMs: 0 });
  if (tenant !== undefined) context.enterTenant(tenant);
  return RequestContext.run(context, work);
}

function partsOf(resource: string): { readonly type: string; readonly id: string } {
  const at = resource.indexOf(':');
  if (at < 1 || at === resource.length - 1) throw invalid('resource', 'must be type:id, e.g. document:7');
  return { type: resource.slice(0, at), id: resource.slice(at + 1) };
}

function invalid(field: string, message: string): ZeroTrustError {
  const detail = 'the question cannot be answered';
  return new ZeroTrustError('validation-failed', { detail, errors: [{ field, messages: [message] }] });
}
