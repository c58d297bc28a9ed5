import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';

type Query<Entity extends ObjectLiteral> = SelectQueryBuilder<Entity>;
type Clause = Query<ObjectLiteral>['expressionMap']['wheres'][number];

const isolated = new WeakSet<object>();

/** Puts every condition of a query into brackets of its own: those that it has, and those that it gets. */
export function isolateConditions<Entity extends ObjectLiteral>(query: Query<Entity>): void {
  if (isolated.has(query)) return;
  isolated.add(query);
  isolateFrom(0, query);
  for (const name of ['where', 'andWhere', 'orWhere'] as const) {
    const add = query[name].bind(query) as (...given: unknown[]) => Query<Entity>;
    query[name] = (...given: unknown[]) => {
      const first = name === 'where' ? 0 : query.expressionMap.wheres.length;
      add(...given);
      isolateFrom(first, query);
      return query;
    };
  }
}

/**
 * TypeORM writes a text as it is, and "filter AND a OR b" would let in every b. In place: while a condition is made,
 * TypeORM holds on to the list that it will be added to.
 */
function isolateFrom<Entity extends ObjectLiteral>(first: number, { expressionMap }: Query<Entity>): void {
  const wheres: Clause[] = expressionMap.wheres;
  for (const [at, { type, condition }] of wheres.entries()) {
    if (at < first) continue;
    wheres[at] = { type, condition: { operator: 'brackets', condition: [{ type: 'simple', condition }] } };
  }
}

const LATE =
  'where() and orWhere() would take the filter of the list away: call them before applyTo(), or andWhere() after it.';
const WRITES =
  'A filtered list is read; where() of a change would take its filter away: ask for each object with AccessService.require().';
const CACHED =
  'What is cached would be shown to whom it is not for, or is not any more: leave cache() out of a filtered list.';

/** Refuses whatever would take the filter away from a query that has one, or from a copy of it. */
export function keepFilter<Entity extends ObjectLiteral>(query: Query<Entity>): Query<Entity> {
  isolateConditions(query);
  const refuse = (mend: string) => (): never => {
    throw new TypeError(mend);
  };
  const clone = query.clone.bind(query);
  const [late, writes] = [refuse(LATE), refuse(WRITES)];
  return Object.assign(query, {
    ...{ where: late, orWhere: late, cache: refuse(CACHED) },
    ...{ update: writes, delete: writes, softDelete: writes, restore: writes },
    clone: () => keepFilter(clone()),
  });
}
