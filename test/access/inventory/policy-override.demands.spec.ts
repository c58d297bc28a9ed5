import { describe, expect, test } from 'vitest';
import { isAsStrictAs, weakenedOverride } from '../../../src/access/inventory/policy-override.js';
import {
  Authenticated,
  Public,
  RequireAssurance,
  RequirePermission,
  type RoutePolicy,
} from '../../../src/core/route-policy.js';

const MEND = 'demand at least as much, or give the handler another name';
abstract class DocumentResource {
  abstract load(id: string): unknown;
}
abstract class OtherResource {
  abstract load(id: string): unknown;
}
const OWN = { type: 'document', name: 'own' };
const SAME_NAME = { type: 'document', name: 'own' };

const OPEN: RoutePolicy = { kind: 'public' };
const NOTHING: RoutePolicy = { kind: 'undeclared', fault: 'has no policy' };
const ANYBODY: RoutePolicy = { kind: 'authenticated' };
const sure = (acr: 'aal1' | 'aal2' | 'aal3', maxAgeSeconds?: number): RoutePolicy => ({
  kind: 'authenticated',
  assurance: { acr, ...(maxAgeSeconds !== undefined && { maxAgeSeconds }) },
});
const READ: RoutePolicy = { kind: 'permission', permissions: ['documents:read'] };
const BOTH: RoutePolicy = { kind: 'permission', permissions: ['documents:read', 'documents:write'] };
const read = (demand: object): RoutePolicy => ({ ...READ, ...demand });

describe('a policy is as strict as another', () => {
  test.each<[string, RoutePolicy, RoutePolicy]>([
    ['one that refuses everybody, as any', NOTHING, read({ assurance: { acr: 'aal3' } })],
    ['an open one, as one that nobody declared', OPEN, NOTHING],
    ['an open one, as an open one', OPEN, OPEN],
    ['any, as an open one', ANYBODY, OPEN],
    ['one for everybody who is authenticated, as the same', ANYBODY, ANYBODY],
    ['one with a permission, as one for everybody who is authenticated', READ, ANYBODY],
    ['one with a permission, as the same', READ, READ],
    ['one with two permissions, as one with one of them', BOTH, READ],
    ['one that demands assurance, as one that does not', sure('aal1'), ANYBODY],
    ['one that demands the same assurance', sure('aal2', 300), sure('aal2', 300)],
    ['one that demands more assurance', sure('aal3', 299), sure('aal2', 300)],
    ['one that adds an age', sure('aal2', 300), sure('aal2')],
    [
      'one that asks about the same object',
      read({ resource: DocumentResource }),
      read({ resource: DocumentResource }),
    ],
    ['one that lists by the same rule', read({ list: OWN }), read({ list: OWN })],
    ['one in the same tenant', read({ within: 'tenant' }), read({ within: 'tenant' })],
  ])('RBAC-05 %s', (_name, policy, base) => {
    expect(isAsStrictAs(policy, base)).toBe(true);
  });

  test.each<[string, RoutePolicy, RoutePolicy]>([
    ['an open one, as one for everybody who is authenticated', OPEN, ANYBODY],
    ['an open one, as one with a permission', OPEN, READ],
    ['one for everybody who is authenticated, as one with a permission', ANYBODY, READ],
    ['one with one permission, as one with two', READ, BOTH],
    ['one with another permission', { kind: 'permission', permissions: ['documents:write'] }, READ],
    ['one without assurance, as one that demands it', ANYBODY, sure('aal1')],
    ['one with less assurance', sure('aal1', 300), sure('aal2', 300)],
    ['one with a greater age', sure('aal3', 301), sure('aal2', 300)],
    ['one without an age, as one with one', sure('aal3'), sure('aal2', 300)],
    ['one with a permission but less assurance', READ, read({ assurance: { acr: 'aal2' } })],
    ['one that asks about no object', READ, read({ resource: DocumentResource })],
    ['one that asks about an object where the other asks of all', read({ resource: DocumentResource }), READ],
    [
      'one that asks another resolver',
      read({ resource: OtherResource }),
      read({ resource: DocumentResource }),
    ],
    ['one that lists by another rule of the same name', read({ list: SAME_NAME }), read({ list: OWN })],
    ['one that asks in the tenant where the other asks of all', read({ within: 'tenant' }), READ],
    [
      'one that asks of a list, as one that asks of the tenant',
      read({ list: OWN }),
      read({ within: 'tenant' }),
    ],
    [
      'one that asks of more than the tenant',
      read({ within: 'tenant', list: OWN }),
      read({ within: 'tenant' }),
    ],
  ])('RBAC-05 but never %s', (_name, policy, base) => {
    expect(isAsStrictAs(policy, base)).toBe(false);
  });
});

