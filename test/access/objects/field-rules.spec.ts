import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { is, SUBJECT } from '../../../src/access/objects/condition.js';
import {
  assertDeclared,
  fieldRules,
  revealed,
  type FieldRules,
} from '../../../src/access/objects/field-rules.js';
import { objectRule } from '../../../src/access/objects/object-rule.js';
import { RequestContext } from '../../../src/core/request-context.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { as, startAccess, type AccessApplication } from '../access.application.js';
import { newSubject } from '../access.fixtures.js';

class Account {
  id = '1';
  name: string | null = 'Ada';
  iban?: string = 'DE12345678';
  note = 'vip';
  passwordHash = '$argon2id$';
  get derived(): string {
    return `of ${this.id}`;
  }
}

const rules = fieldRules<Account>({
  type: 'account',
  fields: {
    id: { read: true },
    name: { read: true, write: 'documents:write', query: true },
    iban: { read: 'documents:read', mask: (iban) => `…${iban?.slice(-2) ?? ''}`, write: 'documents:share' },
    note: { read: 'documents:read', query: 'documents:share', write: true },
    derived: { read: 'documents:read' },
  },
});
const nothing = new Set<string>();

describe('what of an object is shown', () => {
  test('V8.2.3 RBAC-22 only what a rule names: nothing is shown by omission', () => {
    expect(revealed(rules, new Account(), nothing)).toEqual({ id: '1', name: 'Ada', iban: '…78' });
    expect(revealed(rules, new Account(), new Set(['documents:read']))).toEqual({
      id: '1',
      name: 'Ada',
      iban: 'DE12345678',
      note: 'vip',
      derived: 'of 1',
    });
    // Another permission shows nothing more, and neither does writing.
    expect(revealed(rules, new Account(), new Set(['documents:write', 'documents:share']))).toEqual({
      id: '1',
      name: 'Ada',
      iban: '…78',
    });
  });

  test('what is undefined is missing, what is null is shown so', () => {
    const account = Object.assign(new Account(), { name: null, iban: undefined });
    expect(revealed(rules, account, nothing)).toEqual({ id: '1', name: null });
    expect(Object.keys(revealed(rules, account, nothing))).toEqual(['id', 'name']);
  });

  test('RBAC-22 names that every object inherits are neither shown nor permitted', () => {
    const hostile = JSON.parse(
      '{"id":"1","__proto__":{"note":"x"},"constructor":"y","toString":"z"}',
    ) as Account;
    expect(Object.keys(revealed(rules, hostile, new Set(['documents:read'])))).toEqual(['id']);
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', '']) {
      for (const use of ['write', 'query'] as const) {
        expect(() => {
          assertDeclared(rules, use, [name]);
        }).toThrow(/cannot be written|nothing is sorted/);
      }
    }
  });

  test('RBAC-22 what nobody may write or ask by is named to who sent it, all at once', () => {
    const errorsOf = (use: 'write' | 'query', ...names: string[]): unknown => {
      try {
        assertDeclared(rules, use, names);
        return undefined;
      } catch (error) {
        return error;
      }
    };
    expect(errorsOf('write', 'name', 'id', 'passwordHash')).toMatchObject({
      code: 'validation-failed',
      errors: [
        { field: 'id', messages: ['cannot be written'] },
        { field: 'passwordHash', messages: ['cannot be written'] },
      ],
    });
    expect(errorsOf('query', 'name', 'iban', 'passwordHash', 'name.length')).toMatchObject({
      code: 'validation-failed',
      errors: [
        { field: 'iban', messages: ['cannot be sorted or filtered by'] },
        { field: 'passwordHash', messages: ['cannot be sorted or filtered by'] },
        { field: 'name.length', messages: ['cannot be sorted or filtered by'] },
      ],
    });
    expect(errorsOf('write', 'name', 'note')).toBeUndefined();
    expect(errorsOf('query', 'name', 'note')).toBeUndefined();
  });
});

test.each<[string, unknown, RegExp]>([
  ['no type', { fields: { id: { read: true } } }, /needs a type and its fields/],
  ['no fields', { type: 'account' }, /needs a type and its fields/],
  ['empty fields', { type: 'account', fields: {} }, /needs a type and its fields/],
  ['a field that permits nothing', { type: 'account', fields: { id: {} } }, /"account.id" permits nothing/],
  [
    'a mask that nothing takes away',
    { type: 'account', fields: { id: { read: true, mask: String } } },
    /has a mask/,
  ],
  [
    'a mask of what is never read',
    { type: 'account', fields: { id: { write: true, mask: String } } },
    /has a mask/,
  ],
  [
    'false for a permission',
    { type: 'account', fields: { id: { read: false } } },
    /by a permission, or true/,
  ],
  [
    'null for a permission',
    { type: 'account', fields: { id: { read: true, write: null } } },
    /by a permission, or true/,
  ],
  ['an empty permission', { type: 'account', fields: { id: { read: '' } } }, /by a permission, or true/],
  [
    'a list of permissions',
    { type: 'account', fields: { id: { read: ['a:b'] } } },
    /by a permission, or true/,
  ],
  [
    'an order of what nobody sees',
    { type: 'account', fields: { id: { query: true } } },
    /is asked by and never seen/,
  ],
])('fieldRules() refuses %s', (_name, declared, message) => {
  expect(() => fieldRules(declared as FieldRules<Account>)).toThrow(TypeError);
  expect(() => fieldRules(declared as FieldRules<Account>)).toThrow(message);
});

