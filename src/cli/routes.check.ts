import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import type { AccessMatrixRow } from '../access/inventory/access-matrix.js';
import type { PublicRouteDeclaration } from '../access/access.options.js';
import { readPublicRoutes } from '../access/inventory/public-routes.file.js';
import { publicRoutesDifference, type PublicRoutesDifference } from '../access/inventory/public-routes.js';
import type { RouteFormat } from './routes.format.js';
import type { CliIo } from './run-cli.js';

const FILE = 'zero-trust.routes.json';

/** Where the list stands unless it is named: beside the `package.json` of the application, else where one is. */
export function publicRoutesFile(app: string): string {
  for (let at = dirname(resolve(app)); ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json'))) return relative('', join(at, FILE));
    if (dirname(at) === at) return FILE;
  }
}

/** Makes the list of what is so: known reasons are kept, new ones are left for somebody to write. */
export function writePublicRoutes(
  io: CliIo,
  file: string,
  rows: readonly AccessMatrixRow[],
): readonly PublicRouteDeclaration[] {
  const listed = existsSync(file) ? readPublicRoutes(file) : [];
  const { unlisted, stale } = publicRoutesDifference(rows, listed);
  const list = [
    ...listed.filter(({ route }) => !stale.includes(route)),
    ...unlisted.map((route) => ({ route, reason: '' })),
  ].sort((a, b) => (a.route < b.route ? -1 : 1));
  writeFileSync(file, `${JSON.stringify({ public: list }, undefined, 2)}\n`);
  io.err(`wrote ${file}: ${String(unlisted.length)} added, ${String(stale.length)} removed`);
  return list;
}

/** Says how the list differs from what is so. @returns one line about it; `undefined` when it does not. */
export function sayPublicRoutes(
  io: CliIo,
  rows: readonly AccessMatrixRow[],
  listed: readonly PublicRouteDeclaration[],
  format: RouteFormat,
): string | undefined {
  const difference = publicRoutesDifference(rows, listed);
  const { unlisted, stale, unexplained } = difference;
  if (format === 'json') io.out(JSON.stringify(difference, undefined, 2));
  else for (const line of linesOf(difference)) io.out(line);
  if (unlisted.length + stale.length + unexplained.length === 0) {
    if (format !== 'json') io.out(`${String(listed.length)} ways in that anybody reaches, each reviewed`);
    return undefined;
  }
  return `${String(unlisted.length)} not listed, ${String(stale.length)} stale, ${String(unexplained.length)} without a reason`;
}

function linesOf({ unlisted, stale, unexplained }: PublicRoutesDifference): readonly string[] {
  return [
    ...unlisted.map((route) => `not listed  ${route}`),
    ...stale.map((route) => `stale       ${route}`),
    ...unexplained.map((route) => `no reason   ${route}`),
  ];
}
