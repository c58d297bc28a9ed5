import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide, type Decision } from '../../src/access/decide.js';
import { objectRule, type ObjectRule } from '../../src/access/object-rule.js';
import type { Permission } from '../../src/core/permission.js';
import type { Principal } from '../../src/core/principal.js';

const principal: Principal = { kind: 'account', subject: 'alice' };
const held = new Set(['documents:read', 'documents:write']);

interface Note {
  readonly owner: string;
}

const own = objectRule<Note>({
  type: 'note',
  name: 'owned',
  holds: (note, { subject }) => note.owner === subject,
  overriddenBy: 'documents:read-any',
});

interface Asked {
  readonly principal: Principal | undefined;
  readonly permissions: readonly Permission[];
  readonly held: { has(permission: string): boolean };
  readonly object?: { readonly rule: ObjectRule<never>; readonly subject: unknown };
}

/** A question without scopes: what is held is held everywhere. */
function ask({ principal, permissions, held, object }: Asked): Decision {
  const everywhere = {
    holds: (permission: string) => held.has(permission),
    holdsSomewhere: (permission: string) => held.has(permission),
  };
  return decide({
    principal,
    permission: permissions,
    context: { held: everywhere },
    ...(object && { resource: { rule: object.rule as ObjectRule<unknown>, object: object.subject } }),
  });
}

