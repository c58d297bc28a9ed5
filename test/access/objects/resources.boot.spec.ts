import { Controller, Get, Inject, Injectable, Module, Scope, type Provider, type Type } from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { objectRule, type ObjectRule } from '../../../src/access/objects/object-rule.js';
import { is, SUBJECT } from '../../../src/access/objects/condition.js';
import { ResourceResolver } from '../../../src/access/objects/resource.resolver.js';
import { Scopes } from '../../../src/access/grants/scopes.js';
import { RouteInventory } from '../../../src/access/inventory/route-inventory.js';
import { policyOf, RequirePermission, type PermissionDemand } from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { refusalOf, startHostile } from '../../support/hostile.application.js';
import { permissions } from '../access.application.js';
import { every, owned, ReadableNote, type Note } from './resources.fixtures.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** A controller with one handler, which demands this. */
function controllerOf(demand: PermissionDemand, path = ':id'): Type {
  @Controller('notes')
  class NotesController {
    @Get(path)
    @RequirePermission('documents:read', demand)
    read(): string {
      return '';
    }
  }
  return NotesController;
}

/** The faults of a start with one handler that demands this. */
async function faultsOf(demand: PermissionDemand, providers: Provider[], path?: string): Promise<string[]> {
  const text = await refusalOf({
    databaseUrl: database.appUrl,
    access: { permissions },
    controllers: [controllerOf(demand, path)],
    providers,
  });
  return text
    .split('\n')
    .filter((line) => line.startsWith('  - '))
    .map((line) => line.slice(4));
}

const HEAD = 'NotesController.read demands a resource: ';
const resolverWith = (parts: object): Type<ReadableNote> => {
  class Resolver extends ReadableNote {}
  @Injectable()
  class Faulty extends Resolver {
    constructor() {
      super();
      Object.assign(this, parts);
    }
  }
  return Faulty;
};

describe('a start is refused when the object of a handler', () => {
  test('RBAC-21 has nobody who loads it', async () => {
    expect(await faultsOf({ resource: ReadableNote }, [])).toEqual([
      `${HEAD}nobody provides ReadableNote: add it to the providers of its module, not scoped to a request`,
    ]);
  });

  test.each([[Scope.REQUEST], [Scope.TRANSIENT]])(
    'is loaded by a provider of the scope %s',
    async (scope) => {
      @Injectable({ scope })
      class ScopedNote extends ReadableNote {}
      expect(await faultsOf({ resource: ScopedNote }, [ScopedNote])).toEqual([
        `${HEAD}nobody provides ScopedNote: add it to the providers of its module, not scoped to a request`,
      ]);
    },
  );

  test('is loaded by what becomes scoped to a request through what it injects', async () => {
    @Injectable()
    class InfectedNote extends ReadableNote {
      constructor(@Inject(REQUEST) readonly request: unknown) {
        super();
      }
    }
    expect(await faultsOf({ resource: InfectedNote }, [InfectedNote])).toEqual([
      `${HEAD}nobody provides InfectedNote: add it to the providers of its module, not scoped to a request`,
    ]);
  });

  test('is loaded by a class that is no resolver', async () => {
    class Loader {
      readonly rule = owned;
      load(): undefined {
        return undefined;
      }
    }
    expect(await faultsOf({ resource: Loader }, [Loader])).toEqual([
      `${HEAD}Loader must extend ResourceResolver`,
    ]);
    const arrow = (() => undefined) as never;
    expect((await faultsOf({ resource: arrow }, []))[0]).toContain('must extend ResourceResolver');
  });

  test.each<[string, object, string]>([
    ['has no rule', { rule: undefined }, 'has no rule: give it one of objectRule()'],
    [
      'has a rule that is none',
      { rule: { type: 'note', name: 'x' } },
      'has no rule: give it one of objectRule()',
    ],
    [
      'is visible by nothing',
      { visible: null },
      'is visible by a rule that is none: give it one of objectRule()',
    ],
    [
      'is visible by no rule',
      { visible: { permission: 'documents:read' } },
      'is visible by a rule that is none: give it one of objectRule()',
    ],
    [
      'is visible with a permission that nobody declared',
      { visible: { permission: 'documents:see', rule: every } },
      'is visible with "documents:see", which nobody declared: add it to AccessModule\'s "permissions"',
    ],
    ['names no parameter', { parameter: '' }, 'needs the name of a parameter and an idFormat'],
    ['has a format that is none', { idFormat: '^x$' }, 'needs the name of a parameter and an idFormat'],
    ['may take no time', { timeoutMs: 0 }, 'needs a timeoutMs above 0 and at most 2147483647'],
    [
      'may take for ever',
      { timeoutMs: Number.POSITIVE_INFINITY },
      'needs a timeoutMs above 0 and at most 2147483647',
    ],
    ['takes NaN', { timeoutMs: Number.NaN }, 'needs a timeoutMs above 0 and at most 2147483647'],
  ])('%s', async (_name, parts, fault) => {
    const resolver = resolverWith(parts);
    expect(await faultsOf({ resource: resolver }, [resolver])).toEqual([`${HEAD}Faulty ${fault}`]);
  });

  test.each<[string, Partial<ObjectRule<Note>>, string]>([
    [
      'lies in a scope that nobody declared',
      { scopes: { project: 'owner' } },
      'the rule "odd" of note asks for the scope "project", which nobody declared: add it to AccessModule\'s "scopes"',
    ],
    [
      'belongs to tenants, and there are none',
      { scopes: { tenant: 'owner' } },
      'the rule "odd" of note asks for the scope "tenant", which nobody declared: add it to AccessModule\'s "scopes"',
    ],
    [
      'is overridden by a permission that nobody declared',
      { overriddenBy: 'documents:read-all' as never },
      'the rule "odd" of note is overridden by "documents:read-all", which nobody declared: add it to AccessModule\'s "permissions"',
    ],
  ])('%s', async (_name, parts, fault) => {
    const rule = objectRule<Note>({ ...(parts as object), type: 'note', name: 'odd', holds: () => true });
    for (const resolver of [
      resolverWith({ rule }),
      resolverWith({ visible: { permission: 'documents:read', rule } }),
    ]) {
      expect(await faultsOf({ resource: resolver }, [resolver])).toEqual([`${HEAD}${fault}`]);
    }
  });

  test('stands under a parameter that the path does not have', async () => {
    for (const path of ['', 'id', ':note', ':identity', 'of-:note']) {
      expect(await faultsOf({ resource: ReadableNote }, [ReadableNote], path)).toEqual([
        `${HEAD}the path ${path === '' ? '/notes' : `/notes/${path}`} has no ":id" for ReadableNote: ` +
          'add it, or say in the resolver which parameter is meant',
      ]);
    }
  });

  test('is named by a socket that is opened', async () => {
    @WebSocketGateway()
    class NotesGateway {
      @RequirePermission('documents:read', { resource: ReadableNote })
      handleConnection(): void {
        return;
      }
      @SubscribeMessage('read')
      @RequirePermission('documents:read', { resource: ReadableNote })
      read(): string {
        return '';
      }
    }
    const text = await refusalOf({
      databaseUrl: database.appUrl,
      access: { permissions },
      providers: [NotesGateway, ReadableNote],
      configure: (app) => app.useWebSocketAdapter(new WsAdapter(app)),
    });
    expect(text).toContain(
      'NotesGateway.handleConnection demands a resource: a socket that is opened names no object: demand ReadableNote of its messages',
    );
    expect(text).not.toContain('NotesGateway.read');
  });
});

