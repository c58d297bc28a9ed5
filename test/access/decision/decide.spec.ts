import { describe, expect, test } from 'vitest';
import {
  decide,
  OBJECT_REFUSED,
  type AccessQuestion,
  type Decision,
} from '../../../src/access/decision/decide.js';
import { HeldTable, placesOf, type Held } from '../../../src/access/decision/held.js';
import { objectRule, type ObjectRule } from '../../../src/access/objects/object-rule.js';
import type { Permission } from '../../../src/core/permission.js';
import type { Principal } from '../../../src/core/principal.js';

const principal: Principal = { kind: 'account', subject: 'alice' };
const places = placesOf([
  'documents:read',
  'documents:read-any',
  'documents:write',
  'documents:share',
  'invoices:read',
]);

/** What somebody holds: in each scope, `''` being everywhere. */
const holding = (scopes: Readonly<Record<string, readonly string[]>>): HeldTable =>
  new HeldTable(places, new Map(Object.entries(scopes)));
const everywhere = (...permissions: string[]): HeldTable => holding({ '': permissions });
const NOBODY_HOLDS: Held = { holds: () => false, holdsSomewhere: () => false };

interface Note {
  readonly owner: string;
  readonly project?: string | number | bigint | null;
  readonly tenant?: string | null;
}

const own = objectRule<Note>({
  type: 'note',
  name: 'owned',
  holds: (note, { subject }) => note.owner === subject,
  overriddenBy: 'documents:read-any',
});
const any = (scopes: ObjectRule<Note>['scopes']): ObjectRule<Note> =>
  objectRule<Note>({ type: 'note', name: 'any', holds: () => true, ...(scopes && { scopes }) });
const mine: Note = { owner: 'alice' };
const theirs: Note = { owner: 'bob' };

const no = (reason: string): Decision => ({ granted: false, reason }) as Decision;
const yes = (...by: string[]): Decision => ({ granted: true, by });
const NOT_HELD = no('a demanded permission is not held');

describe('what is demanded of everything', () => {
  test('an empty demand is refused, whatever is held', () => {
    expect(decide({ principal, permission: [], context: { held: everywhere(...places.keys()) } })).toEqual(
      no('nothing was demanded'),
    );
  });

  test('nobody is granted nothing, even what they would hold', () => {
    const held = everywhere('documents:read');
    expect(decide({ principal: undefined, permission: 'documents:read', context: { held } })).toEqual(
      no('nobody is authenticated'),
    );
  });

  test('RBAC-18 all demanded permissions must be held', () => {
    const held = everywhere('documents:read', 'documents:write');
    const of = (...permission: Permission[]): Decision =>
      decide({ principal, permission, context: { held } });
    expect(of('documents:read')).toEqual(yes('documents:read'));
    expect(of('documents:read', 'documents:write')).toEqual(yes('documents:read', 'documents:write'));
    expect(of('documents:read', 'documents:share')).toEqual(NOT_HELD);
    expect(of('documents:share', 'documents:read')).toEqual(NOT_HELD);
    expect(decide({ principal, permission: 'documents:share', context: { held } })).toEqual(NOT_HELD);
  });

  test('a permission that nobody declared is held by nobody', () => {
    const held = everywhere('ghosts:summon', 'documents:read');
    expect(decide({ principal, permission: 'ghosts:summon' as Permission, context: { held } })).toEqual(
      NOT_HELD,
    );
    for (const name of ['', 'toString', '__proto__', 'constructor']) {
      expect(decide({ principal, permission: name as Permission, context: { held } })).toEqual(NOT_HELD);
    }
  });

  test('whatever a list goes through itself like, all of it is demanded', () => {
    const [one, two]: Permission[] = ['documents:read', 'documents:write'];
    class SaysMore extends Array<Permission> {
      override *[Symbol.iterator](): ArrayIterator<Permission> {
        yield* [one!, two!];
      }
    }
    const withIterator = Object.assign([one], { [Symbol.iterator]: SaysMore.prototype[Symbol.iterator] });
    const ofLength = (length: unknown): Permission[] =>
      new Proxy([one!, two!], {
        get: (target, name) => (name === 'length' ? length : (Reflect.get(target, name) as unknown)),
      });
    const demands = {
      'a subclass': SaysMore.from([one!]),
      'an iterator of its own': withIterator,
      'a set': new Set([one, two]),
      'a frozen list': Object.freeze([one, two]),
    };
    for (const [what, permission] of Object.entries(demands)) {
      const of = (...held: string[]): Decision =>
        decide({ principal, permission: permission as Permission[], context: { held: everywhere(...held) } });
      expect(of(one!), what).toEqual(NOT_HELD);
      expect(of(two!), what).toEqual(NOT_HELD);
      expect(of(one!, two!), what).toEqual(yes(one!, two!));
    }
    for (const length of [1n, Number.NaN, 0.5, 0, -1, undefined]) {
      const permission = ofLength(length);
      const context = { held: everywhere(...places.keys()) };
      expect(decide({ principal, permission, context }).granted, String(length)).toBe(false);
    }
    expect(decide({ principal, permission: ofLength(1.5), context: { held: everywhere(two!) } })).toEqual(
      NOT_HELD,
    );
  });

  test('a hole in a list of permissions is not skipped', () => {
    const permission = ['documents:read'] as Permission[];
    permission.length = 2;
    const holes = Array.from<Permission>({ length: 1 });
    const sparse = new Array<Permission>(1);
    const held = everywhere('documents:read');
    for (const demand of [permission, holes, sparse]) {
      expect(decide({ principal, permission: demand, context: { held } })).toEqual(NOT_HELD);
    }
  });
});

