import type { DataSource } from 'typeorm';
import { KitDataSource } from '../../src/database/data-source.js';
import type { DatabaseOptions } from '../../src/database/database.options.js';
import { buildDataSource, type EntityClass } from '../../src/database/open-data-source.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';

class TestDataSource extends KitDataSource {
  constructor(readonly dataSource: DataSource) {
    super();
  }
}

export interface Opened {
  readonly dataSource: DataSource;
  readonly source: KitDataSource;
  readonly unitOfWork: UnitOfWork;
  close(): Promise<void>;
}

/** A DataSource as DatabaseModule builds it, and the unit of work over it, without Nest around. */
export async function open(
  url: string,
  options: Omit<DatabaseOptions, 'url' | 'dataSource'> = {},
  entities: readonly EntityClass[] = [],
): Promise<Opened> {
  const dataSource = await buildDataSource(url, options, entities, false).initialize();
  const source = new TestDataSource(dataSource);
  return {
    dataSource,
    source,
    unitOfWork: new UnitOfWork(source),
    close: async () => {
      if (dataSource.isInitialized) await dataSource.destroy();
    },
  };
}