describe('a start is refused when the list of a handler', () => {
  const list = (rule: unknown): Promise<string[]> => faultsOf({ list: rule as ObjectRule<Note> }, [], '');

  test('has a predicate for its rule', async () => {
    expect(await list(every)).toEqual([
      'NotesController.read (http GET /notes) lists by the rule "every" of note, which is a predicate, and PostgreSQL cannot ask it: declare it with "when"',
    ]);
  });

  test('has a rule that is none', async () => {
    expect(await list({ type: 'note', name: 'x' })).toEqual([
      'NotesController.read (http GET /notes) lists by a rule that is none: give it one of objectRule()',
    ]);
  });

  test('has a rule that asks for what nobody declared', async () => {
    const when = is<Note>('owner', SUBJECT);
    const rule = objectRule<Note>({ type: 'note', name: 'x', when, scopes: { project: 'owner' } });
    expect(await list(rule)).toEqual([
      'NotesController.read (http GET /notes) the rule "x" of note asks for the scope "project", which nobody declared: add it to AccessModule\'s "scopes"',
    ]);
  });
});

@Injectable()
class Directory {
  constructor(scopes: Scopes) {
    scopes.knownBy('tenant', { exists: () => Promise.resolve(true) });
  }
}

describe('within the tenant', () => {
  const start = (demand: PermissionDemand, providers: Provider[], path?: string): Promise<string> =>
    refusalOf({
      databaseUrl: database.appUrl,
      access: { permissions, scopes: ['tenant'], tenants: {} },
      controllers: [controllerOf(demand, path)],
      providers: [Directory, ...providers],
    });

  test('V8.4.1 there is no start without tenants', async () => {
    expect(await faultsOf({ within: 'tenant' }, [], '')).toEqual([
      'NotesController.read (http GET /notes) is within the tenant, and there are none: declare AccessModule\'s "tenants"',
    ]);
  });

  test('V8.4.1 there is no start with an object or a list whose rule does not say of which tenant it is', async () => {
    expect(await start({ resource: ReadableNote, within: 'tenant' }, [ReadableNote])).toContain(
      `${HEAD}a grant in the tenant would reach nothing by the rule "owned": give it scopes: { tenant: … }`,
    );
    const rule = objectRule<Note>({ type: 'note', name: 'mine', when: is('owner', SUBJECT) });
    expect(await start({ list: rule, within: 'tenant' }, [], '')).toContain(
      'lists within the tenant by the rule "mine" of note, which a grant in the tenant does not reach: give it scopes: { tenant: … }',
    );
  });
});

