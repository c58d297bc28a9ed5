import {
  Controller,
  Get,
  Injectable,
  Module,
  type DynamicModule,
  type Provider,
  type Type,
} from '@nestjs/common';
import { ApplicationConfig, ModulesContainer, NestFactory, RouterModule } from '@nestjs/core';
import { ResolveField, Resolver } from '@nestjs/graphql';
import { MessagePattern } from '@nestjs/microservices';
import { Interval } from '@nestjs/schedule';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { describe, expect, test } from 'vitest';
import { AccessSettings } from '../../../src/access/access.settings.js';
import { ReportOnlyCoverage } from '../../../src/access/report-only/report-only.coverage.js';
import { RouteInventory } from '../../../src/access/inventory/route-inventory.js';
import { Authenticated, Public, RequirePermission } from '../../../src/core/route-policy.js';
import { SystemTask } from '../../../src/core/system-task.js';

/** The inventory of an application with these modules; no adapter, no database. */
async function inventoryOf(
  imports: (Type | DynamicModule)[],
  { preview = false, reportOnly = [] }: { preview?: boolean; reportOnly?: Type[] } = {},
): Promise<RouteInventory> {
  @Module({ imports })
  class Root {}
  const context = await NestFactory.createApplicationContext(Root, { logger: false, preview });
  const modules = context.get(ModulesContainer);
  const settings = new AccessSettings(new Set(), new Map(), [], [], [], undefined, undefined, {
    modules: new Set(reportOnly),
    adapterRoutes: false,
  });
  return new RouteInventory(
    modules,
    context.get(ApplicationConfig),
    new ReportOnlyCoverage(modules, settings),
  );
}
const moduleOf = (metadata: { controllers?: Type[]; providers?: Provider[] }): Type => {
  @Module(metadata)
  class Feature {}
  return Feature;
};
const named = (inventory: RouteInventory): string[] =>
  inventory
    .entries()
    .map(
      ({ transport, method, path, className, policy }) =>
        `${transport} ${method} ${path} ${className} ${policy.kind}`,
    );

@Controller('cats')
class CatsController {
  @Get()
  @Authenticated()
  list(): string {
    return '';
  }
  @MessagePattern('cats')
  @Public()
  message(): string {
    return '';
  }
  @Interval(60_000)
  @SystemTask({ name: 'feed' })
  feed(): void {
    return;
  }
  other(): string {
    return '';
  }
}

@WebSocketGateway({ path: '/chat' })
@Resolver('Cat')
@Injectable()
class CatsGateway {
  @SubscribeMessage('say')
  @Public()
  say(): string {
    return '';
  }
  @ResolveField()
  @Authenticated()
  colour(): string {
    return '';
  }
  @Interval(60_000)
  @SystemTask({ name: 'groom' })
  groom(): void {
    return;
  }
}

describe('the inventory', () => {
  test.each([[false], [true]])(
    'RBAC-01 has every way in of controllers and providers, on every transport (preview: %s)',
    async (preview) => {
      const feature = moduleOf({ controllers: [CatsController], providers: [CatsGateway] });
      expect(named(await inventoryOf([feature], { preview }))).toEqual([
        'http GET /cats CatsController authenticated',
        'rpc MESSAGE cats CatsController public',
        'task INTERVAL feed CatsController system',
        'ws MESSAGE /chat say CatsGateway public',
        'ws CONNECT /chat CatsGateway authenticated',
        'graphql FIELD Cat.colour CatsGateway undeclared',
        'task INTERVAL groom CatsGateway system',
      ]);
    },
  );

  test('names a class that several modules register once, and serves it once for each', async () => {
    const modules = [
      moduleOf({ controllers: [CatsController], providers: [CatsGateway] }),
      moduleOf({ controllers: [CatsController], providers: [CatsGateway] }),
    ];
    const inventory = await inventoryOf(modules);
    expect(inventory.entries()).toHaveLength(7);
    expect(inventory.served()).toHaveLength(14);
    expect(new Set(inventory.served().map(({ host }) => host.type))).toEqual(
      new Set([CatsController, CatsGateway]),
    );
  });

  test('RBAC-06 hides no class behind another one of its name and address that demands something else', async () => {
    const controllerWith = (...marks: MethodDecorator[]): Type => {
      @Controller('twins')
      class TwinController {
        @Get()
        read(): string {
          return '';
        }
      }
      const descriptor = Object.getOwnPropertyDescriptor(TwinController.prototype, 'read')!;
      for (const mark of marks) mark(TwinController.prototype, 'read', descriptor);
      return TwinController;
    };
    const own = { type: 'document', name: 'own' };
    const controllers = [
      [Public()],
      [Authenticated()],
      [RequirePermission('documents:read', { list: own })],
      [RequirePermission('documents:read', { list: { ...own } })],
    ].map((marks) => controllerWith(...marks));
    const inventory = await inventoryOf(
      controllers.map((controller) => moduleOf({ controllers: [controller] })),
    );
    expect(named(inventory)).toEqual([
      'http GET /twins TwinController public',
      'http GET /twins TwinController authenticated',
      'http GET /twins TwinController permission',
      'http GET /twins TwinController permission',
    ]);
  });

  test('has the HTTP routes alone where those are asked for, each with its class and its instance', async () => {
    const feature = moduleOf({ controllers: [CatsController], providers: [CatsGateway] });
    const routes = (await inventoryOf([feature])).httpRoutes();
    expect(routes.map(({ entry }) => entry)).toMatchObject([{ transport: 'http', path: '/cats' }]);
    expect(routes[0]?.host).toMatchObject({ name: 'CatsController', type: CatsController });
    expect(routes[0]?.host.prototype).toBe(CatsController.prototype);
    expect(routes[0]?.host.instance).toBeInstanceOf(CatsController);
  });

  test('says of each way in whether it is report-only, and of no other', async () => {
    const reported = moduleOf({ controllers: [CatsController] });
    const enforced = moduleOf({ providers: [CatsGateway] });
    const inventory = await inventoryOf([reported, enforced], { reportOnly: [reported] });
    const said = inventory.entries().map((entry) => [entry.path, entry.reportOnly ?? 'reportOnly' in entry]);
    expect(said).toEqual([
      ['/cats', true],
      ['cats', true],
      ['feed', true],
      ['/chat say', false],
      ['/chat', false],
      ['Cat.colour', false],
      ['groom', false],
    ]);
    expect(inventory.httpRoutes().map(({ entry }) => [entry.path, entry.reportOnly])).toEqual([
      ['/cats', true],
    ]);
  });

  test('RBAC-06 names routes below the path that the application gives a module, and another one no path', async () => {
    const feature = moduleOf({ controllers: [CatsController] });
    const shop = RouterModule.register([{ path: 'shop', module: feature }]);
    for (const [imports, path] of [
      [[feature, shop], '/shop/cats'],
      [[feature], '/cats'],
    ] as const) {
      const inventory = await inventoryOf([...imports]);
      expect(inventory.httpRoutes().map(({ entry }) => entry.path)).toEqual([path]);
      expect(inventory.entries()[0]?.path).toBe(path);
    }
  });

  test('RBAC-07 knows the methods of controllers from whatever else the adapter may be handed', async () => {
    class Accessors {
      get computed(): unknown {
        return expect.fail('a getter was run');
      }
    }
    Controller('accessors')(Accessors);
    const inventory = await inventoryOf([
      moduleOf({ controllers: [Accessors, CatsController], providers: [CatsGateway] }),
    ]);
    expect(inventory.isHandler(CatsController.prototype.list)).toBe(true);
    expect(inventory.isHandler(CatsController.prototype.other)).toBe(true);
    expect(inventory.isHandler(CatsGateway.prototype.say)).toBe(false);
    expect(inventory.isHandler(() => '')).toBe(false);
  });
});

