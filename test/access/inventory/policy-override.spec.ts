import { Controller, Get, Post, type Type } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isAsStrictAs, weakenedOverride } from '../../../src/access/inventory/policy-override.js';
import { RouteInventory } from '../../../src/access/inventory/route-inventory.js';
import { meetsAssurance, type AssuranceDemand } from '../../../src/core/assurance.js';
import type { Permission } from '../../../src/core/permission.js';
import {
  Authenticated,
  policyOf,
  Public,
  RequireAssurance,
  RequirePermission,
  type RoutePolicy,
} from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ask, refusalOf, startHostile } from '../../support/hostile.application.js';
import { permissions } from '../access.application.js';
import { newSubject, storeGrant, storeRoles } from '../access.fixtures.js';

const NOW = 1_000_000;
const NAMES = ['documents:read', 'documents:write', 'invoices:read'] as const;
const MEND = 'demand at least as much, or give the handler another name';

let database: TestDatabase;
const reader = newSubject();
const nobody = newSubject();
beforeAll(async () => {
  database = await createTestDatabase();
  await storeRoles(database, { reader: { permissions: ['documents:read'] } });
  await storeGrant(database, reader, 'reader');
});
afterAll(() => database.drop());

const base = (): { databaseUrl: string; access: { permissions: typeof permissions } } => ({
  databaseUrl: database.appUrl,
  access: { permissions },
});
const refused = (...controllers: Type[]): Promise<string> => refusalOf({ ...base(), controllers });
/** The lines of a refusal, without its head. */
const faultsOf = (text: string): readonly string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('  - '))
    .map((line) => line.slice(4));

/** Every caller that a demand over `NAMES` could tell apart. */
interface Caller {
  readonly held: readonly string[];
  readonly principal?: { readonly acr?: 'aal1' | 'aal2' | 'aal3'; readonly authTime: number };
}
const CALLERS: readonly Caller[] = [
  { held: [] },
  ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((bits) =>
    [undefined, 'aal1', 'aal2', 'aal3'].flatMap((acr) =>
      [0, 450, 5_000].map((age) => ({
        held: NAMES.filter((_name, at) => bits & (1 << at)),
        principal: { ...(acr !== undefined && { acr: acr as 'aal1' }), authTime: NOW - age },
      })),
    ),
  ),
];

/** Who gets in, said as plainly as can be. */
function admits(policy: RoutePolicy, { held, principal }: Caller): boolean {
  if (policy.kind === 'undeclared') return false;
  if (policy.kind === 'public') return true;
  if (!principal) return false;
  if (policy.kind === 'permission' && policy.permissions.some((each) => !held.includes(each))) return false;
  const { assurance } = policy;
  return (
    assurance === undefined || meetsAssurance({ kind: 'account', subject: 's', ...principal }, assurance, NOW)
  );
}

/** What one class of a chain says of the method; `undefined`: nothing, it inherits. */
type Level =
  | undefined
  | {
      readonly kind: 'bare' | 'public' | 'authenticated' | 'permission';
      readonly permissions: readonly [string, ...string[]];
      readonly assurance: AssuranceDemand | undefined;
    };

const levels = fc.option(
  fc.record({
    kind: fc.constantFrom('bare', 'public', 'authenticated', 'permission'),
    permissions: fc.subarray([...NAMES], { minLength: 1 }).map((names) => names as [string, ...string[]]),
    assurance: fc.option(
      fc.record(
        {
          acr: fc.constantFrom('aal1', 'aal2', 'aal3'),
          maxAgeSeconds: fc.constantFrom(300, 600),
        },
        { requiredKeys: ['acr'] },
      ),
      { nil: undefined },
    ),
  }),
  { nil: undefined },
) as fc.Arbitrary<Level>;

