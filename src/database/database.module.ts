import { Global, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { getDataSourceToken, getRepositoryToken } from '@nestjs/typeorm';
import type { ObjectLiteral } from 'typeorm';
import { ambientRepository } from './ambient-repository.js';
import { ControlConnection } from './control-connection.js';
import { KitDataSource } from './data-source.js';
import { OpenedDataSource, openDatabase } from './database.boot.js';
import { ConfigurableDatabaseModule, DATABASE_OPTIONS, type DatabaseOptions } from './database.options.js';
import { DatabaseProbe } from './database.probe.js';
import { FEATURE_ENTITIES, featureEntities } from './feature-entities.js';
import type { EntityClass } from './open-data-source.js';
import { UnitOfWork } from './unit-of-work.js';

/** The one connection pool, the unit of work over it, and repositories that join it. */
@Global()
@Module({
  providers: [
    {
      provide: OpenedDataSource,
      inject: [DATABASE_OPTIONS, ModulesContainer],
      useFactory: (options: DatabaseOptions, modules: ModulesContainer): Promise<OpenedDataSource> =>
        openDatabase(options, featureEntities(modules)),
    },
    { provide: KitDataSource, useExisting: OpenedDataSource },
    {
      provide: getDataSourceToken(),
      inject: [KitDataSource],
      useFactory: (kit: KitDataSource) => kit.dataSource,
    },
    UnitOfWork,
    ControlConnection,
    DatabaseProbe,
  ],
  exports: [KitDataSource, UnitOfWork, ControlConnection, DatabaseProbe, getDataSourceToken()],
})
export class DatabaseModule extends ConfigurableDatabaseModule implements OnApplicationShutdown {
  constructor(private readonly opened: OpenedDataSource) {
    super();
  }

  /**
   * Repositories for `@InjectRepository(Entity)`, as `TypeOrmModule.forFeature` gives them, but bound to the unit of
   * work. With `url` the entities become known by this call; your own `dataSource` must name them itself.
   */
  static forFeature(entities: readonly EntityClass[]): DynamicModule {
    const repositories = entities.map((entity) => ({
      provide: getRepositoryToken(entity as never),
      inject: [KitDataSource, UnitOfWork],
      useFactory: (kit: KitDataSource, unitOfWork: UnitOfWork) =>
        ambientRepository<ObjectLiteral>(entity as never, kit.dataSource, unitOfWork),
    }));
    return {
      module: FeatureDatabaseModule,
      providers: [{ provide: FEATURE_ENTITIES, useValue: entities }, ...repositories],
      exports: repositories.map(({ provide }) => provide),
    };
  }

  async onApplicationShutdown(): Promise<void> {
    const { dataSource, ours } = this.opened;
    if (ours && dataSource.isInitialized) await dataSource.destroy();
  }
}

@Module({})
class FeatureDatabaseModule {}