describe('scopes', () => {
  const held = holding({
    'project:7': ['documents:read'],
    'tenant:acme': ['documents:read', 'invoices:read'],
  });
  const inProject = any({ project: 'project' });
  const of = (object: Note | null | undefined, rule = inProject, more: object = {}): Decision =>
    decide({
      principal,
      permission: 'documents:read',
      resource: { rule, object },
      context: { held },
      ...more,
    });

  test('what is held in scopes alone is not held everywhere', () => {
    expect(decide({ principal, permission: 'documents:read', context: { held } })).toEqual(NOT_HELD);
  });

  test('a grant in a scope counts for the objects that lie there', () => {
    expect(of({ owner: 'x', project: '7' })).toEqual(yes('documents:read', 'note: any'));
    expect(of({ owner: 'x', project: '8' })).toEqual(NOT_HELD);
    expect(of({ owner: 'x', project: null })).toEqual(NOT_HELD);
    expect(of({ owner: 'x', project: '7' }, any(undefined))).toEqual(NOT_HELD);
  });

  test.each([[7], [7n]])('an id that is the number %s is the one that a grant names', (project) => {
    expect(of({ owner: 'x', project })).toEqual(yes('documents:read', 'note: any'));
  });

  test.each([[Number.NaN], [7.5], [2 ** 53], [Number.POSITIVE_INFINITY], [true], [{}], [['7']], [undefined]])(
    'the scope of an object that says %o is not known: refused',
    (project) => {
      expect(of({ owner: 'x', project: project as never })).toEqual(no('the decision failed'));
    },
  );

  test('a scope of another kind with the same id counts for nothing', () => {
    const other = holding({ 'tenant:7': ['documents:read'], 'projects:7': ['documents:read'] });
    expect(of({ owner: 'x', project: '7' }, inProject, { context: { held: other, tenant: '7' } })).toEqual(
      NOT_HELD,
    );
  });

  test('each permission must be held there, be it by different grants', () => {
    const both = holding({ '': ['invoices:read'], 'project:7': ['documents:read'] });
    const question = {
      principal,
      permission: ['documents:read', 'invoices:read'] as const,
      resource: { rule: inProject, object: { owner: 'x', project: '7' } },
    };
    expect(decide({ ...question, context: { held: both } }).granted).toBe(true);
    const apart = holding({ 'project:8': ['invoices:read'], 'project:7': ['documents:read'] });
    expect(decide({ ...question, context: { held: apart } })).toEqual(NOT_HELD);
  });

  test('an object may lie in scopes of several kinds: one of them is enough', () => {
    const rule = any({ project: 'project', team: 'owner' });
    const team = holding({ 'team:red': ['documents:read'] });
    expect(of({ owner: 'red', project: null }, rule, { context: { held: team } }).granted).toBe(true);
    expect(of({ owner: 'blue', project: 'red' }, rule, { context: { held: team } })).toEqual(NOT_HELD);
  });

  test('somewhere is enough for what is narrowed afterwards, and nowhere is not', () => {
    const ask = (permission: Permission): Decision =>
      decide({ principal, permission, within: 'somewhere', context: { held } });
    expect(ask('documents:read')).toEqual(yes('documents:read'));
    expect(ask('documents:share')).toEqual(NOT_HELD);
  });

  test('somewhere does not reach an object that lies elsewhere', () => {
    expect(of({ owner: 'x', project: '8' }, inProject, { within: 'somewhere' })).toEqual(NOT_HELD);
  });

  test('RBAC-21 the permission is asked for in the scopes of the object alone, and in none where there are none', () => {
    const asked: (readonly string[])[] = [];
    const asking: Held = {
      holds: (_permission, scopes) => asked.push(scopes) > 0,
      holdsSomewhere: () => true,
    };
    const context = { held: asking, tenant: 'acme' };
    expect(of({ owner: 'x', project: '7' }, inProject, { context }).granted).toBe(true);
    expect(of({ owner: 'x', project: null }, inProject, { context }).granted).toBe(true);
    expect(of({ owner: 'x', project: '7' }, any(undefined), { context }).granted).toBe(true);
    expect(decide({ principal, permission: 'documents:read', context }).granted).toBe(true);
    expect(asked).toEqual([['project:7'], [], [], []]);
    // A grant may name a scope as what is not there would be written.
    const called = holding({ 'project:null': ['documents:read'], 'project:undefined': ['documents:read'] });
    expect(of({ owner: 'x', project: null }, inProject, { context: { held: called } })).toEqual(NOT_HELD);
  });

  test('the permission comes before existence: only who holds it somewhere learns that there is none', () => {
    for (const object of [null, undefined]) {
      expect(of(object)).toEqual(no('there is no such object'));
      expect(of(object, inProject, { context: { held: NOBODY_HOLDS } })).toEqual(NOT_HELD);
    }
  });
});

