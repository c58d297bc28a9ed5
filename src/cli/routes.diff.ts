import { readFileSync } from 'node:fs';
import type { AccessMatrixRow } from '../access/inventory/access-matrix.js';
import type { MatrixChange } from '../access/inventory/matrix-difference.js';
import type { RouteFormat } from './routes.format.js';
import type { CliIo } from './run-cli.js';

/** @throws Error in one line when the file is no list of ours. */
export function readMatrix(file: string): readonly AccessMatrixRow[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new Error(`${file} cannot be read as JSON: print it with --format json`, { cause });
  }
  const routes =
    typeof parsed === 'object' && parsed !== null && 'routes' in parsed ? parsed.routes : undefined;
  if (Array.isArray(routes) && routes.every(isRow)) return routes;
  throw new Error(`${file} is no list of routes: print it with --format json`);
}

function isRow(row: unknown): row is AccessMatrixRow {
  const { method, path, policy, permissions, roles } = (row ?? {}) as Partial<
    Record<keyof AccessMatrixRow, unknown>
  >;
  return (
    [method, path, policy].every((each) => typeof each === 'string') &&
    [permissions, roles].every((each) => Array.isArray(each))
  );
}

/** @returns how many ways in opened up. */
export function sayDifference(io: CliIo, changes: readonly MatrixChange[], format: RouteFormat): number {
  if (format === 'json') io.out(JSON.stringify({ changes }, undefined, 2));
  else if (changes.length === 0) io.out('nothing changed');
  else for (const { kind, route, what } of changes) io.out(`${kind.padEnd(9)}  ${route}  ${what}`);
  return new Set(changes.filter(({ kind }) => kind === 'opened').map(({ route }) => route)).size;
}
