import { describe, expect, test } from 'vitest';
import type { Principal } from '../../src/core/principal.js';
import { frozen, PrincipalNote, RememberedPrincipal } from '../../src/core/principal-note.js';

const somebody: Principal = { kind: 'account', subject: 'a', sessionId: 's', amr: ['pwd'] };

describe('a principal that is remembered', () => {
  test('says what it was made of, and nothing else, and nobody can change it', () => {
    const principal = new RememberedPrincipal(somebody);
    const owner = new PrincipalNote<string>();
    owner.keep(principal, 'a secret of its owner');
    expect(Object.fromEntries(Object.entries(principal))).toEqual(somebody);
    expect(JSON.parse(JSON.stringify(principal))).toEqual(somebody);
    expect(Reflect.ownKeys(principal)).toEqual(Object.keys(somebody));
    expect(Object.isFrozen(principal)).toBe(true);
    expect(() => Object.assign(principal, { subject: 'b' })).toThrow(TypeError);
  });

  test('keeps one thing for each of two owners, and each principal its own; for a third it has no room', () => {
    const [first, second] = [new RememberedPrincipal(somebody), new RememberedPrincipal(somebody)];
    const owners = Array.from({ length: 3 }, () => new PrincipalNote<number>());
    for (const [at, owner] of owners.entries()) {
      expect(owner.of(first)).toBeUndefined();
      owner.keep(first, at);
    }
    expect(owners.map((owner) => owner.of(first))).toEqual([0, 1, undefined]);
    expect(owners.map((owner) => owner.of(second))).toEqual(owners.map(() => undefined));
    for (const owner of owners.toReversed()) owner.keep(first, 10);
    owners[2]?.keep(second, 20);
    expect(owners.map((owner) => owner.of(first))).toEqual([10, 10, undefined]);
    expect(owners.map((owner) => owner.of(second))).toEqual([undefined, undefined, 20]);
  });

  test('what was kept at another version of what its owner knows does not count', () => {
    const principal = new RememberedPrincipal(somebody);
    const [one, other] = [new PrincipalNote<string>(), new PrincipalNote<string>()];
    one.keep(principal, 'one', 1);
    other.keep(principal, 'other', 2);
    expect([one.of(principal, 1), one.of(principal, 2), one.of(principal)]).toEqual([
      'one',
      undefined,
      undefined,
    ]);
    expect([other.of(principal, 1), other.of(principal, 2)]).toEqual([undefined, 'other']);
    one.keep(principal, 'newer', 2);
    expect([one.of(principal, 1), one.of(principal, 2), other.of(principal, 2)]).toEqual([
      undefined,
      'newer',
      'other',
    ]);
  });

  test('a principal of another authenticator keeps nothing, nor does a copy or one that says it is', () => {
    const owner = new PrincipalNote<string>();
    const remembered = new RememberedPrincipal(somebody);
    owner.keep(remembered, 'kept');
    const inherits = Object.create(remembered) as Principal;
    for (const other of [somebody, Object.assign({}, remembered), inherits]) {
      expect(owner.of(other)).toBeUndefined();
      owner.keep(other, 'lost');
      expect(owner.of(other)).toBeUndefined();
    }
    expect(owner.of(remembered)).toBe('kept');
  });

  test('stays what it is where a request takes it over; what can be changed is copied', () => {
    const remembered = new RememberedPrincipal(somebody);
    const unchangeable = Object.freeze({ ...somebody });
    expect(frozen(remembered)).toBe(remembered);
    expect(frozen(unchangeable)).toBe(unchangeable);
    const copy = frozen(somebody);
    expect(copy).not.toBe(somebody);
    expect(copy).toEqual(somebody);
    expect(Object.isFrozen(copy)).toBe(true);
  });
});
