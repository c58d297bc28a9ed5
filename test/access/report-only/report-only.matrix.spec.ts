import { describe, expect, test } from 'vitest';
import { accessMatrix, type AccessMatrixRow } from '../../../src/access/inventory/access-matrix.js';
import { matrixDifference } from '../../../src/access/inventory/matrix-difference.js';
import { publicRoutesDifference } from '../../../src/access/inventory/public-routes.js';
import type { RouteEntry } from '../../../src/access/inventory/route-entry.js';

const POLICIES: readonly RouteEntry['policy'][] = [
  { kind: 'undeclared', fault: 'has no policy' },
  { kind: 'permission', permissions: ['roles:read'], assurance: { acr: 'aal2' } },
  { kind: 'authenticated' },
  { kind: 'public' },
];

const rowOf = (policy: RouteEntry['policy'], reportOnly: boolean): AccessMatrixRow =>
  accessMatrix(
    [
      {
        ...{ transport: 'http', method: 'GET', path: '/x', className: 'C', handlerName: 'm', policy },
        ...(reportOnly && { reportOnly: true }),
      },
    ],
    [],
    new Map(),
  )[0]!;

describe('a report-only row of the access matrix', () => {
  test.each(POLICIES)('is open to everybody and says so, whatever it demands: %j', (policy) => {
    expect(rowOf(policy, true)).toEqual({
      ...rowOf(policy, false),
      mode: 'report-only',
      roles: ['*'],
    });
  });

  test.each(POLICIES)('is opened where it was enforced, and tightened where it is enforced: %j', (policy) => {
    const [enforced, reported] = [[rowOf(policy, false)], [rowOf(policy, true)]];
    expect(matrixDifference(enforced, reported).map(({ kind }) => kind)).toEqual(['opened']);
    expect(matrixDifference(reported, enforced).map(({ kind }) => kind)).toEqual(['tightened']);
    expect(matrixDifference(reported, reported)).toEqual([]);
  });

  test.each(POLICIES)('is opened where it is new: %j', (policy) => {
    expect(matrixDifference([], [rowOf(policy, true)]).map(({ kind }) => kind)).toEqual(['opened']);
  });

  test.each(POLICIES)('has to be on the reviewed list of what anybody reaches: %j', (policy) => {
    expect(publicRoutesDifference([rowOf(policy, true)], []).unlisted).toEqual(['GET /x']);
  });

  test('is shown for what bypasses Nest where that is let be, and for nothing else', () => {
    const bypassing = [{ method: 'GET', path: '/docs' }];
    const [row] = accessMatrix([], [], new Map(), bypassing, true);
    expect(row).toMatchObject({ path: '/docs', policy: 'undeclared', mode: 'report-only', roles: ['*'] });
    const [refused] = accessMatrix([], [], new Map(), bypassing);
    expect(refused?.mode).toBeUndefined();
  });
});
