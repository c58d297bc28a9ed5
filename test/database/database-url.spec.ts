import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDatabaseUrl } from '../../src/database/database-url.js';

describe('a database URL', () => {
  test('gives back every user, password and database name that was encoded into it', () => {
    const text = fc.string({ minLength: 1, unit: 'grapheme' });
    fc.assert(
      fc.property(text, text, text, fc.integer({ min: 1, max: 65_535 }), (user, password, database, port) => {
        const [u, p, d] = [user, password, database].map(encodeURIComponent);
        // A path of dots is a path, not a name: URLs fold it away.
        fc.pre(database !== '.' && database !== '..');
        expect(parseDatabaseUrl(`postgres://${u}:${p}@db.example.test:${port}/${d}`)).toMatchObject({
          user,
          password,
          database,
          port,
        });
      }),
    );
  });

  test.each([
    ['postgres://u:p@h/d', { host: 'h', port: 5432, local: false }],
    ['postgresql://u:p@[::1]:6000/d', { host: '::1', port: 6000, local: true }],
    ['postgres://u@h/d', { password: undefined }],
    ['postgres://u:p@/d?host=/run/postgresql', { host: '/run/postgresql', local: true }],
    ['postgres://u:p@%2Frun%2Fpostgresql/d', { host: '/run/postgresql', local: true }],
    ['postgres://u:p@h/d?sslmode=verify-full', { sslMode: 'verify-full' }],
  ])('%s', (url, expected) => {
    expect(parseDatabaseUrl(url)).toMatchObject(expected);
  });

  test.each([
    '',
    'nonsense',
    'http://u:secret@h/d',
    'postgres://u:secret@h',
    'postgres://u:secret@h/',
    'postgres://:secret@h/d',
    'postgres://u:secret@/d',
    'postgres://u:secret@h/d?options=-c%20x',
    'postgres://u:secret@h/d?password=secret',
    'postgres://u:secret@h/d?ssl=true',
    'postgres://u:secret%@h/d',
    'postgres://u:secret@h:99999/d',
  ])('is refused without being repeated: %s', (url) => {
    const parse = (): unknown => parseDatabaseUrl(url);
    expect(parse).toThrow(TypeError);
    expect(parse).not.toThrow(/secret/);
  });
});
