import { Injectable, type ExecutionContext } from '@nestjs/common';
import { Clock } from '../../core/clock.js';
import type { Principal } from '../../core/principal.js';
import { RequestContext } from '../../core/request-context.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { AccessSettings } from '../access.settings.js';
import { headerOf } from '../objects/handler-arguments.js';
import type { HeldTable } from '../decision/held.js';
import { isScope, tenantScope } from '../grants/scope.js';

/** Of which tenant a request is: always one of the principal's own, whatever the request says (ASVS 8.4.1). */
@Injectable()
export class Tenants {
  constructor(
    private readonly settings: AccessSettings,
    private readonly clock: Clock,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /** The tenant that the proof fixes, where the application has tenants; one that is malformed is none. */
  fixedBy({ tenant }: Principal): string | undefined {
    return this.settings.tenants && isTenant(tenant) ? tenant : undefined;
  }

  /**
   * The tenant that the proof fixes; else the one in which the principal holds grants; of several the one that the
   * request names in the header that the application declares, and none when it names none or another.
   */
  tenantOf(execution: ExecutionContext, principal: Principal, held: HeldTable): string | undefined {
    const { tenants } = this.settings;
    if (!tenants) return undefined;
    if (principal.tenant !== undefined) return this.fixedBy(principal);
    const own = held.tenants();
    if (own.length === 0) return undefined;
    const named = tenants.header === undefined ? undefined : headerOf(execution, tenants.header);
    if (named !== undefined) return own.includes(named) ? named : undefined;
    return own.length === 1 ? own[0] : undefined;
  }

  /**
   * Runs work for one tenant outside of any request: in a task, a command, a seed. Whatever it asks of the database sees
   * that tenant's rows. One tenant after the other, each in a run of its own.
   *
   * @throws TypeError inside of a request, whose tenant is its principal's; inside of a unit of work, which keeps the tenant
   * it began with; inside of another tenant's run; when the id is malformed; without the option `tenants`.
   */
  run<T>(tenant: string, work: () => T): T {
    if (!this.settings.tenants)
      throw new TypeError('Tenants.run(): declare AccessModule\'s option "tenants" first.');
    if (!isTenant(tenant)) throw new TypeError('Tenants.run(): the id of the tenant is malformed.');
    const ambient = RequestContext.current();
    if (ambient && ambient.transport !== 'task') {
      throw new TypeError(
        "Tenants.run() works outside of requests: the tenant of a request is its principal's.",
      );
    }
    if (ambient?.tenant !== undefined && ambient.tenant !== tenant) {
      throw new TypeError('Tenants.run(): this is the run of another tenant; end it first.');
    }
    if (this.unitOfWork.active) {
      throw new TypeError('Tenants.run(): open the unit of work inside of it, not around it.');
    }
    const context = new RequestContext({
      id: ambient?.id,
      transport: 'task',
      receivedAtMs: ambient?.receivedAtMs ?? this.clock.nowMs(),
    });
    context.handler = ambient?.handler;
    if (ambient?.principal) context.authenticateAs(ambient.principal);
    context.enterTenant(tenant);
    return RequestContext.run(context, work);
  }
}

/** Also of what no compiler has seen: a claim of a token, say. */
function isTenant(tenant: unknown): tenant is string {
  return typeof tenant === 'string' && isScope(tenantScope(tenant));
}
