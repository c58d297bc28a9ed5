import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AccessMatrixRow } from '../../../src/access/inventory/access-matrix.js';
import { publicRoutesDifference, publicRoutesFaults } from '../../../src/access/inventory/public-routes.js';

const row = (part: Partial<AccessMatrixRow> = {}): AccessMatrixRow => ({
  ...{ transport: 'http', method: 'GET', path: '/health', handler: 'HealthController.live' },
  ...{ policy: 'public', permissions: [], roles: ['*'] },
  ...part,
});
const listed = (...routes: string[]): { route: string; reason: string }[] =>
  routes.map((route) => ({ route, reason: 'reviewed' }));
const NOTHING = { unlisted: [], stale: [], unexplained: [] };

describe('the reviewed list of public routes', () => {
  test('V8.1.1 names each way in that anybody reaches, with transport, version and host', () => {
    const rows = [
      row(),
      row({ path: '/v1/cats', version: '1' }),
      row({ path: '/cats', version: 'neutral' }),
      row({ path: '/account', host: ':account.example.test' }),
      row({ transport: 'ws', method: 'CONNECT', path: '/chat' }),
      row({ transport: 'graphql', method: 'FIELD', path: 'Note.colour' }),
      row({ method: 'USE', path: '/graphql', handler: 'adapter' }),
      row({ method: 'GET', path: '/docs', handler: 'adapter', policy: 'undeclared' }),
    ];
    const names = [
      'GET /health',
      'GET /v1/cats v1',
      'GET /cats version-neutral',
      'GET /account on :account.example.test',
      'ws CONNECT /chat',
      'graphql FIELD Note.colour',
      'USE /graphql',
      'GET /docs',
    ];
    expect(publicRoutesDifference(rows, [])).toEqual({ ...NOTHING, unlisted: names });
    expect(publicRoutesDifference(rows, listed(...names))).toEqual(NOTHING);
  });

  test('V8.1.1 what asks for anything of its callers is not on it', () => {
    const rows = [
      row({ policy: 'authenticated' }),
      row({ path: '/a', policy: 'permission', permissions: ['a:b'], roles: [] }),
      row({ path: '/b', policy: 'undeclared', roles: [] }),
    ];
    expect(publicRoutesDifference(rows, [])).toEqual(NOTHING);
    expect(
      publicRoutesDifference(rows, listed('GET /health', 'GET /a', 'GET /b', 'GET /gone')).stale,
    ).toEqual(['GET /health', 'GET /a', 'GET /b', 'GET /gone']);
  });

  test('V8.1.1 what is report-only is on it, whatever it demands: everybody gets through', () => {
    const reported = row({ policy: 'permission', permissions: ['a:b'], mode: 'report-only' });
    expect(publicRoutesDifference([reported], [])).toEqual({ ...NOTHING, unlisted: ['GET /health'] });
    expect(publicRoutesDifference([reported], listed('GET /health'))).toEqual(NOTHING);
  });

  test('V8.1.1 a way in does not hide behind another class of its name at the same address', () => {
    const open = row();
    const shut = row({ policy: 'permission', permissions: ['a:b'], roles: [] });
    for (const rows of [
      [open, shut],
      [shut, open],
    ]) {
      expect(publicRoutesDifference(rows, [])).toEqual({
        ...NOTHING,
        unlisted: ['GET /health by HealthController.live: public'],
      });
    }
  });

  test('V8.1.1 a name stands for one spelling alone', () => {
    for (const route of [
      'GET /HEALTH',
      'get /health',
      'GET /health/',
      ' GET /health',
      'ALL /health',
      'GET *',
    ]) {
      expect(publicRoutesDifference([row()], listed(route))).toEqual({
        ...NOTHING,
        unlisted: ['GET /health'],
        stale: [route],
      });
    }
  });

  test('V8.1.1 an entry without a reason is not reviewed', () => {
    for (const reason of ['', ' ', '\n\t']) {
      expect(publicRoutesDifference([row()], [{ route: 'GET /health', reason }])).toEqual({
        ...NOTHING,
        unexplained: ['GET /health'],
      });
    }
  });

  test('V8.1.1 a second handler under a name that is listed is not covered by it', () => {
    const say = row({ transport: 'ws', method: 'MESSAGE', path: 'say', handler: 'A.say' });
    const other = { ...say, handler: 'B.say' };
    expect(publicRoutesDifference([say], listed('ws MESSAGE say'))).toEqual(NOTHING);
    expect(publicRoutesDifference([say, other], listed('ws MESSAGE say'))).toEqual({
      ...NOTHING,
      unlisted: ['ws MESSAGE say by A.say', 'ws MESSAGE say by B.say'],
      stale: ['ws MESSAGE say'],
    });
  });

  test('V8.1.1 differs for any change of what is open: one more, one less', () => {
    const paths = fc.uniqueArray(fc.constantFrom<string>('/a', '/b', '/c', '/d', '/e'));
    fc.assert(
      fc.property(paths, paths, (open, reviewed) => {
        const rows = ['/a', '/b', '/c', '/d', '/e'].map((path) =>
          row({ path, policy: open.includes(path) ? 'public' : 'authenticated' }),
        );
        const { unlisted, stale } = publicRoutesDifference(
          rows,
          listed(...reviewed.map((path) => `GET ${path}`)),
        );
        const only = (these: string[], those: string[]): string[] =>
          these.filter((path) => !those.includes(path)).map((path) => `GET ${path}`);
        expect([...unlisted].sort()).toEqual(only(open, reviewed).sort());
        expect([...stale].sort()).toEqual(only(reviewed, open).sort());
      }),
    );
  });

  test.each<[string, unknown, readonly string[]]>([
    ['no list', undefined, ['must be a list of { route, reason }']],
    ['an object', { route: 'GET /', reason: 'x' }, ['must be a list of { route, reason }']],
    [
      'entries of another shape',
      [
        'GET /',
        null,
        { route: 'GET /' },
        { route: 1, reason: 'x' },
        { route: 'GET /', reason: 'x', note: '' },
      ],
      [1, 2, 3, 4, 5].map((at) => `entry ${at} must be { route, reason }, both texts, and nothing else`),
    ],
    [
      'an entry twice',
      [...listed('GET /'), ...listed('GET /a'), { route: 'GET /', reason: 'another' }],
      ['"GET /" is listed twice: remove one'],
    ],
    ['a list as it should be', listed('GET /', 'GET /a'), []],
    ['an empty list', [], []],
  ])('V2.2.1 %s is judged by its shape', (_name, list, faults) => {
    expect(publicRoutesFaults(list)).toEqual(faults);
  });
});
