import { Injectable } from '@nestjs/common';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import { isKitModule } from '../../core/kit-module.js';
import { reportOnlyMarkOf } from '../../core/report-only.js';
import { AccessSettings } from '../access.settings.js';

type Module = ModulesContainer extends Map<string, infer Each> ? Each : never;
type Wrapper = Module['providers'] extends Map<unknown, infer Each> ? Each : never;

/** All handlers of a class, or those that are marked. */
type Covered = true | ReadonlySet<object>;

/** A class with handlers, as the inventory knows it. */
export interface HandlerClass {
  readonly type: object;
  readonly name: string;
  readonly prototype: Readonly<Record<string, unknown>>;
}

const scanner = new MetadataScanner();

/**
 * Which handlers are report-only: those of the classes that only listed modules register, and those that are marked in
 * their own class. A doubt is a no, and a fault of the start.
 */
@Injectable()
export class ReportOnlyCoverage {
  readonly #listed: ReadonlySet<object>;
  #modulesSeen = -1;
  #covered = new Map<object, Covered>();
  #registering = new Map<object, Set<object>>();

  constructor(
    private readonly modules: ModulesContainer,
    { reportOnly }: AccessSettings,
  ) {
    this.#listed = reportOnly.modules;
  }

  /** Whether any handler may be report-only at all. Asked while modules are still made. */
  get inUse(): boolean {
    return this.#listed.size > 0 || this.#read().covered.size > 0;
  }

  /** By class and function, as Nest calls it: two classes may share an inherited function. */
  covers(type: object, handler: object): boolean {
    this.#refresh();
    const covered = this.#covered.get(type);
    return covered === true || covered?.has(handler) === true;
  }

  /** What is wrong with what the option and the marks say, each with its mend. */
  faults(classes: readonly HandlerClass[]): readonly string[] {
    // What a factory provides has its class only now that everything is made.
    this.#modulesSeen = -1;
    this.#refresh();
    const present = new Set([...this.modules.values()].map(({ metatype }) => metatype as object));
    const serving = new Set(classes.flatMap(({ type }) => [...(this.#registering.get(type) ?? [])]));
    const faults: string[] = [];
    for (const module of this.#listed) {
      const name = nameOf(module);
      if (isKitModule(module)) {
        faults.push(`reportOnly names ${name}, whose handlers are the kit's own: they are always enforced`);
      } else if (!present.has(module)) {
        faults.push(`reportOnly names ${name}, which the application does not import: remove the entry`);
      } else if (!serving.has(module)) {
        faults.push(`reportOnly names ${name}, which has no handler of its own: remove the entry`);
      }
    }
    return [...faults, ...new Set(classes.flatMap((each) => this.#faultsOf(each)))];
  }

  #faultsOf({ type, name, prototype }: HandlerClass): readonly string[] {
    const faults: string[] = [];
    const registering = [...(this.#registering.get(type) ?? [])];
    const enforced = registering.filter((module) => !this.#listed.has(module));
    if (enforced.length > 0 && enforced.length < registering.length) {
      const reported = registering.filter((module) => this.#listed.has(module)).map(nameOf);
      faults.push(
        `${name} is registered in ${reported.join(', ')}, which is report-only, and in ` +
          `${enforced.map(nameOf).join(', ')}, which is not: name both or neither`,
      );
    }
    for (const method of scanner.getAllMethodNames(prototype)) {
      const marked = markOf(prototype[method]);
      if (marked === undefined) continue;
      if (registering.some(isKitModule)) {
        faults.push(`${name}.${method} is the kit's own, which is always enforced: remove @ReportOnly()`);
      } else if (marked !== prototype) {
        faults.push(
          `${name}.${method} inherits @ReportOnly(), which counts for the class that it is written in alone: ` +
            'override the handler, or take the mark away',
        );
      }
    }
    return faults;
  }

  /** Again only when a module was loaded later: it may register a class once more, and enforce it. */
  #refresh(): void {
    if (this.modules.size === this.#modulesSeen) return;
    const { registering, covered } = this.#read();
    this.#registering = registering;
    this.#covered = covered;
    this.#modulesSeen = this.modules.size;
  }

  #read(): { registering: Map<object, Set<object>>; covered: Map<object, Covered> } {
    const registering = new Map<object, Set<object>>();
    for (const module of this.modules.values()) {
      for (const wrapper of [...module.controllers.values(), ...module.providers.values()]) {
        const type = typeOf(wrapper);
        if (!type) continue;
        registering.set(type, (registering.get(type) ?? new Set<object>()).add(module.metatype));
      }
    }
    const covered = new Map<object, Covered>();
    for (const [type, modules] of registering) {
      const found = this.#coveredOf(type, [...modules]);
      if (found !== undefined) covered.set(type, found);
    }
    return { registering, covered };
  }

  #coveredOf(type: object, modules: readonly object[]): Covered | undefined {
    if (modules.some(isKitModule)) return undefined;
    if (modules.every((module) => this.#listed.has(module))) return true;
    const prototype = (type as { readonly prototype?: unknown }).prototype;
    if (typeof prototype !== 'object' || prototype === null) return undefined;
    // Not read through the object: that would run a getter.
    const marked = Object.values(Object.getOwnPropertyDescriptors(prototype))
      .map(({ value }) => value as unknown)
      .filter((method): method is object => markOf(method) === prototype);
    return marked.length === 0 ? undefined : new Set(marked);
  }
}

function typeOf(wrapper: Wrapper): object | undefined {
  const instance: unknown = wrapper.instance;
  const provided = typeof instance === 'object' && instance !== null ? instance.constructor : undefined;
  const type: unknown = wrapper.isNotMetatype ? provided : wrapper.metatype;
  return typeof type === 'function' && type !== Object ? type : undefined;
}

function markOf(method: unknown): object | undefined {
  return typeof method === 'function' ? reportOnlyMarkOf(method) : undefined;
}

function nameOf(module: object): string {
  return (module as { readonly name?: string }).name ?? 'a module without a name';
}
