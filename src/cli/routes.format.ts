import type { AccessMatrixRow } from '../access/access-matrix.js';
import { placeOf } from '../access/route-name.js';

export const ROUTE_FORMATS = ['table', 'json', 'md'] as const;
export type RouteFormat = (typeof ROUTE_FORMATS)[number];

const HEAD = ['transport', 'method', 'path', 'demands', 'roles', 'handler'] as const;

/** The access matrix for a terminal, a program or a document. */
export function formatRoutes(rows: readonly AccessMatrixRow[], format: RouteFormat): string {
  // The very answer of `GET /admin/access/routes`.
  if (format === 'json') return JSON.stringify({ routes: rows }, undefined, 2);
  const cells = rows.map(cellsOf);
  if (format === 'md') {
    const line = (row: readonly string[]): string => `| ${row.map(escaped).join(' | ')} |`;
    return [line(HEAD), `|${' --- |'.repeat(HEAD.length)}`, ...cells.map(line)].join('\n');
  }
  const widths = HEAD.map((head, at) => Math.max(head.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(HEAD.map((each) => each.toUpperCase())), ...cells.map(line), '', summaryOf(rows)].join('\n');
}

function cellsOf(row: AccessMatrixRow): readonly string[] {
  const { transport, method, permissions, policy, assurance, roles, handler, note } = row;
  const named = policy === 'permission' ? permissions.join(' ') : policy;
  const demands = assurance === undefined ? named : `${named} ${assurance}`;
  return [
    transport,
    method,
    placeOf(row),
    note === undefined ? demands : `${demands}: ${note}`,
    roles.join(' ') || '-',
    handler,
  ];
}

/** `|` parts cells; a path may hold one. */
function escaped(cell: string): string {
  return cell.replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function summaryOf(rows: readonly AccessMatrixRow[]): string {
  const count = (policy: AccessMatrixRow['policy']): number =>
    rows.filter((row) => row.policy === policy).length;
  const parts = [
    `${count('permission')} with a permission`,
    `${count('authenticated')} authenticated`,
    `${count('public')} public`,
    `${count('undeclared')} undeclared`,
  ];
  return `${rows.length} ways in: ${parts.join(', ')}`;
}
