import { Injectable } from '@nestjs/common';
import { insufficientAssurance } from '../../core/assurance.js';
import { Clock } from '../../core/clock.js';
import type { Permission } from '../../core/permission.js';
import { PASSED, refused, type JudgedCall, type Stage, type Verdict } from '../../core/pipeline.js';
import type { Principal } from '../../core/principal.js';
import type { RoutePolicy } from '../../core/route-policy.js';
import type { RefusedThing } from '../../core/verdict.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { keep } from '../objects/call.findings.js';
import { decide, OBJECT_REFUSED, type AccessQuestion, type RefusalReason } from './decide.js';
import type { HeldTable } from './held.js';
import { HeldPermissions } from './held-permissions.js';
import { ListFilter } from '../objects/list-filter.js';
import type { ObjectRule } from '../objects/object-rule.js';
import { Resources } from '../objects/resources.js';
import { Tenants } from '../tenants/tenants.js';

type Policy = Extract<RoutePolicy, { kind: 'permission' }>;
type Question = Omit<AccessQuestion, 'principal' | 'permission'> & {
  readonly principal: Principal;
  readonly permission: readonly Permission[];
};

/** The last stage of the pipeline: may they? Everything that is not a clear yes is a refusal (ASVS 8.2.1). */
@Injectable()
export class AuthoriseStage implements Stage {
  readonly name = 'authorize';

  constructor(
    private readonly held: HeldPermissions,
    private readonly tenants: Tenants,
    private readonly resources: Resources,
    private readonly clock: Clock,
  ) {}

  judge(call: JudgedCall): Verdict | Promise<Verdict> {
    const { policy, context } = call;
    const { principal } = context;
    // Anybody, by name.
    if (policy.kind === 'public') return PASSED;

    // Everything else asks for somebody; the authenticate stage has seen to it, unless there was none.
    if (!principal) return deny('nobody is authenticated', 'authentication-required');

    // Everybody who is somebody.
    if (policy.kind === 'authenticated') {
      const tenant = this.tenants.fixedBy(principal);
      if (tenant !== undefined) context.enterTenant(tenant);
      return PASSED;
    }

    // Nobody said who may: nobody may.
    if (policy.kind !== 'permission') return deny('the handler has no readable policy');

    // The way of nearly every request: nothing is waited for.
    const known = this.held.known(principal);
    if (known) return this.#judge(call, policy, principal, known);
    return this.held.ofRequest(context, principal).then(
      (held) => this.#judge(call, policy, principal, held),
      (cause: unknown) => {
        // It cannot be known, so it is not allowed (ASVS 16.5.3).
        const detail = 'the grants could not be read';
        return refused(detail, new ZeroTrustError('temporarily-unavailable', { detail, cause }));
      },
    );
  }

  #judge(
    call: JudgedCall,
    policy: Policy,
    principal: Principal,
    held: HeldTable,
  ): Verdict | Promise<Verdict> {
    const { context } = call;
    const { permissions, assurance, resource, list, within } = policy;
    // One GraphQL request asks for each of its fields: its tenant is found once.
    const tenant = context.tenant ?? this.tenants.tenantOf(call.execution, principal, held);
    if (tenant !== undefined) context.enterTenant(tenant);

    const isNarrowedLater = resource !== undefined || list !== undefined;
    const question: Question = {
      principal,
      permission: permissions,
      assurance,
      within: within ?? (isNarrowedLater ? 'somewhere' : undefined),
      context: { held, tenant, nowSeconds: assurance ? this.clock.nowSeconds() : 0 },
    };
    const decision = decide(question);
    if (!decision.granted) return this.#refusal(decision.reason, policy);
    context.letIn(permissions);
    if (list !== undefined) {
      const filter = new ListFilter(list as ObjectRule<unknown>, { principal, permissions, held, tenant });
      keep(call.execution, { filter });
    }
    return resource === undefined ? PASSED : this.#judgeObject(call, policy, question);
  }

  /** Loads the object and decides on it. Refused is refused like missing, unless whoever asks may know of it. */
  async #judgeObject({ execution }: JudgedCall, policy: Policy, question: Question): Promise<Verdict> {
    if (policy.resource === undefined) return deny('there is no such object', 'not-found');
    const resolver = this.resources.resolverOf(policy.resource);
    const id = this.resources.idIn(execution, resolver);
    const object = await this.resources.load(resolver, id);
    const { rule, visible } = resolver;
    const decision = decide({ ...question, resource: { rule, object } });
    if (decision.granted) {
      keep(execution, { resource: { object } });
      return PASSED;
    }
    const { principal, within, context } = question;
    const isVisible =
      visible !== undefined &&
      // Nobody learns what there is in another tenant.
      decision.reason !== 'the object belongs to another tenant' &&
      decide({
        ...{ principal, within, context },
        permission: visible.permission,
        resource: { rule: visible.rule, object },
      }).granted;
    const code = isVisible ? 'permission-denied' : 'not-found';
    // The reason is for the event alone: an error may reach the caller as it is, where nothing of the kit answers (GraphQL).
    const error = new ZeroTrustError(code, { detail: OBJECT_REFUSED });
    return refused(decision.reason, error, { ...demandOf(policy), target: { type: rule.type, id } });
  }

  #refusal(reason: RefusalReason, policy: Policy): Verdict {
    const { assurance } = policy;
    const thing = demandOf(policy);
    // What is missing can be had: the challenge says how (RFC 9470).
    const isTooWeak = reason === 'the authentication is too weak or too old';
    return isTooWeak && assurance
      ? refused(reason, insufficientAssurance(assurance), thing)
      : deny(reason, 'permission-denied', thing);
  }
}

function deny(
  detail: string,
  code: 'permission-denied' | 'authentication-required' | 'not-found' = 'permission-denied',
  thing?: RefusedThing,
): Verdict {
  return refused(detail, new ZeroTrustError(code, { detail }), thing);
}

/** As `AccessService.require` publishes it: what was demanded. */
function demandOf({ permissions }: Policy): RefusedThing {
  return { detail: { permission: permissions.join(' ') } };
}
