import type { DataSource } from 'typeorm';
import { BootError } from '../core/zero-trust-error.js';
import { KitDataSource } from './data-source.js';
import { databaseErrorLine } from './database.errors.js';
import { databaseOptionFaults, type DatabaseOptions } from './database.options.js';
import { loginFaults, schemaFaults } from './login-check.js';
import { buildDataSource, type EntityClass } from './open-data-source.js';

const ROOM = 'DatabaseModule';

/** The DataSource in use, and whether it is ours to close. */
export class OpenedDataSource extends KitDataSource {
  constructor(
    readonly dataSource: DataSource,
    readonly ours: boolean,
  ) {
    super();
  }
}

/**
 * Opens what the options name, and looks at it before anything listens.
 *
 * @throws BootError with every fault and its mend; it never holds the URL or a password.
 */
export async function openDatabase(
  options: DatabaseOptions,
  entities: readonly EntityClass[],
): Promise<OpenedDataSource> {
  refuseWith(databaseOptionFaults(options));
  const opened = options.dataSource
    ? new OpenedDataSource(options.dataSource, false)
    : new OpenedDataSource(buildOwn(options, entities), true);
  const { dataSource } = opened;
  refuseWith(settingFaults(dataSource));
  const closeAfterwards = !dataSource.isInitialized;
  try {
    if (!dataSource.isInitialized) await dataSource.initialize();
  } catch (error) {
    throw new BootError(ROOM, [
      `the database cannot be reached: ${databaseErrorLine(error)}. Is it running, and is the login right?`,
    ]);
  }
  try {
    refuseWith(unknownEntityFaults(dataSource, entities));
    const faults = [
      await loginFaults(dataSource),
      await schemaFaults(dataSource, options.migrationDirectories ?? []),
    ];
    refuseWith(faults.flat());
  } catch (error) {
    if (closeAfterwards) await dataSource.destroy();
    if (error instanceof BootError) throw error;
    throw new BootError(ROOM, [`the database could not be checked: ${databaseErrorLine(error)}.`]);
  }
  return opened;
}

function buildOwn(options: DatabaseOptions, entities: readonly EntityClass[]): DataSource {
  const { url = '', ...rest } = options;
  const production = process.env['NODE_ENV'] !== 'development' && process.env['NODE_ENV'] !== 'test';
  try {
    return buildDataSource(url, rest, entities, production);
  } catch (error) {
    // Only our own words: what URL parsers say can hold the URL.
    if (error instanceof TypeError) throw new BootError(ROOM, [`url: ${error.message}.`]);
    throw error;
  }
}

/** What a host's own DataSource must not do; ours cannot. */
function settingFaults({ options }: DataSource): string[] {
  const faults: string[] = [];
  if (options.type !== 'postgres') faults.push('dataSource: its type must be "postgres".');
  if (options.synchronize === true) {
    faults.push('dataSource: synchronize is on; turn it off and write migrations.');
  }
  if (options.dropSchema === true) faults.push('dataSource: dropSchema is on; turn it off.');
  const where = options.invalidWhereValuesBehavior;
  if (where?.null !== 'throw' || where.undefined !== 'throw') {
    faults.push(
      `dataSource: a where with null or undefined would match what nobody asked for; set invalidWhereValuesBehavior: { null: 'throw', undefined: 'throw' }.`,
    );
  }
  return faults;
}

function unknownEntityFaults(dataSource: DataSource, entities: readonly EntityClass[]): string[] {
  return entities
    .filter((entity) => !dataSource.hasMetadata(entity))
    .map((entity) => {
      const name = typeof entity === 'function' ? entity.name : entity.options.name;
      return `DatabaseModule.forFeature: ${name} is no entity of your dataSource; add it to its entities.`;
    });
}

function refuseWith(faults: readonly string[]): void {
  if (faults.length > 0) throw new BootError(ROOM, faults);
}