/** A chain of classes, the base first, each made by the same mixin. @returns the last one's prototype. */
function chainOf(chain: readonly Level[]): { prototype: object; said: RoutePolicy[] } {
  const said: RoutePolicy[] = [];
  const last = chain.reduce<Type>(
    (Parent, level) => {
      class Mixed extends Parent {}
      if (!level) return Mixed;
      const descriptor = { value: () => undefined, writable: true, configurable: true, enumerable: false };
      Object.defineProperty(Mixed.prototype, 'handle', descriptor);
      if (level.kind === 'public') Public()(Mixed.prototype, 'handle', descriptor);
      if (level.kind === 'authenticated') Authenticated()(Mixed.prototype, 'handle', descriptor);
      if (level.kind === 'permission') {
        RequirePermission(...(level.permissions as [Permission]))(Mixed.prototype, 'handle', descriptor);
      }
      if (level.assurance && level.kind !== 'public' && level.kind !== 'bare') {
        RequireAssurance(level.assurance)(Mixed.prototype, 'handle', descriptor);
      }
      said.unshift(policyOf(descriptor.value));
      return Mixed;
    },
    class {},
  );
  return { prototype: last.prototype as object, said };
}

describe('an overriding handler', () => {
  test('RBAC-05 opens nothing that a class above kept shut, for any chain of classes, or is a fault', () => {
    fc.assert(
      fc.property(fc.array(levels, { minLength: 1, maxLength: 5 }), (chain) => {
        const { prototype, said } = chainOf(chain);
        const [called, ...above] = said;
        const opens =
          called !== undefined &&
          called.kind !== 'undeclared' &&
          above.some(
            (each) =>
              each.kind !== 'undeclared' &&
              CALLERS.some((caller) => admits(called, caller) && !admits(each, caller)),
          );
        expect(weakenedOverride(prototype, 'handle') !== undefined).toBe(opens);
      }),
      { numRuns: 2_000 },
    );
  });

  test('RBAC-05 that demands less stops the start, with both handlers, what each demands, and the mend', async () => {
    class Guarded {
      @Get('permission')
      @RequirePermission('documents:read')
      permission(): string {
        return '';
      }
      @Get('two')
      @RequirePermission('documents:read', 'documents:write')
      two(): string {
        return '';
      }
      @Get('authenticated')
      @Authenticated()
      authenticated(): string {
        return '';
      }
      @Get('assured')
      @RequirePermission('documents:read')
      @RequireAssurance({ acr: 'aal2', maxAgeSeconds: 300 })
      assured(): string {
        return '';
      }
      @Get('kept')
      @Authenticated()
      kept(): string {
        return '';
      }
    }
    @Controller('weak')
    class WeakController extends Guarded {
      @Get('permission')
      @Public()
      override permission(): string {
        return '';
      }
      @Get('two')
      @RequirePermission('documents:write')
      override two(): string {
        return '';
      }
      @Get('authenticated')
      @Public()
      override authenticated(): string {
        return '';
      }
      @Get('assured')
      @RequirePermission('documents:read')
      @RequireAssurance({ acr: 'aal2', maxAgeSeconds: 600 })
      override assured(): string {
        return '';
      }
      @Get('kept')
      @RequirePermission('documents:read')
      @RequireAssurance({ acr: 'aal2' })
      override kept(): string {
        return '';
      }
    }
    expect(faultsOf(await refused(WeakController))).toEqual([
      `WeakController.permission (http GET /weak/permission) demands nothing and overrides Guarded.permission, which demands documents:read: ${MEND}`,
      `WeakController.two (http GET /weak/two) demands documents:write and overrides Guarded.two, which demands documents:read documents:write: ${MEND}`,
      `WeakController.authenticated (http GET /weak/authenticated) demands nothing and overrides Guarded.authenticated, which demands any authenticated caller: ${MEND}`,
      `WeakController.assured (http GET /weak/assured) demands documents:read aal2/600s and overrides Guarded.assured, which demands documents:read aal2/300s: ${MEND}`,
    ]);
  });

  test('RBAC-05 is compared with every class above, past one that says nothing, and where it is inherited again', async () => {
    abstract class Top {
      @RequirePermission('documents:read')
      read(): string {
        return '';
      }
    }
    abstract class Middle extends Top {
      override read(): string {
        return '';
      }
    }
    class Opened extends Middle {
      @Get()
      @Authenticated()
      override read(): string {
        return '';
      }
    }
    @Controller('last')
    class LastController extends Opened {}
    expect(faultsOf(await refused(LastController))).toEqual([
      `LastController.read (http GET /last) demands any authenticated caller (in Opened) and overrides Top.read, which demands documents:read: ${MEND}`,
    ]);
  });

  test('RBAC-05 that asks about another object, list or tenant counts as weaker; the same one does not', () => {
    class ResolverA {}
    class ResolverB {}
    const demand = (narrowing: object): RoutePolicy => ({
      kind: 'permission',
      permissions: ['documents:read'],
      ...narrowing,
    });
    const narrowings = [
      {},
      { resource: ResolverA },
      { resource: ResolverB },
      { list: { type: 'document', name: 'mine' } },
      { within: 'tenant' },
    ];
    for (const [at, own] of narrowings.entries()) {
      for (const [above, other] of narrowings.entries()) {
        expect([at, above, isAsStrictAs(demand(own), demand(other))]).toEqual([at, above, at === above]);
      }
    }
  });

  test('RBAC-05 of a message, an event and a socket may not demand less either', async () => {
    class Messages {
      @MessagePattern('read')
      @RequirePermission('documents:read')
      read(): string {
        return '';
      }
      @EventPattern('made')
      @Authenticated()
      made(data: unknown): unknown {
        return data;
      }
    }
    @Controller()
    class OpenedMessagesController extends Messages {
      @MessagePattern('read')
      @Authenticated()
      override read(): string {
        return '';
      }
      @EventPattern('made')
      @Public()
      override made(data: unknown): unknown {
        return data;
      }
    }
    class Sockets {
      @SubscribeMessage('say')
      @RequirePermission('documents:write')
      say(): string {
        return '';
      }
    }
    @WebSocketGateway()
    class OpenedGateway extends Sockets {
      @SubscribeMessage('say')
      @RequirePermission('documents:read')
      override say(): string {
        return '';
      }
    }
    const text = await refusalOf({
      ...base(),
      controllers: [OpenedMessagesController],
      providers: [OpenedGateway],
      configure: (app) => app.useWebSocketAdapter(new WsAdapter(app)),
    });
    expect(faultsOf(text)).toEqual([
      `OpenedMessagesController.read (rpc MESSAGE read) demands any authenticated caller and overrides Messages.read, which demands documents:read: ${MEND}`,
      `OpenedMessagesController.made (rpc EVENT made) demands nothing and overrides Messages.made, which demands any authenticated caller: ${MEND}`,
      `OpenedGateway.say (ws MESSAGE say) demands documents:read and overrides Sockets.say, which demands documents:write: ${MEND}`,
    ]);
  });
});

