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

/** From the shortest to the one that says all that a row does. */
const NAMES: readonly ((row: AccessMatrixRow) => string)[] = [
  wayOf,
  (row) => `${wayOf(row)} by ${row.handler}`,
  (row) => `${wayOf(row)} by ${row.handler}: ${demandOf(row)}`,
];

/**
 * Each way in by the name that reviewers know it by: `METHOD path`, with transport, version and host where there are
 * any. Where several share one, each is named with its handler too, and with what it demands where two classes of one
 * name share even that: none can hide behind another.
 */
export function namedRoutes(rows: readonly AccessMatrixRow[]): ReadonlyMap<string, AccessMatrixRow> {
  const counts = NAMES.map((nameOf) => {
    const count = new Map<string, number>();
    for (const name of rows.map(nameOf)) count.set(name, (count.get(name) ?? 0) + 1);
    return count;
  });
  return new Map(
    rows.map((row) => {
      const names = NAMES.map((nameOf) => nameOf(row));
      const own = names.find((name, at) => counts[at]?.get(name) === 1);
      return [own ?? names.at(-1) ?? wayOf(row), row];
    }),
  );
}

function demandOf({ mode, policy, permissions, object, assurance }: AccessMatrixRow): string {
  return [mode, policy, ...permissions, object, assurance].filter((part) => part !== undefined).join(' ');
}

/** The name alone, which two may share. */
export function wayOf(row: Place & Pick<AccessMatrixRow, 'transport' | 'method'>): string {
  return `${row.transport === 'http' ? '' : `${row.transport} `}${row.method} ${placeOf(row)}`;
}