test('what an error says of a refused object tells nobody whether it is there', () => {
  expect(OBJECT_REFUSED).toBe('the object is refused, or not there');
});

test('a scope in which nothing is held that anybody declared is none, and no tenant to be of', () => {
  const held = holding({
    'tenant:acme': ['documents:read'],
    'tenant:beta': ['ghosts:summon'],
    'project:7': [],
  });
  expect(held.tenants()).toEqual(['acme']);
  expect(held.scopesOf('documents:read')).toEqual(['tenant:acme']);
});

describe('within the tenant', () => {
  const held = holding({ 'tenant:acme': ['documents:read'] });
  const ask = (tenant: string | undefined, more: Partial<AccessQuestion<Note>> = {}): Decision =>
    decide<Note>({
      principal,
      permission: 'documents:read',
      within: 'tenant',
      context: { held, tenant },
      ...more,
    });

  test('a grant there is enough, and one elsewhere or none is not', () => {
    expect(ask('acme')).toEqual(yes('documents:read'));
    expect(ask('beta')).toEqual(NOT_HELD);
    expect(ask('acme', { permission: 'documents:write' })).toEqual(NOT_HELD);
    expect(ask('acme', { context: { held: NOBODY_HOLDS, tenant: 'acme' } })).toEqual(NOT_HELD);
  });

  test('without a tenant everybody is refused, also who holds it everywhere', () => {
    expect(ask(undefined)).toEqual(no('the request has no tenant'));
    expect(ask(undefined, { context: { held: everywhere('documents:read') } })).toEqual(
      no('the request has no tenant'),
    );
  });

  test('without the demand a grant in the tenant of the request is none', () => {
    expect(ask('acme', { within: undefined })).toEqual(NOT_HELD);
  });

  test('V8.4.1 a grant in the tenant reaches no object whose rule does not say that it is of the tenant', () => {
    expect(ask('acme', { resource: { rule: any(undefined), object: mine } })).toEqual(NOT_HELD);
    const rule = any({ tenant: 'tenant' });
    expect(ask('acme', { resource: { rule, object: { owner: 'x', tenant: 'acme' } } }).granted).toBe(true);
    expect(ask('acme', { resource: { rule, object: { owner: 'x', tenant: 'beta' } } })).toEqual(NOT_HELD);
  });

  test('V8.4.1 an object of another tenant is refused to everybody, whatever they hold', () => {
    const rule = objectRule<Note>({
      type: 'note',
      name: 'any',
      holds: () => true,
      scopes: { tenant: 'tenant' },
      overriddenBy: 'documents:read-any',
    });
    const all = everywhere('documents:read', 'documents:read-any');
    const of = (object: Note, tenant: string | undefined, held: HeldTable = all): Decision =>
      decide({
        principal,
        permission: 'documents:read',
        resource: { rule, object },
        context: { held, tenant },
      });
    const foreign = no('the object belongs to another tenant');
    expect(of({ owner: 'x', tenant: 'beta' }, 'acme')).toEqual(foreign);
    expect(of({ owner: 'x', tenant: 'beta' }, undefined)).toEqual(foreign);
    expect(of({ owner: 'x', tenant: null }, 'acme')).toEqual(foreign);
    expect(of({ owner: 'x', tenant: null }, undefined)).toEqual(foreign);
    // Both tenants are the caller's own: the request is of one of them all the same.
    const both = holding({ 'tenant:acme': ['documents:read'], 'tenant:beta': ['documents:read'] });
    expect(of({ owner: 'x', tenant: 'beta' }, 'acme', both)).toEqual(foreign);
    expect(of({ owner: 'x', tenant: 'beta' }, 'beta', both)).toEqual(yes('documents:read', 'note: any'));
    expect(of({ owner: 'x' }, 'acme')).toEqual(no('the decision failed'));
  });
});

