import type { EntityMetadata, ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { asStored, SUBJECT, type Condition } from './condition.js';

/** The query that a condition becomes a part of, and where it puts its values. */
export interface Sql {
  readonly query: SelectQueryBuilder<ObjectLiteral>;
  /** Keeps a value and returns the name of its parameter. */
  readonly bind: (value: unknown) => string;
  /** A name that nothing else in the query has. */
  readonly name: () => string;
}

type Column = EntityMetadata['columns'][number];

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * The condition as SQL: true for the same objects as `holdsFor`, and never null where that would differ. Names come from
 * code, values go into parameters.
 *
 * @throws TypeError when the entity has no such property or relation.
 */
export function conditionSql(
  condition: Condition<ObjectLiteral>,
  sql: Sql,
  alias: string,
  subject: string,
): string {
  switch (condition.kind) {
    case 'is': {
      const column = columnOf(condition.property, sql, alias);
      const wanted = condition.values.map((value) => asStored(value === SUBJECT ? subject : value));
      // What is no UUID equals none; asked as it is, it would be an error of the database.
      const asked = column.type === 'uuid' ? wanted.filter((value) => UUID.test(String(value))) : wanted;
      const texts = asked.map((value) => `${alias}.${condition.property} = :${sql.bind(value)}`);
      return texts.length === 0 ? 'FALSE' : `(${texts.join(' OR ')})`;
    }
    case 'some':
      return existsSql(condition, sql, alias, subject);
    case 'all':
    case 'any': {
      const texts = condition.of.map((each) => conditionSql(each, sql, alias, subject));
      return `(${texts.join(condition.kind === 'all' ? ' AND ' : ' OR ')})`;
    }
    case 'not':
      // Not "NOT": of a null, that is null again, and the object would be missing from the list alone.
      return `(${conditionSql(condition.of, sql, alias, subject)} IS NOT TRUE)`;
  }
}

function existsSql(
  { relation, where }: Extract<Condition<ObjectLiteral>, { kind: 'some' }>,
  sql: Sql,
  alias: string,
  subject: string,
): string {
  const metadata = metadataOf(sql, alias).findRelationWithPropertyPath(relation);
  const inverse = metadata?.inverseRelation;
  if (!metadata?.isOneToMany || !inverse) {
    throw new TypeError(`${alias} has no one-to-many relation "${relation}" with its other side declared.`);
  }
  const below = sql.name();
  const joined = inverse.joinColumns.map(
    (column) => `${below}.${column.propertyPath} = ${alias}.${column.referencedColumn?.propertyPath ?? 'id'}`,
  );
  const query = sql.query.subQuery().select('1').from<ObjectLiteral>(inverse.entityMetadata.target, below);
  const text = conditionSql(where, { ...sql, query }, below, subject);
  return `EXISTS ${query.where(`${joined.join(' AND ')} AND ${text}`).getQuery()}`;
}

/** @throws TypeError when there is none: names that stand in SQL are those of columns. */
export function columnOf(property: string, sql: Sql, alias: string): Column {
  const column = metadataOf(sql, alias).findColumnWithPropertyPath(property);
  if (!column) throw new TypeError(`${alias} has no column "${property}".`);
  return column;
}

function metadataOf({ query }: Sql, alias: string): EntityMetadata {
  const found = query.expressionMap.aliases.find(({ name }) => name === alias);
  if (!found?.hasMetadata) throw new TypeError(`The query has no entity under the alias "${alias}".`);
  return found.metadata;
}
