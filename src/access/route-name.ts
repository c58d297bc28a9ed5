import type { AccessMatrixRow } from './access-matrix.js';

type Place = Pick<AccessMatrixRow, 'path' | 'version' | 'host'>;

/** A path with the version and the host that it is bound to. */
export function placeOf({ path, version, host }: Place): string {
  return [
    path,
    version === undefined ? '' : version === 'neutral' ? ' version-neutral' : ` v${version}`,
    host === undefined ? '' : ` on ${host}`,
  ].join('');
}

/**
 * Each way in by the name that reviewers know it by: `METHOD path`, with transport, version and host where there are
 * any. Where several share one, each is named with its handler too: none can hide behind another.
 */
export function namedRoutes(rows: readonly AccessMatrixRow[]): ReadonlyMap<string, AccessMatrixRow> {
  const count = new Map<string, number>();
  for (const name of rows.map(wayOf)) count.set(name, (count.get(name) ?? 0) + 1);
  return new Map(
    rows.map((row) => {
      const name = wayOf(row);
      return [count.get(name) === 1 ? name : `${name} by ${row.handler}`, row];
    }),
  );
}

/** The name alone, which two may share. */
export function wayOf(row: Place & Pick<AccessMatrixRow, 'transport' | 'method'>): string {
  return `${row.transport === 'http' ? '' : `${row.transport} `}${row.method} ${placeOf(row)}`;
}