describe('assurance', () => {
  const held = everywhere('documents:read');
  const weak = no('the authentication is too weak or too old');
  const NOW = 1_000_000;
  const ask = (who: Partial<Principal>, assurance: object, nowSeconds?: number): Decision =>
    decide({
      principal: { ...principal, ...who },
      permission: 'documents:read',
      assurance: assurance as never,
      context: { held, ...(nowSeconds !== undefined && { nowSeconds }) },
    });

  test('V8.4.2 the level must be reached', () => {
    expect(ask({ acr: 'aal2' }, { acr: 'aal2' }, NOW)).toEqual(yes('documents:read'));
    expect(ask({ acr: 'aal3' }, { acr: 'aal2' }, NOW).granted).toBe(true);
    expect(ask({ acr: 'aal1' }, { acr: 'aal2' }, NOW)).toEqual(weak);
    expect(ask({}, { acr: 'aal1' }, NOW)).toEqual(weak);
    expect(ask({ acr: 'aal4' }, { acr: 'aal1' }, NOW)).toEqual(weak);
    expect(ask({ acr: 'aal3' }, {}, NOW)).toEqual(weak);
  });

  test.each([
    [0, true],
    [300, true],
    [301, false],
    [-60, true],
    [-61, false],
  ])('V8.4.2 authenticated %d seconds ago, with at most 300 demanded: %s', (age, granted) => {
    const assurance = { acr: 'aal2', maxAgeSeconds: 300 };
    expect(ask({ acr: 'aal2', authTime: NOW - age }, assurance, NOW)).toEqual(
      granted ? yes('documents:read') : weak,
    );
  });

  test('an age that cannot be known is too old', () => {
    const assurance = { acr: 'aal2', maxAgeSeconds: 300 };
    expect(ask({ acr: 'aal2' }, assurance, NOW)).toEqual(weak);
    expect(ask({ acr: 'aal2', authTime: Number.NaN }, assurance, NOW)).toEqual(weak);
    expect(ask({ acr: 'aal2', authTime: NOW }, assurance)).toEqual(weak);
    expect(ask({ acr: 'aal2', authTime: NOW }, { acr: 'aal2', maxAgeSeconds: Number.NaN }, NOW)).toEqual(
      weak,
    );
  });

  test('a demand that is no demand is refused, not skipped', () => {
    expect(ask({ acr: 'aal3', authTime: NOW }, null as never, NOW)).toEqual(no('the decision failed'));
    expect(ask({ acr: 'aal3', authTime: NOW }, 'aal1' as never, NOW)).toEqual(weak);
  });
});

