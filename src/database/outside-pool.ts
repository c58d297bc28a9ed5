import type pg from 'pg';
import type { DataSource } from 'typeorm';

interface PgPool {
  readonly Client: new (options: object) => pg.Client;
  readonly options: object;
}

/**
 * A connection of its own beside the pool, with the pool's login, TLS and limits, not yet connected: for what must
 * neither wait for requests nor keep a connection from them, and for LISTEN. Whoever makes it ends it.
 *
 * @throws TypeError when the data source has no pool (not initialised, or not PostgreSQL).
 */
export function clientOutsidePool(dataSource: DataSource): pg.Client {
  const { master } = dataSource.driver as unknown as { master?: PgPool };
  if (!master) throw new TypeError('clientOutsidePool: the data source has no pool of PostgreSQL.');
  const client = new master.Client(master.options);
  // Without a listener a lost connection would end the process; whoever asks next hears of it.
  client.on('error', () => undefined);
  return client;
}
