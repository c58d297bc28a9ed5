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

  test('keeps one thing for each owner, and each principal its own', () => {
    const [first, second] = [new RememberedPrincipal(somebody), new RememberedPrincipal(somebody)];
    const owners = Array.from({ length: 5 }, () => new PrincipalNote<number>());
    for (const [at, owner] of owners.entries()) {
      expect(owner.of(first)).toBeUndefined();
      owner.keep(first, at);
    }
    expect(owners.map((owner) => owner.of(first))).toEqual([0, 1, 2, 3, 4]);
    expect(owners.map((owner) => owner.of(second))).toEqual(owners.map(() => undefined));
    owners[1]?.keep(first, 10);
    expect(owners.map((owner) => owner.of(first))).toEqual([0, 10, 2, 3, 4]);
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
