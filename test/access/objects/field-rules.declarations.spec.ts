import { describe, expect, test } from 'vitest';
import {
  assertDeclared,
  fieldRules,
  permissionsFor,
  readPermissionsOf,
  revealed,
  ruleOf,
  type FieldRules,
} from '../../../src/access/objects/field-rules.js';

interface Account {
  readonly id: string;
  readonly name: string | null;
  readonly iban?: string | undefined;
  readonly note: string;
  readonly pin: string;
  readonly passwordHash: string;
}
const ACCOUNT: Account = {
  id: '1',
  name: 'Ada',
  iban: 'DE12345678',
  note: 'vip',
  pin: '1234',
  passwordHash: '$argon2id$',
};
const rules = fieldRules<Account>({
  type: 'account',
  fields: {
    id: { read: true },
    name: { read: true, write: 'documents:write', query: true },
    iban: { read: 'documents:read', mask: (iban) => `…${iban?.slice(-2) ?? ''}`, write: 'documents:share' },
    note: { read: 'documents:read', query: 'documents:share', write: true },
    pin: { write: true },
  },
});

describe('rules that are declared', () => {
  test.each<[string, unknown, string]>([
    ['no type', { fields: { id: { read: true } } }, 'needs a type and its fields.'],
    ['an empty type', { type: '', fields: { id: { read: true } } }, 'needs a type and its fields.'],
    ['no fields', { type: 'account' }, 'needs a type and its fields.'],
    ['empty fields', { type: 'account', fields: {} }, 'needs a type and its fields.'],
    ['nothing', { type: 'account', fields: { id: {} } }, '"account.id" permits nothing; leave it out.'],
    [
      'a mask alone',
      { type: 'account', fields: { id: { mask: String } } },
      '"account.id" permits nothing; leave it out.',
    ],
    ...(['read', 'write', 'query'] as const).flatMap((use) =>
      ([false, null, '', 1, ['documents:read']] as unknown[]).map((permission): [string, unknown, string] => [
        `${JSON.stringify(permission)} for the permission to ${use}`,
        { type: 'account', fields: { name: { read: true }, id: { read: true, [use]: permission } } },
        '"account.id" is permitted by a permission, or true.',
      ]),
    ),
    [
      'an order of what nobody sees',
      { type: 'account', fields: { id: { query: true } } },
      '"account.id" is asked by and never seen: its order would tell it.',
    ],
    [
      'an order of what is only written',
      { type: 'account', fields: { id: { write: true, query: 'documents:read' } } },
      '"account.id" is asked by and never seen: its order would tell it.',
    ],
    [
      'a mask of what everybody sees',
      { type: 'account', fields: { id: { read: true, mask: String } } },
      '"account.id" has a mask, and no permission that takes it away.',
    ],
    [
      'a mask of what nobody sees',
      { type: 'account', fields: { id: { write: true, mask: String } } },
      '"account.id" has a mask, and no permission that takes it away.',
    ],
  ])('V8.1.2 never say %s', (_name, declared, fault) => {
    expect(() => fieldRules(declared as FieldRules<Account>)).toThrow(
      new TypeError(`fieldRules()${fault.startsWith('"') ? ':' : ''} ${fault}`),
    );
  });

  test.each([
    [{ read: true }],
    [{ read: 'documents:read' }],
    [{ write: true }],
    [{ write: 'documents:write' }],
    [{ read: true, query: true }],
    [{ read: 'documents:read', query: 'documents:share', write: 'documents:write', mask: String }],
  ])('say %j of a field, and are changed by nobody afterwards', (rule) => {
    const declared = fieldRules<Account>({ type: 'account', fields: { id: rule as never } });
    expect(declared).toEqual({ type: 'account', fields: { id: rule } });
    Object.assign(rule, { read: true, write: true });
    expect([declared, declared.fields, declared.fields.id].every((each) => Object.isFrozen(each))).toBe(true);
    expect(declared.fields.id).not.toBe(rule);
  });

  test('RBAC-22 are found by their own name, never by one that every object inherits', () => {
    expect(ruleOf(rules, 'id')).toEqual({ read: true });
    for (const name of ['passwordHash', 'constructor', '__proto__', 'toString', '']) {
      expect(ruleOf(rules, name)).toBeUndefined();
    }
  });
});

describe('what it takes', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ['id', [], []],
    ['name', ['documents:write'], []],
    ['iban', ['documents:share'], ['documents:read']],
    ['note', [], ['documents:share', 'documents:read']],
    ['pin', [], []],
    ['constructor', [], []],
  ])('RBAC-22 to write %s is its own, and to ask by it also what seeing it takes', (name, write, query) => {
    expect(permissionsFor(rules, 'write', name)).toEqual(write);
    expect(permissionsFor(rules, 'query', name)).toEqual(query);
  });

  test('to see all of it is each permission to read, once', () => {
    expect([...readPermissionsOf(rules)]).toEqual(['documents:read']);
    const open = fieldRules<Account>({
      type: 'account',
      fields: { id: { read: true }, pin: { write: true } },
    });
    expect([...readPermissionsOf(open)]).toEqual([]);
  });
});

describe('what is shown', () => {
  test('V8.2.3 RBAC-22 is what a rule names, to whom it names: the rest is missing or masked', () => {
    expect(revealed(rules, ACCOUNT, new Set())).toEqual({ id: '1', name: 'Ada', iban: '…78' });
    expect(revealed(rules, ACCOUNT, new Set(['documents:read']))).toEqual({
      id: '1',
      name: 'Ada',
      iban: 'DE12345678',
      note: 'vip',
    });
    expect(revealed(rules, ACCOUNT, new Set(['documents:share', 'documents:write', 'true']))).toEqual({
      id: '1',
      name: 'Ada',
      iban: '…78',
    });
  });

  test('is null where that is what is there, and nothing where there is nothing', () => {
    const shown = revealed(rules, { ...ACCOUNT, name: null, iban: undefined }, new Set());
    expect(shown).toStrictEqual({ id: '1', name: null });
  });
});

describe('what nobody may do', () => {
  const errorOf = (use: 'write' | 'query', ...names: string[]): unknown => {
    try {
      assertDeclared(rules, use, names);
      return undefined;
    } catch (error) {
      return error;
    }
  };

  test('RBAC-22 is refused with each field that was sent, and what may be done is not', () => {
    expect(errorOf('write', 'name', 'id', 'pin', 'passwordHash')).toMatchObject({
      code: 'validation-failed',
      detail: 'a field cannot be written',
      errors: ['id', 'passwordHash'].map((field) => ({ field, messages: ['cannot be written'] })),
    });
    expect(errorOf('query', 'iban', 'name', 'constructor')).toMatchObject({
      code: 'validation-failed',
      detail: 'nothing is sorted or filtered by a field',
      errors: ['iban', 'constructor'].map((field) => ({
        field,
        messages: ['cannot be sorted or filtered by'],
      })),
    });
    expect(errorOf('write', 'name', 'iban', 'note', 'pin')).toBeUndefined();
    expect(errorOf('query', 'name', 'note')).toBeUndefined();
    expect(errorOf('query')).toBeUndefined();
  });
});