describe('objects', () => {
  const held = everywhere('documents:read', 'documents:write');
  const of = (object: Note | null | undefined, more: Partial<AccessQuestion<Note>> = {}): Decision =>
    decide<Note>({
      principal,
      permission: 'documents:read',
      resource: { rule: own, object },
      context: { held },
      ...more,
    });

  test('a grant says by what', () => {
    expect(of(mine)).toEqual(yes('documents:read', 'note: owned'));
  });

  test('an object of somebody else is refused, and so is one that is not there', () => {
    expect(of(theirs)).toEqual(no('the object rule does not hold'));
    expect(of(null)).toEqual(no('there is no such object'));
    expect(of(undefined)).toEqual(no('there is no such object'));
    expect(of(undefined, { resource: null as never })).toEqual(no('there is no such object'));
  });

  test.each([[0], [''], [false]])('an object that is %j is one, and its rule is asked', (object) => {
    const rule: ObjectRule<unknown> = { type: 'thing', name: 'any', holds: () => true };
    const question = { principal, permission: 'documents:read' as Permission, context: { held } };
    expect(decide({ ...question, resource: { rule, object } }).granted).toBe(true);
    expect(decide({ ...question, resource: { rule: { ...rule, holds: () => false }, object } })).toEqual(
      no('the object rule does not hold'),
    );
  });

  test('a rule narrows and never widens: without the permission its object is refused', () => {
    expect(of(mine, { context: { held: everywhere('documents:read-any') } })).toEqual(NOT_HELD);
  });

  test('the overriding permission reaches every object, beside the demanded one', () => {
    const both = everywhere('documents:read', 'documents:read-any');
    expect(of(theirs, { context: { held: both } })).toEqual(yes('documents:read', 'documents:read-any'));
    expect(of(null, { context: { held: both } })).toEqual(no('there is no such object'));
  });

  test('held in a scope it overrides the rule for the objects that lie there alone', () => {
    const rule = objectRule<Note>({
      type: 'note',
      name: 'owned',
      holds: (note, { subject }) => note.owner === subject,
      overriddenBy: 'documents:read-any',
      scopes: { project: 'project' },
    });
    const lead = holding({ '': ['documents:read'], 'project:7': ['documents:read-any'] });
    const ask = (object: Note): Decision =>
      of(object, { resource: { rule, object }, context: { held: lead } });
    expect(ask({ owner: 'bob', project: '7' })).toEqual(yes('documents:read', 'documents:read-any'));
    expect(ask({ owner: 'bob', project: '8' })).toEqual(no('the object rule does not hold'));
    expect(ask({ owner: 'alice', project: '8' })).toEqual(yes('documents:read', 'note: owned'));
  });

  test('nothing overrides a rule that names nothing, not even who holds everything', () => {
    const rule: ObjectRule<Note> = { type: 'note', name: 'none', holds: () => false };
    const everything: Held = { holds: () => true, holdsSomewhere: () => true };
    expect(of(mine, { resource: { rule, object: mine }, context: { held: everything } })).toEqual(
      no('the object rule does not hold'),
    );
  });

  test('every demanded permission is put to the rule, with the object and the principal', () => {
    const asked: unknown[] = [];
    const rule: ObjectRule<Note> = {
      type: 'note',
      name: 'frozen',
      holds: (...question) => {
        asked.push(question);
        return question[2] === 'documents:read';
      },
    };
    const resource = { rule, object: mine };
    expect(of(mine, { resource }).granted).toBe(true);
    expect(of(mine, { resource, permission: ['documents:read', 'documents:write'] })).toEqual(
      no('the object rule does not hold'),
    );
    expect(asked).toEqual([
      [mine, principal, 'documents:read'],
      [mine, principal, 'documents:read'],
      [mine, principal, 'documents:write'],
    ]);
  });
});

test('RBAC-28 what is wrong is said in one order: permission, assurance, existence, tenant, rule', () => {
  const rule = objectRule<Note>({
    type: 'note',
    name: 'never',
    holds: () => false,
    scopes: { tenant: 'tenant' },
  });
  const nothingRight = {
    principal: undefined,
    permission: [],
    within: 'tenant',
    assurance: { acr: 'aal2' },
    resource: { rule, object: null },
    context: { held: NOBODY_HOLDS },
  } as const;
  // Each step mends one thing, and the next one is said.
  const steps: Partial<AccessQuestion<Note>>[] = [
    {},
    { permission: ['documents:read'] },
    { principal },
    { context: { held: NOBODY_HOLDS, tenant: 'acme' } },
    { context: { held: everywhere('documents:read'), tenant: 'acme' } },
    { principal: { ...principal, acr: 'aal2' } },
    { resource: { rule, object: { owner: 'x', tenant: 'beta' } } },
    { resource: { rule, object: { owner: 'x', tenant: 'acme' } } },
    { resource: { rule: { ...rule, holds: () => true }, object: { owner: 'x', tenant: 'acme' } } },
  ];
  let question: AccessQuestion<Note> = nothingRight;
  const said = steps.map((step) => {
    question = { ...question, ...step };
    const decision = decide(question);
    return decision.granted ? 'granted' : decision.reason;
  });
  expect(said).toEqual([
    'nothing was demanded',
    'nobody is authenticated',
    'the request has no tenant',
    'a demanded permission is not held',
    'the authentication is too weak or too old',
    'there is no such object',
    'the object belongs to another tenant',
    'the object rule does not hold',
    'granted',
  ]);
});