describe('@RequirePermission() refuses while the class is being written', () => {
  const write =
    (...demands: unknown[]): (() => unknown) =>
    () =>
      RequirePermission(...(demands as ['documents:read']));

  test.each<[string, unknown[], string]>([
    [
      'a resource that is undefined, as a circle of imports leaves it',
      [{ resource: undefined }],
      '"resource" is undefined: is its file in a circle of imports?',
    ],
    [
      'a list that is undefined',
      [{ list: undefined }],
      '"list" is undefined: is its file in a circle of imports?',
    ],
    [
      'a place that is undefined',
      [{ within: undefined }],
      '"within" is undefined: is its file in a circle of imports?',
    ],
    ['nothing in place of what it demands', [undefined], 'needs at least one permission'],
    ['null in place of what it demands', [null], '"null" is no demand'],
    [
      'a resource and a list',
      [{ resource: ReadableNote, list: owned }],
      'a handler answers one object or a list: keep one.',
    ],
    [
      'an unknown demand',
      [{ resourse: ReadableNote }],
      '"resourse" is no demand; use resource, list or within.',
    ],
    [
      'a resource that is no class',
      [{ resource: owned }],
      'resource is a class that extends ResourceResolver.',
    ],
    ['a list that is no rule', [{ list: ReadableNote }], 'list is a rule that objectRule() made.'],
    ['another place than the tenant', [{ within: 'somewhere' }], 'within is "tenant" or left out.'],
    ['a list of permissions', [['documents:write']], '"0" is no demand'],
    [
      'a demand before a permission',
      [{ resource: ReadableNote }, 'documents:write'],
      'needs at least one permission',
    ],
  ])('%s', (_name, demands, message) => {
    expect(write('documents:read', ...demands)).toThrow(TypeError);
    expect(write('documents:read', ...demands)).toThrow(message);
  });
});

test('RBAC-05 a method that is replaced on its instance by one that demands another object stops the start', async () => {
  class OtherNote extends ReadableNote {}
  const NotesController = controllerOf({ resource: ReadableNote });
  const Other = controllerOf({ resource: OtherNote });
  class Replaced extends NotesController {
    constructor() {
      super();
      Object.assign(this, { read: (Other.prototype as { read: object }).read });
    }
  }
  Reflect.defineMetadata('path', 'notes', Replaced);
  const start = {
    databaseUrl: database.appUrl,
    access: { permissions },
    providers: [ReadableNote, OtherNote],
  };
  expect(await refusalOf({ ...start, controllers: [Replaced] })).toContain(
    'is replaced on its instance by a function with another policy',
  );
});

test('RBAC-01 two classes of one name that demand different objects under one address are two ways in', async () => {
  class OtherNote extends ReadableNote {}
  const twins = [controllerOf({ resource: ReadableNote }), controllerOf({ resource: OtherNote })];
  const imports = twins.map((controller) => {
    @Module({ controllers: [controller], providers: [ReadableNote] })
    class FeatureModule {}
    return FeatureModule;
  });
  const text = await refusalOf({ databaseUrl: database.appUrl, access: { permissions }, imports });
  expect(text).toContain('nobody provides OtherNote');
  const started = await startHostile({
    databaseUrl: database.appUrl,
    access: { permissions },
    imports,
    providers: [OtherNote],
  });
  try {
    const entries = started.app.get(RouteInventory).entries();
    const demanded = entries.filter(({ path }) => path === '/notes/:id').map(({ policy }) => policy);
    expect(demanded).toEqual(twins.map((twin) => policyOf((twin.prototype as { read: object }).read)));
  } finally {
    await started.close();
  }
});

test('a resolver may be provided as something else under its class', async () => {
  class Stub extends ResourceResolver<Note> {
    readonly rule = owned;
    load(): Promise<null> {
      return Promise.resolve(null);
    }
  }
  const started = await startHostile({
    databaseUrl: database.appUrl,
    access: { permissions },
    controllers: [controllerOf({ resource: ReadableNote })],
    providers: [{ provide: ReadableNote, useClass: Stub }],
  });
  await started.close();
});