describe('what is said of a handler that demands less than the one that it overrides', () => {
  test.each<[string, MethodDecorator[], MethodDecorator[], string, string]>([
    ['nothing and somebody', [Public()], [Authenticated()], 'nothing', 'any authenticated caller'],
    [
      'fewer permissions',
      [RequirePermission('documents:read')],
      [RequirePermission('documents:read', 'documents:write')],
      'documents:read',
      'documents:read documents:write',
    ],
    [
      'less assurance and more age',
      [Authenticated(), RequireAssurance({ acr: 'aal1', maxAgeSeconds: 60 })],
      [RequirePermission('documents:read'), RequireAssurance({ acr: 'aal2' })],
      'any authenticated caller aal1/60s',
      'documents:read aal2',
    ],
    [
      'another object',
      [RequirePermission('documents:read', { resource: OtherResource })],
      [RequirePermission('documents:read', { resource: DocumentResource })],
      'documents:read resource OtherResource',
      'documents:read resource DocumentResource',
    ],
    [
      'a list and a tenant',
      [RequirePermission('documents:read', { list: OWN })],
      [RequirePermission('documents:read', { within: 'tenant' })],
      'documents:read list own',
      'documents:read within tenant',
    ],
    [
      'what has no name',
      [RequirePermission('documents:read', { list: {} as typeof OWN })],
      [RequirePermission('documents:read', { list: Object.assign(Object.create(null) as typeof OWN, {}) })],
      'documents:read list ',
      'documents:read list ',
    ],
  ])('RBAC-05 names what each demands: %s', (_name, own, base, demanded, above) => {
    class Base {
      handle(): void {
        return;
      }
    }
    class Child extends Base {
      override handle(): void {
        return;
      }
    }
    const bear = (prototype: object, marks: readonly MethodDecorator[]): void => {
      const descriptor = Object.getOwnPropertyDescriptor(prototype, 'handle')!;
      for (const mark of marks) mark(prototype, 'handle', descriptor);
    };
    bear(Child.prototype, own);
    bear(Base.prototype, base);
    expect(weakenedOverride(Child.prototype, 'handle')).toBe(
      `demands ${demanded} and overrides Base.handle, which demands ${above}: ${MEND}`,
    );
  });

  test('RBAC-05 names the class that opens it, where another one inherits that, and one without a name', () => {
    class Nameless {
      @Authenticated()
      handle(): void {
        return;
      }
    }
    Object.defineProperty(Nameless, 'name', { value: '' });
    class Opened extends Nameless {
      @Public()
      override handle(): void {
        return;
      }
    }
    class Last extends Opened {}
    expect(weakenedOverride(Last.prototype, 'handle')).toBe(
      `demands nothing (in Opened) and overrides a class without a name.handle, which demands any authenticated caller: ${MEND}`,
    );
    expect(weakenedOverride(Opened.prototype, 'handle')).not.toContain('(in');
    expect(weakenedOverride(Nameless.prototype, 'handle')).toBeUndefined();
  });

  test('RBAC-05 nothing where no class has the method, and no getter is run to find out', () => {
    class Base {
      get handle(): unknown {
        return expect.fail('a getter was run');
      }
    }
    class Child extends Base {}
    expect(weakenedOverride(Child.prototype, 'handle')).toBeUndefined();
    expect(weakenedOverride(Child.prototype, 'missing')).toBeUndefined();
    // A text of this name is no method either: the one above it is not overridden, and not compared.
    class Guarded {
      @Authenticated()
      handle(): void {
        return;
      }
    }
    class WithText extends Guarded {}
    Object.defineProperty(WithText.prototype, 'handle', { value: 'text' });
    class Opening extends WithText {
      @Public()
      override handle(): void {
        return;
      }
    }
    expect(weakenedOverride(WithText.prototype, 'handle')).toBeUndefined();
    expect(weakenedOverride(Opening.prototype, 'handle')).toContain('overrides Guarded.handle');
  });
});
