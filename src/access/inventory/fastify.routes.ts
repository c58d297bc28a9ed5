import { RequestMethod } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import type { AdapterRoute, AdapterRouteReader, WrappableAdapter } from './adapter-routes.js';

interface RouteOptions {
  readonly method: string | readonly string[];
  readonly url: string;
}

interface FastifyLike {
  addHook(name: 'onRoute', hook: (route: RouteOptions) => void): void;
  addHook(name: 'onRegister', hook: (child: object) => void): void;
  addHook(name: 'onReady', hook: () => Promise<void>): void;
  printRoutes(): string;
}

type Middleware = readonly [path: unknown, handler: unknown];

/** Under which @fastify/middie keeps what `use(path, …)` mounted. */
const MIDDLEWARES = 'fastify-middie-middlewares';
const NO_ROUTES = '(empty tree)';

/** What Fastify holds beside Nest's own routes: it tells of each one as it is added. */
export class FastifyRoutes implements AdapterRouteReader {
  readonly #foreign: AdapterRoute[] = [];
  readonly #contexts: object[];
  readonly #own = new WeakSet();
  #nestIsRegistering = false;
  #cors = false;

  constructor(adapter: WrappableAdapter, isHandler: (candidate: unknown) => boolean, recheck: () => void) {
    const fastify = adapter.getInstance<FastifyLike>();
    this.#contexts = [fastify];
    if (fastify.printRoutes() !== NO_ROUTES) {
      // They were there before anybody listened: only their number is known for sure.
      this.#foreign.push({
        method: 'ALL',
        path: '(routes that were added before the application was created)',
      });
    }
    fastify.addHook('onRoute', ({ method, url }) => {
      if (!this.#nestIsRegistering) this.#add(typeof method === 'string' ? [method] : method, url);
    });
    fastify.addHook('onRegister', (child) => this.#contexts.push(child));
    // Plugins load now, after every hook of Nest's, and bring their routes; later none can be added.
    fastify.addHook('onReady', async () => {
      await Promise.resolve();
      recheck();
    });
    this.#watchNest(adapter, isHandler);
  }

  foreign(): readonly AdapterRoute[] {
    const mounted = this.#contexts
      .flatMap(middlewaresOf)
      .filter(([path, handler]) => handler !== undefined && path !== '/' && !this.#own.has(handler as object))
      .map(([path]) => ({ method: 'USE', path: Array.isArray(path) ? path.join(', ') : String(path) }));
    const unique = new Map(
      [...this.#foreign, ...mounted].map((each) => [`${each.method} ${each.path}`, each]),
    );
    return [...unique.values()];
  }

  #add(methods: readonly string[], path: string): void {
    // Fastify adds HEAD to every GET by itself: the same route.
    const hasGet = this.#foreign.some((known) => known.method === 'GET' && known.path === path);
    for (const method of methods) {
      // The one route of @fastify/cors, which `app.enableCors()` registers: it answers preflights.
      if (this.#cors && method === 'OPTIONS' && path === '*') continue;
      if (method !== 'HEAD' || !hasGet) this.#foreign.push({ method, path });
    }
  }

  /** Tells apart what Nest registers: its route handlers carry the metadata of the method that they call. */
  #watchNest(adapter: WrappableAdapter, isHandler: (candidate: unknown) => boolean): void {
    const verbs = Object.values(RequestMethod).filter((verb): verb is string => typeof verb === 'string');
    const methods = adapter as unknown as Record<string, unknown>;
    for (const verb of verbs.map((each) => each.toLowerCase())) {
      const register = methods[verb];
      if (typeof register !== 'function') continue;
      methods[verb] = (...given: unknown[]): unknown => {
        const handler = given.at(-1);
        this.#nestIsRegistering = isNestRoute(handler) && !isHandler(handler);
        try {
          return register.apply(adapter, given) as unknown;
        } finally {
          this.#nestIsRegistering = false;
        }
      };
    }
    const enableCors = adapter.enableCors.bind(adapter);
    adapter.enableCors = (...given) => {
      this.#cors = true;
      return enableCors(...given);
    };
    const createMiddlewareFactory = adapter.createMiddlewareFactory.bind(adapter);
    adapter.createMiddlewareFactory = async (...given) => {
      const mount = await createMiddlewareFactory(...given);
      return (path, callback) => {
        const known = new Set(this.#contexts.flatMap(middlewaresOf).map(([, handler]) => handler));
        const outcome: unknown = mount(path, callback);
        for (const [, handler] of this.#contexts.flatMap(middlewaresOf)) {
          if (typeof handler === 'function' && !known.has(handler)) this.#own.add(handler);
        }
        return outcome;
      };
    };
  }
}

function middlewaresOf(context: object): readonly Middleware[] {
  const key = Object.getOwnPropertySymbols(context).find(({ description }) => description === MIDDLEWARES);
  return key === undefined ? [] : ((context as Record<symbol, readonly Middleware[]>)[key] ?? []);
}

function isNestRoute(handler: unknown): boolean {
  return (
    typeof handler === 'function' &&
    Reflect.hasMetadata(PATH_METADATA, handler) &&
    Reflect.hasMetadata(METHOD_METADATA, handler)
  );
}
