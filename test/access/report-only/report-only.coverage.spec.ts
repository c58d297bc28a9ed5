import {
  Controller,
  Get,
  Injectable,
  Module,
  type DynamicModule,
  type Provider,
  type Type,
} from '@nestjs/common';
import { LazyModuleLoader, ModulesContainer, NestFactory } from '@nestjs/core';
import { describe, expect, test, vi } from 'vitest';
import { AccessSettings } from '../../../src/access/access.settings.js';
import {
  ReportOnlyCoverage,
  type HandlerClass,
} from '../../../src/access/report-only/report-only.coverage.js';
import { KitModule } from '../../../src/core/kit-module.js';
import { ReportOnly } from '../../../src/core/report-only.js';

@Controller('cats')
class CatsController {
  @Get()
  list(): string {
    return '';
  }
  @Get(':id')
  @ReportOnly()
  read(): string {
    return '';
  }
}
class PlainController {
  list(): string {
    return '';
  }
}
/** Its inherited handler is the same function, and no more report-only than the class says. */
class InheritingController extends CatsController {}
const { list, read } = CatsController.prototype;

const classOf = (type: Type): HandlerClass => ({
  type,
  name: type.name,
  prototype: type.prototype as Readonly<Record<string, unknown>>,
});

/** A module of this name with these classes. */
function moduleOf(name: string, controllers: Type[], providers: Provider[] = []): Type {
  const type = { [name]: class {} }[name]!;
  Module({ controllers, providers })(type);
  return type;
}
const settingsOf = (listed: readonly object[]): AccessSettings =>
  new AccessSettings(new Set(), new Map(), [], [], [], undefined, undefined, {
    modules: new Set(listed),
    adapterRoutes: false,
  });

interface Started {
  readonly coverage: ReportOnlyCoverage;
  readonly modules: ModulesContainer;
  load(module: Type): Promise<void>;
}
async function start(imports: (Type | DynamicModule)[], listed: object[] = []): Promise<Started> {
  @Module({ imports })
  class Root {}
  const context = await NestFactory.createApplicationContext(Root, { logger: false });
  const modules = context.get(ModulesContainer);
  return {
    coverage: new ReportOnlyCoverage(modules, settingsOf(listed)),
    modules,
    async load(module) {
      await context.get(LazyModuleLoader).load(() => module);
    },
  };
}

describe('a handler is report-only', () => {
  test('where the one module that registers its class is listed: each handler of it', async () => {
    const cats = moduleOf('CatsModule', [PlainController]);
    const { coverage } = await start([cats], [cats]);
    expect(coverage.inUse).toBe(true);
    expect(coverage.covers(PlainController, PlainController.prototype.list)).toBe(true);
  });

  test('where all the modules that register its class are', async () => {
    const [first, second] = [moduleOf('First', [PlainController]), moduleOf('Second', [PlainController])];
    expect((await start([first, second], [first, second])).coverage.covers(PlainController, list)).toBe(true);
  });

  test('where it is marked in its own class, and then it alone', async () => {
    const { coverage } = await start([moduleOf('CatsModule', [CatsController])]);
    expect(coverage.inUse).toBe(true);
    expect(coverage.covers(CatsController, read)).toBe(true);
    expect(coverage.covers(CatsController, list)).toBe(false);
  });

  test('where its class is what a provider is, or what a factory or a value provides', async () => {
    @Injectable()
    class CatsService {
      serve(): string {
        return '';
      }
    }
    const { serve } = CatsService.prototype;
    for (const provider of [
      CatsService,
      { provide: 'made', useFactory: () => new CatsService() },
      { provide: 'made', useValue: new CatsService() },
      { provide: 'made', useClass: CatsService },
    ]) {
      const cats = moduleOf('CatsModule', [], [provider]);
      expect((await start([cats], [cats])).coverage.covers(CatsService, serve)).toBe(true);
      expect((await start([cats])).coverage.covers(CatsService, serve)).toBe(false);
    }
  });
});