describe('decide()', () => {
  test('an empty demand is refused, whatever is held', () => {
    expect(ask({ principal, permissions: [], held })).toEqual({
      granted: false,
      reason: 'nothing was demanded',
    });
  });

  test('nobody is granted nothing, even what they would hold', () => {
    expect(ask({ principal: undefined, permissions: ['documents:read'], held })).toEqual({
      granted: false,
      reason: 'nobody is authenticated',
    });
  });

  test('RBAC-18 all demanded permissions must be held', () => {
    const granted = (...permissions: Permission[]): boolean => ask({ principal, permissions, held }).granted;
    expect(granted('documents:read')).toBe(true);
    expect(granted('documents:read', 'documents:write')).toBe(true);
    expect(granted('documents:read', 'documents:share')).toBe(false);
    expect(granted('documents:share', 'documents:read')).toBe(false);
    expect(ask({ principal, permissions: ['documents:share'], held })).toEqual({
      granted: false,
      reason: 'a demanded permission is not held',
    });
  });

  test('a grant says by what', () => {
    const object = { rule: own, subject: { owner: 'alice' } };
    expect(ask({ principal, permissions: ['documents:read'], held, object })).toEqual({
      granted: true,
      by: ['documents:read', 'note: owned'],
    });
  });

  test('an object of somebody else is refused, and so is one that is not there', () => {
    const reasonFor = (subject: Note | null | undefined): unknown =>
      ask({ principal, permissions: ['documents:read'], held, object: { rule: own, subject } });
    expect(reasonFor({ owner: 'bob' })).toEqual({ granted: false, reason: 'the object rule does not hold' });
    expect(reasonFor(null)).toEqual({ granted: false, reason: 'there is no such object' });
    expect(reasonFor(undefined)).toEqual({ granted: false, reason: 'there is no such object' });
  });

  test('a rule narrows and never widens: without the permission its object is refused', () => {
    const object = { rule: own, subject: { owner: 'alice' } };
    const without = new Set(['documents:read-any']);
    expect(ask({ principal, permissions: ['documents:read'], held: without, object }).granted).toBe(false);
  });

  test('the overriding permission reaches every object, beside the demanded one', () => {
    const object = { rule: own, subject: { owner: 'bob' } };
    const both = new Set(['documents:read', 'documents:read-any']);
    expect(ask({ principal, permissions: ['documents:read'], held: both, object })).toEqual({
      granted: true,
      by: ['documents:read', 'documents:read-any'],
    });
    expect(
      ask({ principal, permissions: ['documents:read'], held: both, object: { rule: own, subject: null } })
        .granted,
    ).toBe(false);
  });

  test('nothing overrides a rule that names nothing, not even a set that has everything', () => {
    const rule: ObjectRule<Note> = { type: 'note', name: 'mine', holds: () => false };
    const everything = { has: () => true };
    const object = { rule, subject: { owner: 'bob' } };
    expect(ask({ principal, permissions: ['documents:read'], held: everything, object })).toEqual({
      granted: false,
      reason: 'the object rule does not hold',
    });
  });

  test('every demanded permission is put to the rule', () => {
    const readOnly: ObjectRule<Note> = {
      type: 'note',
      name: 'frozen',
      holds: (_note, _who, what) => what === 'documents:read',
    };
    const object = { rule: readOnly, subject: { owner: 'alice' } };
    expect(ask({ principal, permissions: ['documents:read'], held, object }).granted).toBe(true);
    expect(ask({ principal, permissions: ['documents:read', 'documents:write'], held, object }).granted).toBe(
      false,
    );
  });

  test('whatever throws is refused', () => {
    const thrower = (): never => {
      throw new Error('no');
    };
    const broken = { principal, permissions: ['documents:read'] as Permission[] };
    const failed = { granted: false, reason: 'the decision failed' };
    expect(ask({ ...broken, held: { has: thrower } })).toEqual(failed);
    const rule: ObjectRule<Note> = { type: 'note', name: 'broken', holds: thrower };
    expect(ask({ ...broken, held, object: { rule, subject: { owner: 'alice' } } })).toEqual(failed);
    expect(decide(undefined as never)).toEqual(failed);
    expect(ask({ ...broken, permissions: null as never, held })).toEqual(failed);
  });

  test.each([[Promise.resolve(true)], ['yes'], [1], [{}], [undefined], [null]])(
    'a rule or a set that answers %o instead of true refuses',
    (answer) => {
      const rule: ObjectRule<Note> = {
        type: 'note',
        name: 'vague',
        holds: () => answer as unknown as boolean,
      };
      const object = { rule, subject: { owner: 'alice' } };
      expect(ask({ principal, permissions: ['documents:read'], held, object }).granted).toBe(false);
      const vague = { has: () => answer as unknown as boolean };
      expect(ask({ principal, permissions: ['documents:read'], held: vague }).granted).toBe(false);
      const overriding = {
        has: (name: string) => (name === 'documents:read' ? true : (answer as unknown as boolean)),
      };
      expect(
        ask({
          principal,
          permissions: ['documents:read'],
          held: overriding,
          object: { rule: own, subject: { owner: 'bob' } },
        }).granted,
      ).toBe(false);
    },
  );

  test('it grants exactly what a naive oracle grants', () => {
    const name = fc.constantFrom<Permission>(
      'documents:read',
      'documents:write',
      'invoices:read',
      'roles:write',
    );
    const object = fc.option(
      fc.record({
        there: fc.boolean(),
        holds: fc.boolean(),
        overriddenBy: fc.option(name, { nil: undefined }),
      }),
      { nil: undefined },
    );
    fc.assert(
      fc.property(
        fc.array(name),
        fc.uniqueArray(name),
        object,
        fc.boolean(),
        (permissions, has, it, somebody) => {
          const expected =
            somebody &&
            permissions.length > 0 &&
            permissions.every((each) => has.includes(each)) &&
            (it === undefined ||
              (it.there && (it.holds || (it.overriddenBy !== undefined && has.includes(it.overriddenBy)))));
          const rule = it && {
            type: 'thing',
            name: 'random',
            holds: () => it.holds,
            ...(it.overriddenBy && { overriddenBy: it.overriddenBy }),
          };
          const decision = ask({
            principal: somebody ? principal : undefined,
            permissions,
            held: new Set(has),
            ...(rule && { object: { rule, subject: it.there ? {} : null } }),
          });
          expect(decision.granted).toBe(expected);
        },
      ),
    );
  });

  test('holding less or demanding more never turns a refusal into a grant', () => {
    const name = fc.constantFrom<Permission>(
      'documents:read',
      'documents:write',
      'invoices:read',
      'roles:write',
    );
    fc.assert(
      fc.property(
        fc.uniqueArray(name),
        fc.array(name, { minLength: 1 }),
        name,
        name,
        (has, permissions, less, more) => {
          const granted = (demand: Permission[], with_: Permission[]): boolean =>
            ask({ principal, permissions: demand, held: new Set(with_) }).granted;
          if (
            granted(
              permissions,
              has.filter((each) => each !== less),
            )
          )
            expect(granted(permissions, has)).toBe(true);
          if (granted([...permissions, more], has)) expect(granted(permissions, has)).toBe(true);
        },
      ),
    );
  });

  test.each([
    [{}],
    [{ type: 'note' }],
    [{ type: '', name: 'x', holds: () => true }],
    [{ type: 'note', name: 'x' }],
  ])('objectRule() refuses the incomplete rule %o', (rule) => {
    expect(() => objectRule(rule as never)).toThrow(TypeError);
  });
});
