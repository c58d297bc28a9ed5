import { describe, expect, test } from 'vitest';
import { policyKey } from '../../../src/access/inventory/policy-identity.js';
import type { RoutePolicy } from '../../../src/core/route-policy.js';

/** Two classes that bear one name, as two files may export them. */
const resolverClass = (): abstract new () => { load(id: string): unknown } => {
  abstract class DocumentResource {
    abstract load(id: string): unknown;
  }
  return DocumentResource;
};
const of = (demand: object): RoutePolicy => ({
  kind: 'permission',
  permissions: ['documents:read'],
  ...demand,
});

describe('the key of a policy', () => {
  test('is one for two that demand the same, whoever wrote them', () => {
    expect(policyKey({ kind: 'public' })).toBe(policyKey({ kind: 'public' }));
    expect(policyKey(of({ assurance: { acr: 'aal2', maxAgeSeconds: 300 } }))).toBe(
      policyKey(of({ assurance: { acr: 'aal2', maxAgeSeconds: 300 } })),
    );
    expect(policyKey({ kind: 'system', permissions: ['documents:read'] })).toBe(
      policyKey({ kind: 'system', permissions: ['documents:read'] }),
    );
  });

  test('is another for every other demand', () => {
    const resource = resolverClass();
    const rule = { type: 'document', name: 'own' };
    const policies: Parameters<typeof policyKey>[0][] = [
      { kind: 'public' },
      { kind: 'authenticated' },
      { kind: 'authenticated', assurance: { acr: 'aal2' } },
      { kind: 'authenticated', assurance: { acr: 'aal3' } },
      { kind: 'authenticated', assurance: { acr: 'aal3', maxAgeSeconds: 300 } },
      { kind: 'undeclared', fault: 'has no policy' },
      { kind: 'undeclared', fault: 'has another fault' },
      { kind: 'system', permissions: [] },
      { kind: 'system', permissions: ['documents:read'] },
      of({}),
      of({ permissions: ['documents:read', 'documents:write'] }),
      of({ within: 'tenant' }),
      of({ resource }),
      of({ list: rule }),
    ];
    expect(new Set(policies.map(policyKey)).size).toBe(policies.length);
  });

  test('RBAC-05 tells resolvers and rules apart by who they are, for many bear one name, and knows them again', () => {
    const resolvers = [resolverClass(), resolverClass(), resolverClass()];
    expect(new Set(resolvers.map(({ name }) => name)).size).toBe(1);
    const rules = [0, 1, 2].map(() => ({ type: 'document', name: 'own' }));
    const policies = [...resolvers.map((resource) => of({ resource })), ...rules.map((list) => of({ list }))];
    const keys = policies.map(policyKey);
    expect(new Set(keys).size).toBe(6);
    expect(policies.map(policyKey)).toEqual(keys);
    expect(resolvers.map((resource) => policyKey(of({ resource })))).toEqual(keys.slice(0, 3));
    expect(rules.map((list) => policyKey(of({ list })))).toEqual(keys.slice(3));
  });

  test('is there for one whose resolver was lost on the way', () => {
    for (const lost of [undefined, null, 'DocumentResource']) {
      expect(policyKey(of({ resource: lost }))).toContain('documents:read');
    }
  });
});