describe('a handler is enforced', () => {
  test('where nothing says otherwise, or nobody knows its class', async () => {
    const { coverage } = await start([moduleOf('CatsModule', [PlainController])]);
    expect(coverage.inUse).toBe(false);
    expect(coverage.covers(PlainController, PlainController.prototype.list)).toBe(false);
    expect(coverage.covers(CatsController, read)).toBe(false);
  });

  test('where one of the modules that register its class is not listed', async () => {
    const [first, second] = [moduleOf('First', [PlainController]), moduleOf('Second', [PlainController])];
    for (const listed of [[first], [second]]) {
      expect((await start([first, second], listed)).coverage.covers(PlainController, list)).toBe(false);
    }
  });

  test('where only a module that imports its own is listed', async () => {
    const cats = moduleOf('CatsModule', [PlainController]);
    @Module({ imports: [cats] })
    class Outer {}
    expect((await start([Outer], [Outer])).coverage.covers(PlainController, list)).toBe(false);
  });

  test('where it inherits the mark: that counts for the class that it is written in', async () => {
    const { coverage } = await start([moduleOf('CatsModule', [InheritingController])]);
    expect(coverage.covers(InheritingController, read)).toBe(false);
    expect(coverage.inUse).toBe(false);
  });

  test("where a kit's module registers its class, listed or marked, and beside another one too", async () => {
    const kit = moduleOf('KitOwnModule', [CatsController]);
    KitModule()(kit);
    const mine = moduleOf('Mine', [CatsController]);
    for (const [imports, listed] of [
      [[kit], [kit]],
      [
        [kit, mine],
        [kit, mine],
      ],
      [[kit, mine], [mine]],
    ] as [Type[], Type[]][]) {
      const { coverage } = await start(imports, listed);
      expect([coverage.covers(CatsController, read), coverage.covers(CatsController, list)]).toEqual([
        false,
        false,
      ]);
    }
  });

  test('from the moment at which a module that is loaded later registers its class too', async () => {
    const cats = moduleOf('CatsModule', [PlainController]);
    const late = moduleOf('LateModule', [PlainController]);
    const { coverage, load } = await start([cats], [cats]);
    expect(coverage.covers(PlainController, list)).toBe(true);
    await load(late);
    expect(coverage.covers(PlainController, list)).toBe(false);
  });

  test('where it is a plain object, an accessor or what has no class, and no getter is run to find out', async () => {
    class Accessors {
      get computed(): unknown {
        return expect.fail('a getter was run');
      }
    }
    const of = (constructor: unknown): object =>
      Object.assign(Object.create(null) as object, { constructor });
    const withNull = Object.assign(function () {}, { prototype: null });
    const odd = [of(() => undefined), of(withNull), of('text')];
    const values = [{ read }, null, undefined, 'text', 7, ...odd, new Accessors(), CatsController];
    const providers = values.flatMap((value, at): Provider[] => [
      { provide: `value-${at}`, useValue: value },
      { provide: `made-${at}`, useFactory: () => value },
    ]);
    const { coverage } = await start([moduleOf('CatsModule', [Accessors], providers)]);
    expect(coverage.inUse).toBe(false);
    expect(coverage.covers(Object, read)).toBe(false);
    expect(coverage.covers(CatsController, read)).toBe(false);
    const listed = moduleOf('ListedModule', [], [{ provide: 'object', useValue: { read } }]);
    expect((await start([listed], [listed])).coverage.covers(Object, read)).toBe(false);
  });
});

test('the modules are read once, and again only when one was loaded or the start is checked', async () => {
  const cats = moduleOf('CatsModule', [PlainController]);
  const { coverage, modules, load } = await start([cats], [cats]);
  const reads = vi.spyOn(modules, 'values');
  for (const times of [1, 1, 1]) {
    expect(coverage.covers(PlainController, list)).toBe(true);
    expect(reads).toHaveBeenCalledTimes(times);
  }
  await load(moduleOf('LateModule', []));
  reads.mockClear();
  for (const times of [1, 1]) {
    expect(coverage.covers(PlainController, list)).toBe(true);
    expect(reads).toHaveBeenCalledTimes(times);
  }
});

