import type { AccessMatrixRow } from '../access/inventory/access-matrix.js';
import { placeOf } from '../access/inventory/route-name.js';
import { markdownTable, textTable } from './table.format.js';

export const ROUTE_FORMATS = ['table', 'json', 'md'] as const;
export type RouteFormat = (typeof ROUTE_FORMATS)[number];

const HEAD = ['transport', 'method', 'path', 'demands', 'roles', 'handler'] as const;

/** The access matrix for a terminal, a program or a document. */
export function formatRoutes(rows: readonly AccessMatrixRow[], format: RouteFormat): string {
  // The very answer of `GET /admin/access/routes`.
  if (format === 'json') return JSON.stringify({ routes: rows }, undefined, 2);
  const cells = rows.map(cellsOf);
  return format === 'md'
    ? markdownTable(HEAD, cells)
    : [textTable(HEAD, cells), '', summaryOf(rows)].join('\n');
}

function cellsOf(row: AccessMatrixRow): readonly string[] {
  const { transport, method, permissions, policy, assurance, roles, handler, note, mode } = row;
  const named = policy === 'permission' ? permissions.join(' ') : policy;
  const demanded = assurance === undefined ? named : `${named} ${assurance}`;
  const demands = mode === undefined ? demanded : `${mode} (${demanded})`;
  return [
    transport,
    method,
    placeOf(row),
    note === undefined ? demands : `${demands}: ${note}`,
    roles.join(' ') || '-',
    handler,
  ];
}

function summaryOf(rows: readonly AccessMatrixRow[]): string {
  const count = (policy: AccessMatrixRow['policy']): number =>
    rows.filter((row) => row.policy === policy).length;
  const parts = [
    `${count('permission')} with a permission`,
    `${count('authenticated')} authenticated`,
    `${count('public')} public`,
    ...(count('system') > 0 ? [`${count('system')} of tasks`] : []),
    `${count('undeclared')} undeclared`,
  ];
  // They are counted above, by a policy that nobody is held to.
  const reported = rows.filter(({ mode }) => mode !== undefined).length;
  const aside = reported === 0 ? '' : `; ${reported} of them report-only, NOT PROTECTED`;
  return `${rows.length} ways in: ${parts.join(', ')}${aside}`;
}
