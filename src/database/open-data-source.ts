import { Logger } from '@nestjs/common';
import { DataSource, type DataSourceOptions, type EntitySchema } from 'typeorm';
import { databaseErrorLine } from './database.errors.js';
import { databaseTls } from './database-tls.js';
import { parseDatabaseUrl } from './database-url.js';
import { DATABASE_DEFAULTS, type DatabaseOptions } from './database.options.js';
import { HangUpClient } from './postgres-client.js';

/** How much longer than PostgreSQL's own limit the client waits before it hangs up. */
export const HANG_UP_AFTER_MS = 1000;

// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- TypeORM's own type for an entity class
export type EntityClass = Function | EntitySchema;

/** Strict settings that ours has and a host's own must have (VAL-10). */
export const STRICT_WHERE = { null: 'throw', undefined: 'throw' } as const;

/**
 * Builds, without connecting, the DataSource of a URL.
 *
 * @throws TypeError when the URL or its TLS is wrong; the text never holds the URL.
 */
export function buildDataSource(
  url: string,
  options: Omit<DatabaseOptions, 'url' | 'dataSource'>,
  entities: readonly EntityClass[],
  production: boolean,
): DataSource {
  const address = parseDatabaseUrl(url);
  const ssl = databaseTls(address, options, production);
  const limits = { ...DATABASE_DEFAULTS, ...definedOf(options) };
  const logger = new Logger('DatabaseModule');
  const settings: DataSourceOptions = {
    type: 'postgres',
    host: address.host,
    port: address.port,
    username: address.user,
    password: address.password ?? '',
    database: address.database,
    ssl,
    applicationName: 'nestjs-zero-trust',
    entities: [...entities],
    synchronize: false,
    migrationsRun: false,
    // Nothing may need a superuser: uuids come from the application, or from pgcrypto when somebody asks for it.
    uuidExtension: 'pgcrypto',
    installExtensions: false,
    invalidWhereValuesBehavior: STRICT_WHERE,
    logging: false,
    poolSize: limits.poolSize,
    connectTimeoutMS: limits.connectTimeoutMs,
    // An idle connection that breaks is a fact of life; without a handler it would end the process.
    poolErrorHandler: (error: unknown) => {
      logger.warn(`an idle database connection was lost: ${databaseErrorLine(error)}`);
    },
    extra: {
      Client: HangUpClient,
      keepAlive: true,
      statement_timeout: limits.statementTimeoutMs,
      query_timeout: limits.statementTimeoutMs + HANG_UP_AFTER_MS,
      idle_in_transaction_session_timeout: limits.idleInTransactionTimeoutMs,
    },
  };
  return new DataSource(settings);
}

function definedOf<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}
