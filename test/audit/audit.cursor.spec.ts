import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCursor, encodeCursor } from '../../src/audit/audit.cursor.js';

const position = fc.record({
  recordedAt: fc
    .date({ min: new Date('1970-01-01'), max: new Date('2999-12-31'), noInvalidDate: true })
    .map((date) => date.toISOString().replace('Z', '457Z')),
  id: fc.uuid(),
});

describe('a cursor', () => {
  test('comes back as the position that it was made of, to the microsecond', () => {
    fc.assert(
      fc.property(position, (at) => {
        expect(decodeCursor(encodeCursor(at))).toEqual(at);
      }),
    );
  });

  test('that nobody made is no position', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(decodeCursor(text)).toBeUndefined();
        expect(decodeCursor(Buffer.from(text).toString('base64url'))).toBeUndefined();
      }),
    );
  });

  test('has one form: padding, another alphabet or a trailing character are refused', () => {
    const cursor = encodeCursor({
      recordedAt: '2026-01-31T12:00:00.250001Z',
      id: '0190b1a0-0000-7000-8000-000000000001',
    });
    for (const other of [`${cursor}=`, `${cursor}A`, ` ${cursor}`, cursor.slice(0, -1)]) {
      expect(decodeCursor(other)).toBeUndefined();
    }
  });

  test('of a day that does not exist is refused before the database has to', () => {
    const id = '0190b1a0-0000-7000-8000-000000000001';
    for (const recordedAt of ['2026-02-31T12:00:00.000000Z', '2026-01-31T24:00:00.000000Z']) {
      expect(decodeCursor(encodeCursor({ recordedAt, id }))).toBeUndefined();
    }
  });
});