describe('two-valued and total', () => {
  const thrower = (): never => {
    throw new Error('no');
  };
  const failed = no('the decision failed');
  const base = { principal, permission: 'documents:read' as Permission };
  const held = everywhere('documents:read', 'documents:read-any');

  test('RBAC-27 whatever throws is refused', () => {
    const broken: Held = { holds: thrower, holdsSomewhere: thrower };
    expect(decide({ ...base, context: { held: broken } })).toEqual(failed);
    expect(decide({ ...base, within: 'somewhere', context: { held: broken } })).toEqual(failed);
    const rule: ObjectRule<Note> = { type: 'note', name: 'broken', holds: thrower };
    expect(decide({ ...base, resource: { rule, object: mine }, context: { held } })).toEqual(failed);
    const hostile = new Proxy(mine, { get: thrower });
    const scoped = any({ project: 'project' });
    expect(decide({ ...base, resource: { rule: scoped, object: hostile }, context: { held } })).toEqual(
      failed,
    );
    for (const rule of [undefined, null, {}, { holds: 'yes' }]) {
      expect(decide({ ...base, resource: { rule: rule as never, object: mine }, context: { held } })).toEqual(
        failed,
      );
    }
  });

  test.each([
    [undefined],
    [null],
    [{}],
    [{ ...base }],
    [{ ...base, context: {} }],
    [{ ...base, context: { held: null } }],
    [{ ...base, permission: null, context: { held } }],
    [{ ...base, permission: undefined, context: { held } }],
    [{ ...base, permission: 7, context: { held } }],
    [{ ...base, permission: {}, context: { held } }],
  ])('the question %o, which is none, is refused', (question) => {
    expect(decide(question as never)).toEqual(failed);
  });

  test.each([[Promise.resolve(true)], ['yes'], [1], [{}], [undefined], [null]])(
    'a rule, or who says what is held, that answers %o instead of true refuses',
    (answer) => {
      const vague = (): boolean => answer as unknown as boolean;
      const rule: ObjectRule<Note> = { type: 'note', name: 'vague', holds: vague };
      expect(decide({ ...base, resource: { rule, object: mine }, context: { held } })).toEqual(
        no('the object rule does not hold'),
      );
      const context = { held: { holds: vague, holdsSomewhere: vague }, tenant: 'acme' };
      expect(decide({ ...base, context })).toEqual(NOT_HELD);
      expect(decide({ ...base, within: 'somewhere', context })).toEqual(NOT_HELD);
      expect(decide({ ...base, within: 'tenant', context })).toEqual(NOT_HELD);
      const overriding: Held = {
        holds: (name) => (name === 'documents:read' ? true : vague()),
        holdsSomewhere: vague,
      };
      expect(
        decide({ ...base, resource: { rule: own, object: theirs }, context: { held: overriding } }),
      ).toEqual(no('the object rule does not hold'));
    },
  );

  test('an unknown place asks for everywhere, which is the strict choice', () => {
    const scoped = holding({ 'tenant:acme': ['documents:read'] });
    for (const within of ['Tenant', 'anywhere', '', true]) {
      const question = { ...base, within: within as never, context: { held: scoped, tenant: 'acme' } };
      expect(decide(question)).toEqual(NOT_HELD);
    }
  });
});

describe('objectRule()', () => {
  test.each([
    [{}],
    [{ type: 'note' }],
    [{ type: '', name: 'x', holds: (): boolean => true }],
    [{ type: 'note', name: '', holds: (): boolean => true }],
    [{ type: 'note', name: 'x' }],
    [{ type: 'note', name: 'x', holds: true }],
    [{ type: 'note', name: 'x', holds: (): boolean => true, when: { kind: 'any', of: [] } }],
  ])('refuses the incomplete or contradicting rule %o', (rule) => {
    expect(() => objectRule(rule as never)).toThrow(/objectRule\(\) needs a type, a name, and either/);
  });

  test.each([['Tenant'], ['a:b'], ['__proto__x'], ['']])('refuses the kind of scope %j', (kind) => {
    expect(() =>
      objectRule<Note>({ type: 'note', name: 'x', holds: () => true, scopes: { [kind]: 'owner' } }),
    ).toThrow(/is no kind of scope/);
  });

  test('nobody changes a rule once it is declared', () => {
    const scopes: Record<string, 'project'> = { project: 'project' };
    const rule = any(scopes);
    delete scopes['project'];
    expect(rule.scopes).toEqual({ project: 'project' });
    expect(Object.isFrozen(rule) && Object.isFrozen(rule.scopes)).toBe(true);
  });
});
