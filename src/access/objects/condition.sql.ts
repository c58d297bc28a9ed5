import type { ObjectLiteral } from 'typeorm';
import { comparedColumn, quoted, type Rows } from './column.sql.js';
import { formsOf, type Condition } from './condition.js';

/** What a statement gives a condition that becomes a part of it. */
export interface Sql {
  /** Keeps a value and returns the name of its parameter. */
  readonly bind: (value: unknown) => string;
  /** A name that nothing else in the statement has. */
  readonly name: () => string;
}

/**
 * The condition as SQL: true for the same objects as `holdsFor`, and never null where that would differ. Names come from
 * code and are quoted, values go into parameters.
 *
 * @throws TypeError when the entity has no such property or relation, or a column cannot be compared.
 */
export function conditionSql(
  condition: Condition<ObjectLiteral>,
  sql: Sql,
  rows: Rows,
  subject: string,
): string {
  switch (condition.kind) {
    case 'is': {
      const column = comparedColumn(condition.property, rows);
      const asked = column.among(condition.values.flatMap((value) => formsOf(value, subject)));
      const texts = asked.map((value) => `${column.sql} = :${sql.bind(value)}`);
      return texts.length === 0 ? 'FALSE' : `(${texts.join(' OR ')})`;
    }
    case 'some':
      return existsSql(condition, sql, rows, subject);
    case 'all':
    case 'any': {
      const texts = condition.of.map((each) => conditionSql(each, sql, rows, subject));
      return `(${texts.join(condition.kind === 'all' ? ' AND ' : ' OR ')})`;
    }
    case 'not':
      // Not "NOT": of a null, that is null again, and the object would be missing from the list alone.
      return `(${conditionSql(condition.of, sql, rows, subject)} IS NOT TRUE)`;
  }
}

function existsSql(
  { relation, where }: Extract<Condition<ObjectLiteral>, { kind: 'some' }>,
  sql: Sql,
  rows: Rows,
  subject: string,
): string {
  const declared = rows.metadata.relations.find(({ propertyPath }) => propertyPath === relation);
  const inverse = declared?.inverseRelation;
  if (!declared?.isOneToMany || !inverse) {
    throw new TypeError(
      `${rows.metadata.name} has no one-to-many relation "${relation}": some() names a property with @OneToMany().`,
    );
  }
  const metadata = inverse.entityMetadata;
  if (metadata.tableType === 'entity-child') {
    throw new TypeError(
      `${metadata.name} shares its table with other entities: some() names relations to whole tables.`,
    );
  }
  const alias = sql.name();
  const { deleteDateColumn } = metadata;
  const conditions = [
    ...inverse.joinColumns.map(({ databaseName, referencedColumn }) => {
      if (!referencedColumn) throw new TypeError(`The relation "${relation}" joins nothing.`);
      const above = `${quoted(rows.alias)}.${quoted(referencedColumn.databaseName)}`;
      return `${quoted(alias)}.${quoted(databaseName)} = ${above}`;
    }),
    // What is softly deleted is not loaded with an object either.
    ...(deleteDateColumn ? [`${quoted(alias)}.${quoted(deleteDateColumn.databaseName)} IS NULL`] : []),
    conditionSql(where, sql, { metadata, alias }, subject),
  ];
  const table = metadata.tablePath.split('.').map(quoted).join('.');
  return `EXISTS (SELECT 1 FROM ${table} ${quoted(alias)} WHERE ${conditions.join(' AND ')})`;
}
