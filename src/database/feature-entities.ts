import type { ModulesContainer } from '@nestjs/core';
import type { EntityClass } from './open-data-source.js';

/** What each `DatabaseModule.forFeature` leaves in its module, to be found before the DataSource opens. */
export const FEATURE_ENTITIES = Symbol('FEATURE_ENTITIES');

/** Every entity that any module of this very application named; no process-wide list. */
export function featureEntities(modules: ModulesContainer): EntityClass[] {
  const found = new Set<EntityClass>();
  for (const module of modules.values()) {
    const named = module.providers.get(FEATURE_ENTITIES)?.instance as readonly EntityClass[] | undefined;
    for (const entity of named ?? []) found.add(entity);
  }
  return [...found];
}
