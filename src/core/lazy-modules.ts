import type { LazyModuleLoader, ModulesContainer } from '@nestjs/core';

/** One of an application's modules, as Nest holds it. */
export type ContainedModule = ModulesContainer extends Map<string, infer Each> ? Each : never;

/**
 * Binds what guards handlers to every module that there is, and again whenever modules have been loaded lazily, before
 * whoever loaded them goes on and connects what they bring. All of them each time, since two may be loading at once:
 * `bind` must do nothing to what it has bound before.
 */
export function bindToModules(
  modules: ModulesContainer,
  loader: LazyModuleLoader,
  bind: (module: ContainedModule) => void,
): void {
  const bindAll = (): void => {
    for (const module of modules.values()) bind(module);
  };
  bindAll();
  const load = loader.load.bind(loader);
  loader.load = async (...given) => {
    try {
      return await load(...given);
    } finally {
      bindAll();
    }
  };
}
