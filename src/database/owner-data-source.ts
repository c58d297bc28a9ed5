import { AbstractLogger, DataSource } from 'typeorm';
import { databaseErrorLine } from './database.errors.js';
import { databaseTls, type DatabaseTlsOptions } from './database-tls.js';
import { parseDatabaseUrl } from './database-url.js';

/** Connects as the owner, for a short administrative task: two connections, no statement timeout. */
export async function openOwner(url: string, tls: DatabaseTlsOptions): Promise<DataSource> {
  const address = parseDatabaseUrl(url);
  const production = process.env['NODE_ENV'] !== 'development' && process.env['NODE_ENV'] !== 'test';
  let ssl;
  try {
    ssl = databaseTls(address, tls, production);
  } catch (cause) {
    throw new TypeError(`the owner's URL ${databaseErrorLine(cause)}`, { cause });
  }
  const dataSource = new DataSource({
    type: 'postgres',
    host: address.host,
    port: address.port,
    username: address.user,
    password: address.password ?? '',
    database: address.database,
    schema: 'zero_trust',
    ssl,
    applicationName: 'zero-trust migrate',
    migrationsTableName: 'migration',
    synchronize: false,
    installExtensions: false,
    logger: new Silent(false),
    connectTimeoutMS: 5000,
    extra: { max: 2, keepAlive: true },
  });
  try {
    return await dataSource.initialize();
  } catch (cause) {
    throw new TypeError(`the database cannot be reached as the owner: ${databaseErrorLine(cause)}`, {
      cause,
    });
  }
}

/** TypeORM writes to standard output, where the report goes. */
class Silent extends AbstractLogger {
  protected override writeLog(): void {
    // What matters is thrown, or told through onProgress.
  }
}
