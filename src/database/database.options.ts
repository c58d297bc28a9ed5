import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import type { DatabaseTlsOptions } from './database-tls.js';

/** Exactly one of `url` and `dataSource`. */
export interface DatabaseOptions extends DatabaseTlsOptions {
  /** `postgres://user:password@host:port/database`: the application's login, never the owner's. */
  readonly url?: string;
  /**
   * The application's own, initialised or not. Checked at boot like ours: `synchronize` off and
   * `invalidWhereValuesBehavior: { null: 'throw', undefined: 'throw' }`. Its timeouts and TLS stay its own.
   */
  readonly dataSource?: DataSource;
  /** Connections at most; a fifth of them stays free for what must be recorded while others work. @default 10 */
  readonly poolSize?: number;
  /** How long to wait for a connection, new or from the pool, in milliseconds. @default 2000 */
  readonly connectTimeoutMs?: number;
  /**
   * The longest a statement may run, in milliseconds; PostgreSQL ends it. When nothing answers at all, the
   * connection is given up one second later. @default 5000
   */
  readonly statementTimeoutMs?: number;
  /** How long a transaction may sit idle before PostgreSQL ends it, in milliseconds. @default 10000 */
  readonly idleInTransactionTimeoutMs?: number;
  /** Folders of the application's own SQL migrations: it does not start before they are applied. @default none */
  readonly migrationDirectories?: readonly string[];
}

export const DATABASE_DEFAULTS = {
  poolSize: 10,
  connectTimeoutMs: 2000,
  statementTimeoutMs: 5000,
  idleInTransactionTimeoutMs: 10_000,
} as const;

export const {
  ConfigurableModuleClass: ConfigurableDatabaseModule,
  MODULE_OPTIONS_TOKEN: DATABASE_OPTIONS,
  OPTIONS_TYPE: DATABASE_OPTIONS_TYPE,
  ASYNC_OPTIONS_TYPE: DATABASE_ASYNC_OPTIONS_TYPE,
} = new ConfigurableModuleBuilder<DatabaseOptions>({ moduleName: 'Database' })
  .setClassMethodName('forRoot')
  .build();

const LIMITS = {
  poolSize: [2, 500],
  connectTimeoutMs: [50, 60_000],
  statementTimeoutMs: [50, 600_000],
  idleInTransactionTimeoutMs: [50, 600_000],
} as const;

/** @returns one line a fault, each with the option, the fault and the mend. */
export function databaseOptionFaults(options: DatabaseOptions): string[] {
  const faults: string[] = [];
  if (options.url === undefined && options.dataSource === undefined) {
    faults.push("url: is missing; give the application's login as url, or its own DataSource as dataSource.");
  }
  if (options.url !== undefined && options.dataSource !== undefined) {
    faults.push('url, dataSource: both are given; leave one out.');
  }
  if (options.dataSource !== undefined) {
    for (const name of ['tls', 'tlsCa', ...Object.keys(LIMITS)] as const) {
      if (options[name as keyof DatabaseOptions] !== undefined) {
        faults.push(`${name}: has no effect on your own dataSource; set it there.`);
      }
    }
  }
  for (const [name, [least, most]] of Object.entries(LIMITS)) {
    const value = options[name as keyof typeof LIMITS];
    if (value !== undefined && !(Number.isInteger(value) && value >= least && value <= most)) {
      faults.push(`${name}: must be a whole number from ${least} to ${most}.`);
    }
  }
  return faults;
}