describe('the start is told', () => {
  const faultsOf = async (
    imports: (Type | DynamicModule)[],
    listed: object[],
    classes: Type[],
  ): Promise<readonly string[]> => (await start(imports, listed)).coverage.faults(classes.map(classOf));

  test('nothing where the list is as it should be, and nothing where there is none', async () => {
    const cats = moduleOf('CatsModule', [PlainController]);
    expect(await faultsOf([cats], [cats], [PlainController])).toEqual([]);
    expect(await faultsOf([cats], [], [PlainController])).toEqual([]);
    const marked = moduleOf('MarkedModule', [CatsController]);
    expect(await faultsOf([marked], [], [CatsController])).toEqual([]);
  });

  test("of a kit's module, of one that is not imported, and of one that has no handler of its own", async () => {
    const kit = moduleOf('KitOwnModule', [PlainController]);
    KitModule()(kit);
    const absent = moduleOf('AbsentModule', [PlainController]);
    const idle = moduleOf('IdleModule', [], [{ provide: 'service', useValue: new InheritingController() }]);
    expect(await faultsOf([kit, idle], [kit, absent, idle], [PlainController])).toEqual([
      "reportOnly names KitOwnModule, whose handlers are the kit's own: they are always enforced",
      'reportOnly names AbsentModule, which the application does not import: remove the entry',
      'reportOnly names IdleModule, which has no handler of its own: remove the entry',
    ]);
    expect(await faultsOf([], [{}], [])).toEqual([
      'reportOnly names a module without a name, which the application does not import: remove the entry',
    ]);
  });

  test('of a class that listed modules and others register: name both or neither', async () => {
    const [first, second, third, fourth] = ['First', 'Second', 'Third', 'Fourth'].map((name) =>
      moduleOf(name, [PlainController]),
    ) as [Type, Type, Type, Type];
    expect(
      await faultsOf([first, second, third, fourth], [first, second], [PlainController, PlainController]),
    ).toEqual([
      'PlainController is registered in First, Second, which is report-only, and in Third, Fourth, which is not: name both or neither',
    ]);
  });

  test("of a mark on a handler of the kit's own, and of one that is inherited", async () => {
    const kit = moduleOf('KitOwnModule', [CatsController]);
    KitModule()(kit);
    const inheriting = moduleOf('InheritingModule', [InheritingController]);
    expect(await faultsOf([kit, inheriting], [], [CatsController, InheritingController])).toEqual([
      "CatsController.read is the kit's own, which is always enforced: remove @ReportOnly()",
      'InheritingController.read inherits @ReportOnly(), which counts for the class that it is written in alone: override the handler, or take the mark away',
    ]);
  });

  test('of a class that nobody registers nothing but what its marks say', async () => {
    expect(await faultsOf([], [], [PlainController, CatsController])).toEqual([]);
  });

  test('of what a factory has made by then, although it was asked before', async () => {
    let asked: ReportOnlyCoverage | undefined;
    let inUse: boolean | undefined;
    const cats = moduleOf(
      'CatsModule',
      [],
      [
        {
          provide: 'asks',
          inject: [ModulesContainer],
          useFactory: (modules: ModulesContainer) => {
            asked = new ReportOnlyCoverage(modules, settingsOf([cats]));
            inUse = asked.inUse;
            return asked.covers(PlainController, list);
          },
        },
        { provide: 'made', inject: ['asks'], useFactory: () => new PlainController() },
      ],
    );
    await start([cats]);
    // A listed module is reason enough to ask, whatever it has made by then.
    expect(inUse).toBe(true);
    expect(asked?.covers(PlainController, list)).toBe(false);
    expect(asked?.faults([classOf(PlainController)])).toEqual([]);
    expect(asked?.covers(PlainController, list)).toBe(true);
  });
});
