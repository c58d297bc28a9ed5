import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AccessMatrixRow } from '../../../src/access/inventory/access-matrix.js';
import { matrixDifference } from '../../../src/access/inventory/matrix-difference.js';

const row = (part: Partial<AccessMatrixRow> = {}): AccessMatrixRow => ({
  ...{ transport: 'http', method: 'GET', path: '/documents', handler: 'DocumentsController.list' },
  ...{ policy: 'permission', permissions: ['documents:read'], roles: ['reader'] },
  ...part,
});
const kinds = (before: AccessMatrixRow[], after: AccessMatrixRow[]): string[] =>
  matrixDifference(before, after).map(({ kind, what }) => `${kind}: ${what}`);

describe('what changed from one access matrix to the next', () => {
  test.each<[string, Partial<AccessMatrixRow>, Partial<AccessMatrixRow>, string[]]>([
    ['nothing', {}, { handler: 'Renamed.list' }, []],
    [
      'a route that became public',
      {},
      { policy: 'public', permissions: [], roles: ['*'] },
      [
        'opened: documents:read → public',
        'opened: now reached by *',
        'tightened: no longer reached by reader',
      ],
    ],
    [
      'a permission less',
      { permissions: ['a:b', 'c:d'] },
      { permissions: ['a:b'] },
      ['opened: no longer demands c:d'],
    ],
    ['a permission more', {}, { permissions: ['documents:read', 'a:b'] }, ['tightened: now demands a:b']],
    ['another role', {}, { roles: ['reader', 'guest'] }, ['opened: now reached by guest']],
    ['assurance taken away', { assurance: 'aal2/300s' }, {}, ['opened: assurance aal2/300s → none']],
    [
      'assurance that may be older',
      { assurance: 'aal2/300s' },
      { assurance: 'aal2/600s' },
      ['opened: assurance aal2/300s → aal2/600s'],
    ],
    [
      'a lower level',
      { assurance: 'aal2' },
      { assurance: 'aal1/10s' },
      ['opened: assurance aal2 → aal1/10s'],
    ],
    [
      'an object that is no longer decided on',
      { object: 'one by ReadableDocument' },
      {},
      ['opened: object one by ReadableDocument → any'],
    ],
    [
      'another resolver, which may reach more',
      { object: 'one by OwnedDocument' },
      { object: 'one by ReadableDocument' },
      ['opened: object one by OwnedDocument → one by ReadableDocument'],
    ],
    [
      'a tenant that is no longer asked for',
      { object: 'one by ReadableDocument, within the tenant' },
      { object: 'one by ReadableDocument' },
      ['opened: object one by ReadableDocument, within the tenant → one by ReadableDocument'],
    ],
    [
      'a tenant in which it is enough to hold what had to be held everywhere',
      {},
      { object: 'within the tenant' },
      ['opened: object any → within the tenant'],
    ],
    [
      'an object that is asked for where everybody came in',
      { policy: 'authenticated', permissions: [], roles: ['*'] },
      { object: 'one by ReadableDocument' },
      [
        'opened: now reached by reader',
        'tightened: authenticated → documents:read',
        'tightened: object any → one by ReadableDocument',
        'tightened: no longer reached by *',
      ],
    ],
    [
      'a higher level',
      { assurance: 'aal1/10s' },
      { assurance: 'aal2' },
      ['tightened: assurance aal1/10s → aal2'],
    ],
  ])('%s', (_name, before, after, expected) => {
    expect(kinds([row(before)], [row(after)])).toEqual(expected);
  });

  test('a new way in is opened when it asks for no permission, else added; one that is gone is removed', () => {
    const open = row({ path: '/open', policy: 'authenticated', permissions: [], roles: ['*'] });
    const shut = row({ path: '/shut', version: '2', host: 'a.example' });
    expect(matrixDifference([row()], [open, shut]).map(({ kind, route }) => `${kind} ${route}`)).toEqual([
      'removed GET /documents',
      'opened GET /open',
      'added GET /shut v2 on a.example',
    ]);
  });

  test('a handler that opens cannot hide behind another one of the same name', () => {
    const quiet = row({ transport: 'ws', method: 'MESSAGE', path: 'say', handler: 'A.say' });
    const open = { ...quiet, handler: 'B.say', policy: 'public' as const, permissions: [], roles: ['*'] };
    for (const after of [
      [quiet, open],
      [open, quiet],
    ]) {
      expect(
        matrixDifference([quiet], after)
          .filter(({ kind }) => kind === 'opened')
          .map(({ route }) => route),
      ).toEqual(['ws MESSAGE say by B.say']);
      expect(matrixDifference(after, [...after].reverse())).toEqual([]);
    }
  });

  test('one that opens cannot hide behind a class of the same name at the same address', () => {
    const shut = row();
    const open = row({ policy: 'public', permissions: [], roles: ['*'] });
    for (const after of [
      [shut, open],
      [open, shut],
    ]) {
      const opened = matrixDifference([shut], after).filter(({ kind }) => kind === 'opened');
      expect(opened.map(({ route }) => route)).toEqual([
        expect.stringMatching(/^GET \/documents by .*: public$/),
      ]);
      expect(matrixDifference(after, [...after].reverse())).toEqual([]);
    }
  });

  test('comparing a matrix with itself, in whatever order, says nothing; and never forgets an opening', () => {
    const rows = fc.uniqueArray(
      fc.record({
        path: fc.constantFrom('/a', '/b', '/c', '/d'),
        policy: fc.constantFrom('public', 'authenticated', 'permission'),
        roles: fc.subarray(['x', 'y', 'z']),
      }),
      { selector: ({ path }) => path },
    );
    fc.assert(
      fc.property(rows, rows, (before, after) => {
        const [old, now] = [before, after].map((each) => each.map((part) => row(part)));
        expect(matrixDifference(old!, [...old!].reverse())).toEqual([]);
        const opened = new Set(
          matrixDifference(old!, now!)
            .filter(({ kind }) => kind === 'opened')
            .map(({ route }) => route),
        );
        for (const each of now!) {
          const was = old!.find(({ path }) => path === each.path);
          const gained = each.roles.some((role) => !(was?.roles ?? []).includes(role));
          if (was && gained) expect(opened).toContain(`GET ${each.path}`);
        }
      }),
    );
  });
});
