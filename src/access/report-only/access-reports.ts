import { Injectable } from '@nestjs/common';
import { SecurityEvents } from '../../core/security-events.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { accessReport, type AccessReport } from './access-report.js';
import { AccessSettings } from '../access.settings.js';
import { SYSTEM_PRINCIPAL } from '../grants/actor.js';
import { BootCheck } from '../inventory/boot.check.js';
import { handlersOf } from '../inventory/handler-addresses.js';
import { ReportStore } from './report.store.js';
import { RouteInventory } from '../inventory/route-inventory.js';

/** What would break if report-only were ended, for `GET /admin/access/report` and `zero-trust report` alike. */
@Injectable()
export class AccessReports {
  constructor(
    private readonly inventory: RouteInventory,
    private readonly bootCheck: BootCheck,
    private readonly settings: AccessSettings,
    private readonly store: ReportStore,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: SecurityEvents,
  ) {}

  /** Every report-only way in with what was found; with `sinceSeconds` only what was seen that lately. Needs no `init()`. */
  async read(sinceSeconds?: number): Promise<AccessReport> {
    const bypassing = this.settings.reportOnly.adapterRoutes ? this.bootCheck.undeclaredRoutes() : [];
    return accessReport(
      handlersOf(this.inventory.served()),
      ({ entries }) => [...new Set(this.bootCheck.faultsOf(entries))],
      bypassing.map(({ method, path }) => `${method} ${path}`),
      await this.store.list(sinceSeconds),
    );
  }

  /** Forgets what was found, e.g. after the reasons were mended. @returns how many findings there were. */
  clear(): Promise<number> {
    return this.unitOfWork.run(async () => {
      const count = await this.store.clear();
      await this.events.publish({
        action: 'access.report-cleared',
        outcome: 'success',
        delivery: 'same-transaction',
        actor: SYSTEM_PRINCIPAL.subject,
        detail: { count },
      });
      return count;
    });
  }
}
