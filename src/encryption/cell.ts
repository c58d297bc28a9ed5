/** Where a value lives. A sealed value opens there and nowhere else. */
export interface Cell {
  /** `schema.table`. */
  readonly table: string;
  readonly column: string;
  /** The primary key of the row, as the database prints it; a UUID in either case. */
  readonly row: string;
}

/** The one tenant of an application that has no tenants. */
export const DEFAULT_TENANT = '00000000-0000-0000-0000-000000000000';

// No dot and no NUL inside a name: `a.b` + `c` must not read like `a` + `b.c`. No lone surrogate: UTF-8 has none.
const TABLE = /^[^.\0\p{Cs}]+\.[^.\0\p{Cs}]+$/u;
const COLUMN = /^[^.\0\p{Cs}]+$/u;
const ROW = /^[^\0\p{Cs}]+$/u;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * `schema.table.column \0 tenant \0 row`: two different cells never have one address.
 *
 * @throws TypeError when the cell is not named as `Cell` says.
 */
export function addressOf(tenantId: string, { table, column, row }: Cell): string {
  assertTable(table);
  if (!COLUMN.test(column)) throw new TypeError('Cell.column: name one column, without a dot.');
  if (!ROW.test(row)) throw new TypeError('Cell.row: give the primary key of the row as text, not empty.');
  // PostgreSQL prints a uuid in lower case, whatever case it was asked in.
  return `${table}.${column}\0${tenantId}\0${UUID.test(row) ? row.toLowerCase() : row}`;
}

/** @throws TypeError when the table is not written as `schema.table`. */
export function assertTable(table: string): void {
  if (!TABLE.test(table)) throw new TypeError('Cell.table: write it as schema.table.');
}