/** As applications share handlers: one generic class, its routes inherited by every controller. */
abstract class CrudController<T> {
  protected abstract readonly rows: readonly T[];

  @Get()
  @RequirePermission('documents:read')
  list(): readonly T[] {
    return this.rows;
  }

  @Get('first')
  @RequirePermission('documents:read')
  first(): T | undefined {
    return this.rows[0];
  }

  @Post()
  create(): string {
    return 'made';
  }
}

/** Adds a route to whatever class it is given. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what TypeScript asks of a mixin
function Countable<B extends abstract new (...given: any[]) => object>(Parent: B) {
  abstract class CountableController extends Parent {
    @Get('count')
    @RequirePermission('documents:read')
    count(): string {
      return 'counted';
    }
  }
  return CountableController;
}

describe('handlers that come from generic classes and mixins', () => {
  test('RBAC-05 a route of a generic base without a policy stops the start of each class that inherits it', async () => {
    @Controller('cats')
    class CatsController extends CrudController<string> {
      protected readonly rows = ['tom'];
    }
    @Controller('dogs')
    class DogsController extends Countable(CrudController<number>) {
      protected readonly rows = [1];
    }
    const fault = 'has no policy: write @RequirePermission(…), @Authenticated() or @Public() on the method';
    expect(faultsOf(await refused(CatsController, DogsController))).toEqual([
      `CatsController.create (http POST /cats) ${fault}`,
      `DogsController.create (http POST /dogs) ${fault}`,
    ]);
  });

  test('RBAC-05 what is inherited, mixed in and overridden more strictly is judged on each class alike', async () => {
    abstract class DeclaredCrud<T> extends CrudController<T> {
      @Post()
      @RequirePermission('documents:read')
      override create(): string {
        return 'made';
      }
    }
    @Controller('cats')
    class CatsController extends Countable(DeclaredCrud<string>) {
      protected readonly rows = ['tom'];

      @Get('first')
      @RequirePermission('documents:read', 'documents:write')
      override first(): string {
        return 'only with both';
      }
    }
    @Controller('dogs')
    class DogsController extends Countable(Countable(DeclaredCrud<string>)) {
      protected readonly rows = ['rex'];
    }
    const started = await startHostile({ ...base(), controllers: [CatsController, DogsController] });
    try {
      const entries = started.app
        .get(RouteInventory)
        .entries()
        .filter(({ className }) => ['CatsController', 'DogsController'].includes(className));
      expect(entries.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(
        ['cats', 'dogs']
          .flatMap((name) => [
            ...['', '/count', '/first'].map((path) => `GET /${name}${path}`),
            `POST /${name}`,
          ])
          .sort(),
      );
      for (const { method, path } of entries) {
        expect([path, (await ask(started, method, path)).status]).toEqual([path, 401]);
        expect([path, (await ask(started, method, path, { as: nobody })).status]).toEqual([path, 403]);
        const granted = path === '/cats/first' ? 403 : method === 'POST' ? 201 : 200;
        expect([path, (await ask(started, method, path, { as: reader })).status]).toEqual([path, granted]);
      }
    } finally {
      await started.close();
    }
  });

  test('RBAC-05 a mixin that wraps a handler, or marks an inherited one a second time, stops the start', async () => {
    class Plain {
      @Get('wrapped')
      @RequirePermission('documents:read')
      wrapped(): string {
        return '';
      }
      @Get('marked')
      @RequirePermission('documents:read')
      marked(): string {
        return '';
      }
    }
    /** Keeps Nest's metadata and forgets the policy, as a careless tracer does. */
    function Traced(Parent: Type<Plain>): Type<Plain> {
      class TracedController extends Parent {}
      const original = Object.getOwnPropertyDescriptor(Parent.prototype, 'wrapped')!.value as object;
      const wrapper = (): string => '';
      for (const key of Reflect.getOwnMetadataKeys(original).filter((each) => typeof each === 'string')) {
        Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, original), wrapper);
      }
      Object.defineProperty(TracedController.prototype, 'wrapped', { value: wrapper, configurable: true });
      const descriptor = Object.getOwnPropertyDescriptor(Parent.prototype, 'marked')!;
      Public()(TracedController.prototype, 'marked', descriptor);
      return TracedController;
    }
    @Controller('traced')
    class ConcreteController extends Traced(Plain) {}
    expect(faultsOf(await refused(ConcreteController))).toEqual([
      'ConcreteController.wrapped (http GET /traced/wrapped) has no policy: write @RequirePermission(…), @Authenticated() or @Public() on the method',
      'ConcreteController.marked (http GET /traced/marked) has 2 policies (permission, public): keep exactly one',
    ]);
  });
});
