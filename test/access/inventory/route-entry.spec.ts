import { describe, expect, test } from 'vitest';
import { metadataOf, policyOfMethod, type HandlerHost } from '../../../src/access/inventory/route-entry.js';
import { Authenticated, Public, RequirePermission } from '../../../src/core/route-policy.js';

class CatsController {
  @RequirePermission('documents:read')
  read(): string {
    return 'a cat';
  }
}
class OtherController {
  @RequirePermission('documents:read')
  sameDemand(): string {
    return 'traced';
  }
  @Public()
  open(): string {
    return 'open';
  }
  bare(): string {
    return 'bare';
  }
}
const { sameDemand, open, bare } = OtherController.prototype;

const hostOf = (instance?: object, type: new () => object = CatsController): HandlerHost => ({
  name: type.name,
  type,
  prototype: type.prototype as Readonly<Record<string, unknown>>,
  instance: instance as HandlerHost['instance'],
});
const READ = { kind: 'permission', permissions: ['documents:read'] };

describe('the policy of a method', () => {
  test('is what its class says, with an instance and without one', () => {
    expect(policyOfMethod(hostOf(), 'read')).toEqual(READ);
    expect(policyOfMethod(hostOf(new CatsController()), 'read')).toEqual(READ);
  });

  test('is that of the class where the instance has no method of this name, or something that is none', () => {
    for (const instance of [{}, { read: undefined }, { read: 'text' }]) {
      expect(policyOfMethod(hostOf(instance), 'read')).toEqual(READ);
    }
  });

  test('stays where the instance has another function that demands the same', () => {
    expect(policyOfMethod(hostOf({ read: sameDemand }), 'read')).toEqual(READ);
  });

  test.each([
    ['opens it', open],
    ['says nothing', bare],
  ])('RBAC-05 is a fault where the instance has another function that %s', (_name, read) => {
    expect(policyOfMethod(hostOf({ read }), 'read')).toEqual({
      kind: 'undeclared',
      fault:
        'is replaced on its instance by a function with another policy: wrap the method of the class instead',
    });
  });

  test('RBAC-05 is a fault where it demands less than the method that it overrides, whatever the instance says', () => {
    class LooseController extends CatsController {
      @Authenticated()
      override read(): string {
        return '';
      }
    }
    for (const instance of [undefined, new LooseController()]) {
      expect(policyOfMethod(hostOf(instance, LooseController), 'read')).toEqual({
        kind: 'undeclared',
        fault: expect.stringContaining(
          'overrides CatsController.read, which demands documents:read',
        ) as string,
      });
    }
  });
});

describe('metadata', () => {
  test('is read of functions alone: of anything else there is none, and no error', () => {
    Reflect.defineMetadata('colour', 'black', CatsController);
    expect(metadataOf('colour', CatsController)).toBe('black');
    expect(metadataOf('size', CatsController)).toBeUndefined();
    const marked = {};
    Reflect.defineMetadata('colour', 'black', marked);
    for (const target of [marked, undefined, null, 'text', 1]) {
      expect(metadataOf('colour', target)).toBeUndefined();
    }
  });
});
