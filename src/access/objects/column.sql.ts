import type { EntityMetadata } from 'typeorm';

type Column = EntityMetadata['columns'][number];

/** Rows of an entity, under the name that a statement has for them. */
export interface Rows {
  readonly metadata: EntityMetadata;
  readonly alias: string;
}

/** A column as a condition compares it. */
export interface ComparedColumn {
  /** Quoted, for a statement. */
  readonly sql: string;
  /**
   * Those of the values that the column could have. Others equal nothing: asked as they are, they would be an error of the
   * database, or be taken for something that they are not.
   *
   * @throws TypeError for a value of another type than those of the column.
   */
  among(values: readonly unknown[]): readonly unknown[];
  /** The same for ids, which are texts whatever the column is. @throws TypeError when it holds none. */
  amongIds(ids: readonly string[]): readonly string[];
}

/** What `===` and PostgreSQL's `=` agree on, for values as TypeORM loads them. */
interface Kind {
  readonly type: 'string' | 'number' | 'boolean';
  has(value: unknown): boolean;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const INTEGER = /^(?:0|-?[1-9][0-9]{0,18})$/;

// A null byte is no text of PostgreSQL, half a surrogate would be replaced by another character on its way.
const TEXT: Kind = {
  type: 'string',
  has: (value) =>
    !/\0|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(String(value)),
};
const isInteger = (value: unknown, limit: bigint): boolean => {
  const text = String(value);
  return INTEGER.test(text) && BigInt(text) >= -limit && BigInt(text) < limit;
};
const SMALLINT: Kind = { type: 'number', has: (value) => isInteger(value, 2n ** 15n) };
const INT: Kind = { type: 'number', has: (value) => isInteger(value, 2n ** 31n) };
// It arrives as text: it may be more than a number can say.
const BIGINT: Kind = { type: 'string', has: (value) => isInteger(value, 2n ** 63n) };
const BOOLEAN: Kind = { type: 'boolean', has: () => true };

const KINDS: ReadonlyMap<unknown, Kind> = new Map<unknown, Kind>([
  ['uuid', { type: 'string', has: (value) => UUID.test(String(value)) }],
  ...[String, 'text', 'varchar', 'character varying'].map((type) => [type, TEXT] as const),
  ...['smallint', 'int2'].map((type) => [type, SMALLINT] as const),
  ...[Number, 'int', 'integer', 'int4'].map((type) => [type, INT] as const),
  ...['bigint', 'int8'].map((type) => [type, BIGINT] as const),
  ...[Boolean, 'boolean', 'bool'].map((type) => [type, BOOLEAN] as const),
]);

/**
 * The column of a property.
 *
 * @throws TypeError when there is none, or it is of a type that compares in PostgreSQL otherwise than in an object (`char`,
 * `citext`, `numeric`, times, arrays, what a transformer rewrites): a list would disagree with its items.
 */
export function comparedColumn(property: string, { metadata, alias }: Rows): ComparedColumn {
  const column = metadata.columns.find(({ propertyPath }) => propertyPath === property);
  const title = `${metadata.name}.${property}`;
  if (!column || column.embeddedMetadata) {
    throw new TypeError(
      `${metadata.name} has no column "${property}" of its own: a condition names properties with @Column().`,
    );
  }
  const kind = kindOf(column);
  if (!kind) {
    throw new TypeError(
      `${title} compares in PostgreSQL otherwise than in an object: ` +
        'use a column of type uuid, text, varchar, integer, bigint, boolean or enum, without transformer.',
    );
  }
  return {
    sql: `${quoted(alias)}.${quoted(column.databaseName)}`,
    among(values) {
      if (values.some((value) => typeof value !== kind.type)) {
        throw new TypeError(`${title} is compared with what is no ${kind.type}: it would never be equal.`);
      }
      return values.filter((value) => kind.has(value));
    },
    amongIds(ids) {
      if (kind.type === 'boolean') throw new TypeError(`${title} is no id.`);
      return ids.filter((id) => kind.has(id));
    },
  };
}

function kindOf(column: Column): Kind | undefined {
  const { type, isArray, transformer } = column;
  if (isArray || transformer !== undefined) return undefined;
  if (type !== 'enum' && type !== 'simple-enum') return KINDS.get(type);
  const values = new Set((column.enum ?? []).map(String));
  return { type: 'string', has: (value) => values.has(String(value)) };
}

/** A name in a statement of PostgreSQL. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