test('nobody changes rules once they are declared', () => {
  const id = { read: 'documents:read' as const };
  const declared = fieldRules<Account>({ type: 'account', fields: { id } });
  Object.assign(id, { read: true });
  expect(declared.fields.id).toEqual({ read: 'documents:read' });
  expect([declared, declared.fields, declared.fields.id].every((each) => Object.isFrozen(each))).toBe(true);
});

describe('as a caller', () => {
  let database: TestDatabase;
  let app: AccessApplication;
  let reader: string;
  let sharer: string;
  const nobody = newSubject();
  beforeAll(async () => {
    database = await createTestDatabase();
    app = await startAccess(database);
    await app.roles.sync(
      { reader: { permissions: ['documents:read'] }, sharer: { permissions: ['documents:share'] } },
      SYSTEM_PRINCIPAL,
    );
    [reader, sharer] = [await app.somebody('reader', 'sharer'), await app.somebody('sharer')];
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });
  beforeEach(() => {
    app.events.length = 0;
  });
  function asSubject<T>(subject: string | undefined, work: () => Promise<T>): Promise<T> {
    const context = new RequestContext({ transport: 'http', receivedAtMs: 0 });
    if (subject !== undefined) context.authenticateAs(as(subject));
    return RequestContext.run(context, work);
  }
  const refusal = (permission: string, actor: string): object => ({
    action: 'access.refused',
    outcome: 'failure',
    delivery: 'detached',
    reason: 'a field is beyond the caller',
    detail: { permission },
    actor,
  });

  test('V8.2.3 what is shown follows what is held, and is no refusal', async () => {
    const shown = (subject: string | undefined): Promise<string[]> =>
      asSubject(
        subject,
        async () => Object.values(await app.access.reveal(rules, new Account())) as string[],
      );
    expect(await shown(reader)).toEqual(['1', 'Ada', 'DE12345678', 'vip', 'of 1']);
    for (const who of [sharer, nobody, undefined]) expect(await shown(who)).toEqual(['1', 'Ada', '…78']);
    expect(app.events).toEqual([]);
  });

  test('V8.2.3 each property of a change must be the callers to write; the first that is not is published', async () => {
    const write = (subject: string, change: object): Promise<void> =>
      asSubject(subject, () => app.access.requireWritable(rules, change));
    await write(sharer, { iban: null, note: 'x' });
    await write(nobody, { note: 'x', name: undefined });
    await write(nobody, {});
    expect(app.events).toEqual([]);
    await expect(write(nobody, { note: 'x', iban: null })).rejects.toMatchObject({
      code: 'permission-denied',
    });
    await expect(write(sharer, { note: 'x', name: 'y' })).rejects.toMatchObject({
      code: 'permission-denied',
    });
    expect(app.events).toMatchObject([
      refusal('documents:share', nobody),
      refusal('documents:write', sharer),
    ]);
  });

  test('RBAC-22 what nobody may write is refused before anything is asked, prototype pollution included', async () => {
    for (const body of [
      '{"id":"2"}',
      '{"passwordHash":"x"}',
      '{"__proto__":{"id":"2"}}',
      '{"constructor":1}',
    ]) {
      const change = JSON.parse(body) as object;
      await expect(asSubject(sharer, () => app.access.requireWritable(rules, change))).rejects.toMatchObject({
        code: 'validation-failed',
      });
    }
    expect(app.events).toEqual([]);
  });

  test('RBAC-22 nobody sorts or filters by what they do not see, whatever else they may ask by', async () => {
    const query = (subject: string, ...names: string[]): Promise<void> =>
      asSubject(subject, () => app.access.requireQueryable(rules, names));
    await query(nobody, 'name');
    await query(reader, 'name', 'note');
    // Holds the permission to ask by it, and not the one to see it.
    await expect(query(sharer, 'name', 'note')).rejects.toMatchObject({ code: 'permission-denied' });
    await expect(query(nobody, 'note')).rejects.toMatchObject({ code: 'permission-denied' });
    await expect(query(reader, 'passwordHash')).rejects.toMatchObject({ code: 'validation-failed' });
    expect(app.events).toMatchObject([refusal('documents:read', sharer), refusal('documents:share', nobody)]);
  });

  test('a filter is for who holds the permission somewhere, and a refusal is published', async () => {
    const rule = objectRule<Account>({ type: 'account', name: 'own', when: is('id', SUBJECT) });
    await expect(asSubject(reader, () => app.access.filter('documents:read', rule))).resolves.toBeDefined();
    expect(app.events).toEqual([]);
    for (const who of [sharer, nobody, undefined]) {
      await expect(asSubject(who, () => app.access.filter('documents:read', rule))).rejects.toMatchObject({
        code: 'permission-denied',
      });
    }
    await expect(app.access.filter('documents:read', rule)).rejects.toMatchObject({
      code: 'permission-denied',
    });
    expect(app.events).toHaveLength(4);
    expect(app.events[0]).toMatchObject({
      action: 'access.refused',
      actor: sharer,
      reason: 'a demanded permission is not held',
      detail: { permission: 'documents:read' },
    });
    const predicate = objectRule<Account>({ type: 'account', name: 'any', holds: () => true });
    await expect(asSubject(reader, () => app.access.filter('documents:read', predicate))).rejects.toThrow(
      TypeError,
    );
  });
});
