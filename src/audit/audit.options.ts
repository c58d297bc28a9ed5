import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { DatabaseTlsOptions } from '../database/database-tls.js';

/** Options of AuditModule. Leaving one out is the strict choice. `tls` and `tlsCa` are those of `readerUrl`. */
export interface AuditOptions extends DatabaseTlsOptions {
  /**
   * Where `GET /admin/audit` reads: `postgres://…` with the audit login (`DATABASE_AUDIT_URL`). The application's
   * own login writes entries and reads none. There is no default.
   */
  readonly readerUrl: string;
  /** Connections that reading may take, beside the application's own, 1 to 20. @default 2 */
  readonly readerPoolSize?: number;
  /** How long one read may take before it is given up with 503, in milliseconds, 50 to 60,000. @default 5000 */
  readonly readTimeoutMs?: number;
  /**
   * How many entries one filtered read looks at, 100 to 1,000,000. A page that reaches this bound is short, and
   * says where to go on. @default 10000
   */
  readonly scanLimit?: number;
  /** How long identical refusals are counted together, in seconds, 1 to 3600. @default 10 */
  readonly refusalWindowSeconds?: number;
  /**
   * How many identical refusals of a window are written one by one before the rest is counted, 1 to 1000. @default 5
   */
  readonly wholeRefusalsPerWindow?: number;
  /**
   * How many different refusals of a window are told apart, 1 to 100,000. Beyond, they are counted by their action
   * alone. @default 1000
   */
  readonly maxDifferentRefusals?: number;
  /**
   * Names of facts in an event's `detail` that hold nothing secret or personal, beyond the kit's own. Every other
   * fact is written as `[redacted]`. @default none
   */
  readonly publicDetails?: readonly string[];
}

export const { ConfigurableModuleClass: AuditModuleBase, MODULE_OPTIONS_TOKEN: AUDIT_OPTIONS } =
  new ConfigurableModuleBuilder<AuditOptions>({ moduleName: 'Audit' }).setClassMethodName('forRoot').build();
