import { describe, expect, test } from 'vitest';
import type { AssuranceDemand } from '../../src/core/assurance.js';
import type { Permission } from '../../src/core/permission.js';
import {
  Authenticated,
  policyOf,
  Public,
  RequireAssurance,
  RequirePermission,
  type RoutePolicy,
} from '../../src/core/route-policy.js';

/** A handler that bears these marks, the last one first: as decorators are written. */
function marked(...marks: ReturnType<typeof Public>[]): () => void {
  const handler = (): void => undefined;
  for (const mark of marks.toReversed()) mark({}, 'handler', { value: handler });
  return handler;
}

const faultIn = (policy: RoutePolicy): string =>
  policy.kind === 'undeclared' ? policy.fault : expect.fail(`it is ${policy.kind}`);
const MEND = 'write @RequirePermission(…), @Authenticated() or @Public() on the method';

describe('the policy of a handler', () => {
  test('is what its one mark says, and no more', () => {
    expect(policyOf(marked(Public()))).toEqual({ kind: 'public' });
    expect(policyOf(marked(Authenticated()))).toEqual({ kind: 'authenticated' });
    expect(policyOf(marked(RequirePermission('roles:read', 'roles:write')))).toEqual({
      kind: 'permission',
      permissions: ['roles:read', 'roles:write'],
    });
  });

  test('says how sure one must be, in whatever order the two are written', () => {
    const assurance: AssuranceDemand = { acr: 'aal2', maxAgeSeconds: 1 };
    for (const marks of [
      [RequireAssurance(assurance), RequirePermission('roles:read')],
      [RequirePermission('roles:read'), RequireAssurance(assurance)],
    ]) {
      expect(policyOf(marked(...marks))).toEqual({
        kind: 'permission',
        permissions: ['roles:read'],
        assurance,
      });
    }
    expect(policyOf(marked(Authenticated(), RequireAssurance({ acr: 'aal3' })))).toEqual({
      kind: 'authenticated',
      assurance: { acr: 'aal3' },
    });
  });

  test('does not change with the object from which its demand was made', () => {
    const demand = { acr: 'aal2' as 'aal1' | 'aal2', maxAgeSeconds: 300 };
    const policy = policyOf(marked(Authenticated(), RequireAssurance(demand)));
    Object.assign(demand, { acr: 'aal1', maxAgeSeconds: 9e9 });
    expect(policy).toMatchObject({ assurance: { acr: 'aal2', maxAgeSeconds: 300 } });
    expect(Object.isFrozen((policy as { assurance: object }).assurance)).toBe(true);
  });

  test('is read once', () => {
    const handler = marked(Authenticated(), RequireAssurance({ acr: 'aal2' }));
    expect(policyOf(handler)).toBe(policyOf(handler));
  });
});

describe('a handler is refused for everybody', () => {
  test('without a mark', () => {
    expect(faultIn(policyOf(marked()))).toBe(`has no policy: ${MEND}`);
  });

  test('with two policies, also with the same one twice', () => {
    expect(faultIn(policyOf(marked(Public(), Authenticated())))).toBe(
      'has 2 policies (authenticated, public): keep exactly one',
    );
    expect(faultIn(policyOf(marked(Public(), Public())))).toBe(
      'has 2 policies (public, public): keep exactly one',
    );
  });

  test('that demands assurance alone, twice, or of strangers', () => {
    const sure = RequireAssurance({ acr: 'aal2' });
    expect(faultIn(policyOf(marked(sure)))).toBe(`has no policy: ${MEND}`);
    expect(faultIn(policyOf(marked(sure, sure, Authenticated())))).toBe('demands assurance twice: keep one');
    expect(faultIn(policyOf(marked(sure, Public())))).toBe(
      'demands assurance of callers that nobody authenticates: take @Public() away',
    );
  });

  test('whose mark somebody has written over', () => {
    const overwritten = (value: unknown, ...more: ReturnType<typeof Public>[]): RoutePolicy => {
      const handler = marked(...more, Public());
      const [key] = Reflect.getOwnMetadataKeys(handler) as symbol[];
      Reflect.defineMetadata(key, value, handler);
      return policyOf(handler);
    };
    for (const value of [undefined, null, {}, [], 'public', { kind: 'public' }]) {
      expect(faultIn(overwritten(value))).toBe(`has no policy: ${MEND}`);
    }
    expect(faultIn(overwritten([{ kind: 'permission', permissions: [] }]))).toBe(
      `demands no permission: ${MEND}`,
    );
    const closed: RoutePolicy = { kind: 'undeclared', fault: 'closed by hand' };
    expect(overwritten([closed])).toEqual(closed);
    expect(overwritten([closed], RequireAssurance({ acr: 'aal2' }))).toEqual(closed);
  });
});

describe('a mark in the wrong place, or with nothing to demand, is a mistake of the application', () => {
  test.each([
    ['@Public()', Public()],
    ['@Authenticated()', Authenticated()],
    ['@RequirePermission()', RequirePermission('roles:read')],
    ['@RequireAssurance()', RequireAssurance({ acr: 'aal1' })],
  ])('%s belongs on a method', (name, mark) => {
    const text = `${name} belongs on a method, not on a class or property`;
    const onClass = mark as unknown as (target: object) => void;
    expect(() => {
      onClass(class {});
    }).toThrow(text);
    for (const descriptor of [{ value: 1 }, { value: undefined }, { get: () => 1 }]) {
      expect(() => {
        mark({}, 'property', descriptor as TypedPropertyDescriptor<unknown>);
      }).toThrow(`${text} (property).`);
    }
  });

  test.each([[[]], [['']], [[' ']], [['roles:read', '']], [['', 'roles:read']], [[1]], [[undefined]]])(
    '@RequirePermission(%j)',
    (names) => {
      expect(() => RequirePermission(...(names as unknown as [Permission]))).toThrow(
        '@RequirePermission() needs at least one permission, e.g. @RequirePermission("documents:read").',
      );
    },
  );

  test('@RequireAssurance: one second is the least age, and a whole one', () => {
    expect(policyOf(marked(Authenticated(), RequireAssurance({ acr: 'aal1', maxAgeSeconds: 1 })))).toEqual({
      kind: 'authenticated',
      assurance: { acr: 'aal1', maxAgeSeconds: 1 },
    });
    for (const maxAgeSeconds of [0, -1, 0.5, 1.5, Number.NaN, Infinity, '300', null]) {
      expect(() => RequireAssurance({ acr: 'aal1', maxAgeSeconds } as AssuranceDemand)).toThrow(
        '@RequireAssurance(): maxAgeSeconds is a whole number of seconds, 1 or more.',
      );
    }
    for (const acr of ['aal0', 'AAL1', '', undefined, null, 1]) {
      expect(() => RequireAssurance({ acr } as unknown as AssuranceDemand)).toThrow(
        '@RequireAssurance() needs acr: "aal1", "aal2" or "aal3" (NIST SP 800-63B).',
      );
    }
  });
});
