import { IsUUID, Matches, ValidateIf } from 'class-validator';

/** May be left out, but not null: `@IsOptional()` would wave null through to the database. */
export const MayBeAbsent = (): PropertyDecorator => ValidateIf((_dto, value: unknown) => value !== undefined);

/** One page of a list: what comes after an id, in the order in which things were made. */
export class PageQuery {
  @MayBeAbsent()
  @IsUUID()
  after?: string;

  @MayBeAbsent()
  @Matches(/^(100|[1-9]\d?)$/, { message: 'limit must be a whole number from 1 to 100' })
  limit?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Give it as `after` to go on; null at the end. */
  readonly next: string | null;
}

/** How many to read: one more than asked for tells whether there is a next page. */
export const readAhead = (query: PageQuery): number => Number(query.limit ?? 50) + 1;

export function pageOf<Row extends { id: string }, T>(
  rows: readonly Row[],
  query: PageQuery,
  show: (row: Row) => T,
): Page<T> {
  const shown = rows.slice(0, readAhead(query) - 1);
  return { items: shown.map(show), next: rows.length > shown.length ? (shown.at(-1)?.id ?? null) : null };
}