describe('what a factory or a value provides', () => {
  const nothing: unknown[] = [undefined, null, 'text', 7, {}, [], Object.create(null)];

  test('RBAC-01 has its ways in, for Nest asks the instance as well', async () => {
    const gateway = new CatsGateway();
    for (const provider of [
      { provide: 'made', useFactory: () => gateway },
      { provide: 'made', useFactory: () => Promise.resolve(gateway) },
      { provide: 'made', useValue: gateway },
    ]) {
      const inventory = await inventoryOf([moduleOf({ providers: [provider] })]);
      expect(named(inventory)).toContain('ws MESSAGE /chat say CatsGateway public');
      expect(inventory.served()[0]?.host).toMatchObject({ type: CatsGateway, instance: gateway });
    }
  });

  test('RBAC-05 is read from what it is: a method that was replaced on it with another policy is a fault', async () => {
    const gateway = new CatsGateway();
    gateway.say = CatsGateway.prototype.colour;
    const inventory = await inventoryOf([moduleOf({ providers: [{ provide: 'made', useValue: gateway }] })]);
    expect(named(inventory)).toContain('ws MESSAGE /chat say CatsGateway undeclared');
  });

  test('has none where it is no object of a class', async () => {
    const withConstructor = Object.assign(Object.create(null) as object, { constructor: CatsGateway });
    const providers: Provider[] = [...nothing, withConstructor, CatsGateway].flatMap((value, at) => [
      { provide: `made-${at}`, useFactory: () => value },
      { provide: `value-${at}`, useValue: value },
    ]);
    expect(named(await inventoryOf([moduleOf({ providers })]))).toEqual([]);
  });

  test('has none in a preview, where nothing is made, and what is no class there harms nobody', async () => {
    const noClass = (() => undefined) as unknown as Type;
    const providers = [
      { provide: 'made', useFactory: () => expect.fail('made') as unknown },
      { provide: 'arrow', useClass: noClass },
    ];
    expect(named(await inventoryOf([moduleOf({ providers })], { preview: true }))).toEqual([]);
  });
});

describe('the fields of resolvers', () => {
  const graphqlWith = (options: unknown): Type =>
    moduleOf({ providers: [{ provide: 'GqlModuleOptions', useValue: options }] });
  const kindOfField = async (...options: unknown[]): Promise<string> => {
    const inventory = await inventoryOf([
      moduleOf({ providers: [CatsGateway] }),
      ...options.map(graphqlWith),
    ]);
    return inventory.entries().find(({ method }) => method === 'FIELD')?.policy.kind ?? 'none';
  };
  const guarded = { fieldResolverEnhancers: ['interceptors', 'guards'] };

  test('RBAC-12 are guarded where every GraphQL module says so', async () => {
    expect(await kindOfField(guarded)).toBe('authenticated');
    expect(await kindOfField(guarded, { fieldResolverEnhancers: ['guards'] })).toBe('authenticated');
  });

  test.each<[string, unknown[]]>([
    ['there is no GraphQL module', []],
    ['its options are not known', [null]],
    ['it says nothing', [{}]],
    ['it names others', [{ fieldResolverEnhancers: ['interceptors'] }]],
    ['it says it in another shape', [{ fieldResolverEnhancers: 'guards' }]],
    ['one of two does not', [guarded, {}]],
  ])('RBAC-12 are refused where %s', async (_name, options) => {
    expect(await kindOfField(...options)).toBe('undeclared');
  });
});
