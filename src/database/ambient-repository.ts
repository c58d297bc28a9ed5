import { TreeRepository, type DataSource, type EntityTarget, type ObjectLiteral, Repository } from 'typeorm';
import type { UnitOfWork } from './unit-of-work.js';

/**
 * An ordinary TypeORM repository whose manager is whatever the unit of work says at this moment: inside of one,
 * everything that it does joins; outside, each call stands alone.
 */
export function ambientRepository<Entity extends ObjectLiteral>(
  entity: EntityTarget<Entity>,
  dataSource: DataSource,
  unitOfWork: UnitOfWork,
): Repository<Entity> {
  // Not dataSource.getRepository: that one is cached and belongs to whoever else asks for it.
  const isTree = dataSource.getMetadata(entity).treeType !== undefined;
  const repository = new (isTree ? TreeRepository : Repository)<Entity>(entity, dataSource.manager);
  return bind(repository, unitOfWork);
}

function bind<Entity extends ObjectLiteral>(
  repository: Repository<Entity>,
  unitOfWork: UnitOfWork,
): Repository<Entity> {
  // TypeORM sets these two in its constructor, so a subclass cannot make accessors of them.
  Object.defineProperties(repository, {
    manager: { get: () => unitOfWork.manager, enumerable: true },
    queryRunner: { get: () => unitOfWork.manager.queryRunner, enumerable: true },
    // `extend` would keep the manager of this moment for good.
    extend: {
      value: <Custom>(methods: Custom): Repository<Entity> & Custom => {
        const extended = Repository.prototype.extend.call(
          repository,
          methods as object,
        ) as Repository<Entity>;
        return bind(extended, unitOfWork) as Repository<Entity> & Custom;
      },
    },
  });
  return repository;
}
