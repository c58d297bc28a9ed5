import { describe, expect, test } from 'vitest';
import {
  allOf,
  anyOf,
  formsOf,
  holdsFor,
  is,
  loaded,
  not,
  oneOf,
  relationsOf,
  some,
  SUBJECT,
  type Condition,
} from '../../../src/access/objects/condition.js';

interface Share {
  readonly accountId: string;
  readonly reader?: readonly Share[];
}
interface Note {
  readonly ownerId: string | null;
  readonly pages: number;
  readonly isOpen: boolean;
  readonly shares?: readonly Share[];
  readonly other?: readonly Share[];
}
const NOTE: Note = { ownerId: 'alice', pages: 3, isOpen: true };
const holds = (condition: Condition<Note>, object: object = NOTE, subject = 'alice'): boolean =>
  holdsFor(condition, object as Note, subject);
const YES = is<Note>('pages', 3);
const NO = is<Note>('pages', 4);

describe('a condition that is written', () => {
  test('is a frozen value of its kind', () => {
    const conditions = [
      [is<Note>('pages', 3), { kind: 'is', property: 'pages', values: [3] }],
      [oneOf<Note>('ownerId', ['a', SUBJECT]), { kind: 'is', property: 'ownerId', values: ['a', SUBJECT] }],
      [
        some<Note, 'shares'>('shares', is('accountId', 'a')),
        { kind: 'some', relation: 'shares', where: { kind: 'is', property: 'accountId', values: ['a'] } },
      ],
      [allOf(YES, NO), { kind: 'all', of: [YES, NO] }],
      [anyOf(YES, NO), { kind: 'any', of: [YES, NO] }],
      [not(YES), { kind: 'not', of: YES }],
    ] as const;
    for (const [condition, said] of conditions) {
      expect(condition).toEqual(said);
      expect(Object.isFrozen(condition)).toBe(true);
      for (const list of Object.values(condition)) {
        if (Array.isArray(list)) expect(Object.isFrozen(list)).toBe(true);
      }
    }
  });

  test('does not change with the list that it was made of', () => {
    const values = ['a'];
    const condition = oneOf<Note>('ownerId', values);
    values.push('b');
    expect(condition).toMatchObject({ values: ['a'] });
  });

  test('of nothing is a mistake: an empty demand would be met by everything, or by nothing', () => {
    expect(() => oneOf<Note>('ownerId', [])).toThrow(
      new TypeError('oneOf("ownerId"): name a value; nothing would ever hold.'),
    );
    expect(() => allOf()).toThrow(new TypeError('allOf() needs a condition; an empty one says nothing.'));
    expect(() => anyOf()).toThrow(new TypeError('anyOf() needs a condition; an empty one says nothing.'));
  });

  test.each([[Number.NaN], [Infinity], [undefined], [null], [{}], [['a']], [1n], [Symbol('other')]])(
    'compares with no %s, alone or beside what it may compare with',
    (value) => {
      const text = 'is/oneOf("ownerId"): values are texts, finite numbers, booleans or SUBJECT.';
      for (const values of [[value], ['a', value], [value, 'a']]) {
        expect(() => oneOf<Note>('ownerId', values as string[])).toThrow(new TypeError(text));
      }
    },
  );

  test.each([[''], ['a'], [0], [-1.5], [true], [false], [SUBJECT]])('compares with %s', (value) => {
    expect(is<Note>('ownerId', value as string)).toMatchObject({ values: [value] });
  });
});

