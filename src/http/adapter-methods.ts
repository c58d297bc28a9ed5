import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { onAdapterReady } from '../core/adapter-ready.js';

interface ExpressLayer {
  readonly route?: { readonly methods: Readonly<Record<string, boolean>> };
  match(path: string): boolean;
}

interface FastifyInstance {
  addHook(name: 'onRoute', hook: (route: { method: string | string[]; url: string }) => void): void;
}

/** Which methods a path has, by what the adapter itself holds: for 405 and its `Allow`. */
@Injectable()
export class AdapterMethods {
  readonly #fastifyRoutes: { readonly methods: readonly string[]; readonly pattern: RegExp }[] = [];

  constructor(private readonly host: HttpAdapterHost) {
    onAdapterReady(host, (adapter) => {
      if (adapter.getType() !== 'fastify') return;
      adapter.getInstance<FastifyInstance>().addHook('onRoute', ({ method, url }) => {
        this.#fastifyRoutes.push({ methods: [method].flat(), pattern: patternOf(url) });
      });
    });
  }

  of(path: string): readonly string[] {
    const methods =
      this.host.httpAdapter.getType() === 'fastify' ? this.#ofFastify(path) : this.#ofExpress(path);
    if (methods.has('GET')) methods.add('HEAD');
    return [...methods].sort();
  }

  #ofExpress(path: string): Set<string> {
    const { router } = this.host.httpAdapter.getInstance<{ router?: { stack: readonly ExpressLayer[] } }>();
    const methods = new Set<string>();
    for (const layer of router?.stack ?? []) {
      if (layer.route && matches(layer, path)) {
        for (const method of Object.keys(layer.route.methods))
          if (method !== '_all') methods.add(method.toUpperCase());
      }
    }
    return methods;
  }

  #ofFastify(path: string): Set<string> {
    const bare = path.length > 1 ? path.replace(/\/$/, '') : path;
    return new Set(
      this.#fastifyRoutes.filter(({ pattern }) => pattern.test(bare)).flatMap(({ methods }) => methods),
    );
  }
}

function matches(layer: ExpressLayer, path: string): boolean {
  try {
    return layer.match(path);
  } catch {
    // An undecodable path matches nothing.
    return false;
  }
}

/** Enough of find-my-way's syntax to tell whether a path is there at all: parameters take one segment, `*` the rest. */
function patternOf(url: string): RegExp {
  const source = url
    .replace(/\/$/, '')
    .split('/')
    .map((segment) =>
      segment.startsWith(':') ? '[^/]+' : segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace('\\*', '.*'),
    )
    .join('/');
  return new RegExp(`^${source === '' ? '/' : source}$`);
}
