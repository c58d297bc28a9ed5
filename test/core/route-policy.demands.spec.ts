import { describe, expect, test } from 'vitest';
import { policyOf, RequirePermission, type PermissionDemand } from '../../src/core/route-policy.js';

abstract class DocumentResource {
  abstract load(id: string): unknown;
}
const OWN = { type: 'document', name: 'own' };

const write =
  (...demands: unknown[]): (() => unknown) =>
  () => {
    const handler = (): void => undefined;
    const mark = RequirePermission(...(demands as ['documents:read', PermissionDemand]));
    mark({}, 'handler', { value: handler });
    return policyOf(handler);
  };

describe('what a permission is asked about', () => {
  test.each<[string, object]>([
    ['an object', { resource: DocumentResource }],
    ['a list', { list: OWN }],
    ['the tenant', { within: 'tenant' }],
    ['an object, in the tenant', { resource: DocumentResource, within: 'tenant' }],
    ['a list, in the tenant', { list: OWN, within: 'tenant' }],
    ['nothing more', {}],
  ])('RBAC-06 stands in the policy: %s', (_name, demand) => {
    expect(write('documents:read', 'documents:write', demand)()).toEqual({
      kind: 'permission',
      permissions: ['documents:read', 'documents:write'],
      ...demand,
    });
  });

  test.each<[string, unknown[], string]>([
    ['nothing at all', [null], '"null" is no demand; use resource, list or within.'],
    [
      'an object whose file is not there yet',
      [{ resource: undefined }],
      '"resource" is undefined: is its file in a circle of imports?',
    ],
    [
      'a list whose file is not there yet',
      [{ list: undefined }],
      '"list" is undefined: is its file in a circle of imports?',
    ],
    ['a tenant of undefined', [{ within: undefined }], '"within" is undefined'],
    [
      'a demand that is none',
      [{ resourse: DocumentResource }],
      '"resourse" is no demand; use resource, list or within.',
    ],
    ['a list of permissions', [['documents:write']], '"0" is no demand; use resource, list or within.'],
    ['an object that is no class', [{ resource: OWN }], 'resource is a class that extends ResourceResolver.'],
    ['an object that is null', [{ resource: null }], 'resource is a class that extends ResourceResolver.'],
    ['a list that is a class', [{ list: DocumentResource }], 'list is a rule that objectRule() made.'],
    ['a list that is null', [{ list: null }], 'list is a rule that objectRule() made.'],
    ['another place than the tenant', [{ within: 'project' }], 'within is "tenant" or left out.'],
    [
      'an object and a list',
      [{ resource: DocumentResource, list: OWN }],
      'a handler answers one object or a list: keep one.',
    ],
  ])('RBAC-06 is a mistake of the application, and never ignored: %s', (_name, demands, fault) => {
    expect(write('documents:read', ...demands)).toThrow(TypeError);
    expect(write('documents:read', ...demands)).toThrow(`@RequirePermission(): ${fault}`);
  });

  test.each<[string, unknown[]]>([
    ['alone', [{ resource: DocumentResource }]],
    ['before the permission', [{ resource: DocumentResource }, 'documents:read']],
    ['twice', ['documents:read', { within: 'tenant' }, { resource: DocumentResource }]],
  ])('RBAC-06 is said once, and last: %s it is a mistake', (_name, demands) => {
    expect(write(...demands)).toThrow('@RequirePermission() needs at least one permission');
  });
});