describe('a condition that is asked', () => {
  test('RBAC-21 of a property is whether it has one of the values, or is whoever asks', () => {
    expect(holds(is('ownerId', SUBJECT))).toBe(true);
    expect(holds(is('ownerId', SUBJECT), NOTE, 'bob')).toBe(false);
    expect(holds(is('ownerId', 'bob'))).toBe(false);
    expect(holds(oneOf('ownerId', ['bob', 'alice']), NOTE, 'carol')).toBe(true);
    expect(holds(oneOf('ownerId', ['bob', 'carol']))).toBe(false);
    expect(holds(is('isOpen', true))).toBe(true);
    expect(holds(is('isOpen', false))).toBe(false);
  });

  test('RBAC-21 of null is never met, and its opposite always', () => {
    const nobodys = { ...NOTE, ownerId: null };
    expect(holds(is('ownerId', SUBJECT), nobodys)).toBe(false);
    expect(holds(not(is('ownerId', SUBJECT)), nobodys)).toBe(true);
    expect(holds(not(YES))).toBe(false);
  });

  test('RBAC-21 takes all, or one, or none, as it says', () => {
    expect([allOf(YES, YES), allOf(YES, NO), allOf(NO, YES)].map((each) => holds(each))).toEqual([
      true,
      false,
      false,
    ]);
    expect([anyOf(NO, YES), anyOf(YES, NO), anyOf(NO, NO)].map((each) => holds(each))).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('RBAC-21 of related objects is whether one of them meets it', () => {
    const shared = some<Note, 'shares'>('shares', is('accountId', SUBJECT));
    const withShares = (...accounts: string[]): object => ({
      ...NOTE,
      shares: accounts.map((accountId) => ({ accountId })),
    });
    expect(holds(shared, withShares('bob', 'alice'))).toBe(true);
    expect(holds(shared, withShares('bob'))).toBe(false);
    expect(holds(shared, withShares())).toBe(false);
    for (const shares of [null, 'alice', { accountId: 'alice' }]) {
      expect(() => holds(shared, { ...NOTE, shares })).toThrow(
        new TypeError('"shares" is no list of related objects.'),
      );
    }
  });

  test('RBAC-21 of what was not loaded has no answer, nor has its opposite', () => {
    const unloaded = [is<Note>('ownerId', SUBJECT), some<Note, 'shares'>('shares', is('accountId', 'a'))];
    for (const condition of unloaded) {
      const name = condition.kind === 'is' ? 'ownerId' : 'shares';
      const error = new TypeError(`"${name}" was not loaded: select it, or load the relation.`);
      expect(() => holds(condition, {})).toThrow(error);
      expect(() => holds(not(condition), {})).toThrow(error);
    }
    expect(loaded(NOTE, 'pages')).toBe(3);
    expect(loaded({ ownerId: null }, 'ownerId')).toBeNull();
  });

  test('RBAC-21 of a value of another type has no answer, also where one of several is of it', () => {
    const error = new TypeError('"pages" is compared with a value of another type.');
    for (const values of [['3'], [3, '3'], ['3', 3], [true]]) {
      expect(() => holds(oneOf<Note>('pages', values as number[]))).toThrow(error);
    }
  });
});

describe('who asks', () => {
  const UUID = '0190A3B4-5C6D-7E8F-9A0B-C1D2E3F40516';
  const lower = UUID.toLowerCase();

  test('is compared as it is, and a UUID also as PostgreSQL writes it', () => {
    expect(formsOf(SUBJECT, 'Alice')).toEqual(['Alice']);
    expect(formsOf(SUBJECT, UUID)).toEqual([UUID, lower]);
    expect(formsOf(UUID, 'alice')).toEqual([UUID, lower]);
    expect(formsOf(SUBJECT, lower)).toEqual([lower]);
    expect(formsOf(3, UUID)).toEqual([3]);
    expect(formsOf(false, UUID)).toEqual([false]);
    expect(holds(is('ownerId', SUBJECT), { ...NOTE, ownerId: lower }, UUID)).toBe(true);
    expect(holds(is('ownerId', SUBJECT), { ...NOTE, ownerId: UUID }, UUID)).toBe(true);
  });

  test.each([
    [`x${UUID}`],
    [`${UUID}x`],
    [UUID.replace('0190', '019G')],
    [UUID.replaceAll('-', '')],
    ['ALICE'],
  ])('is no UUID where it only looks like one: %s', (subject) => {
    expect(formsOf(SUBJECT, subject)).toEqual([subject]);
  });
});

test('the relations that a condition looks at are named as TypeORM names them, each once', () => {
  const shared = some<Note, 'shares'>('shares', is('accountId', SUBJECT));
  const read = some<Note, 'shares'>('shares', some<Share, 'reader'>('reader', is('accountId', 'a')));
  const other = some<Note, 'other'>('other', is('accountId', 'a'));
  const of = (condition: Condition<Note>): readonly string[] => relationsOf(condition);
  expect(of(YES)).toEqual([]);
  expect(of(shared)).toEqual(['shares']);
  expect(of(read)).toEqual(['shares', 'shares.reader']);
  expect(of(not(read))).toEqual(['shares', 'shares.reader']);
  expect(of(allOf(shared, YES, not(read), other))).toEqual(['shares', 'shares.reader', 'other']);
  expect(of(anyOf(other, shared))).toEqual(['other', 'shares']);
});
