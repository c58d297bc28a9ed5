import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import type { AdapterRoute, AdapterRouteReader, Mount, WrappableAdapter } from './adapter-routes.js';

/** The parts of a layer of Express' router that say what it serves. */
interface Layer {
  readonly name?: string;
  readonly handle: unknown;
  readonly rawPath?: unknown;
  /** Mounted on "/": everything passes through it. */
  readonly slash?: boolean;
  readonly route?: {
    readonly path: unknown;
    readonly stack: readonly { readonly method?: string; readonly handle: unknown }[];
  };
}

/** Middleware that answers from files or hands over to another application is no middleware. */
const SERVES: ReadonlySet<string> = new Set(['serveStatic', 'mounted_app']);

/**
 * What Express' router holds beside Nest's own routes. A function on "/" is taken for middleware: what it answers
 * cannot be seen from outside.
 */
export class ExpressRoutes implements AdapterRouteReader {
  /** What Nest itself handed to the adapter: middleware of modules, its 404 and its error handler. */
  readonly #own = new WeakSet();

  constructor(
    private readonly adapter: WrappableAdapter,
    private readonly isHandler: (candidate: unknown) => boolean,
  ) {
    const createMiddlewareFactory = adapter.createMiddlewareFactory.bind(adapter);
    const setNotFoundHandler = adapter.setNotFoundHandler?.bind(adapter);
    const setErrorHandler = adapter.setErrorHandler?.bind(adapter);
    adapter.createMiddlewareFactory = (...given) => {
      const mount = createMiddlewareFactory(...given) as Mount;
      return (path, callback) => {
        this.#own.add(callback);
        return mount(path, callback);
      };
    };
    adapter.setNotFoundHandler = (handler, ...rest) => {
      this.#own.add(handler);
      return setNotFoundHandler?.(handler, ...rest);
    };
    adapter.setErrorHandler = (handler, ...rest) => {
      this.#own.add(handler);
      return setErrorHandler?.(handler, ...rest);
    };
  }

  foreign(): readonly AdapterRoute[] {
    const { router } = this.adapter.getInstance<{ router?: { stack?: readonly Layer[] } }>();
    return this.#walk(router?.stack ?? [], '');
  }

  #walk(layers: readonly Layer[], prefix: string): readonly AdapterRoute[] {
    return layers.flatMap((layer): readonly AdapterRoute[] => {
      if (layer.route) return this.#foreignOf(layer.route, prefix);
      const path = layer.slash ? prefix : joined(prefix, layer.rawPath);
      const nested = (layer.handle as { readonly stack?: unknown } | undefined)?.stack;
      if (Array.isArray(nested)) return this.#walk(nested as readonly Layer[], path);
      if (this.#own.has(layer.handle as object)) return [];
      const answers = path !== '' || SERVES.has(layer.name ?? '');
      return answers ? [{ method: 'USE', path: path === '' ? '/' : path }] : [];
    });
  }

  #foreignOf(route: NonNullable<Layer['route']>, prefix: string): readonly AdapterRoute[] {
    const methods = route.stack
      .filter(({ handle }) => !this.#isNests(handle))
      .map(({ method }) => method?.toUpperCase() ?? 'ALL');
    const paths = Array.isArray(route.path) ? (route.path as unknown[]) : [route.path];
    return [...new Set(methods)].flatMap((method) =>
      paths.map((path) => ({ method, path: joined(prefix, path) })),
    );
  }

  /** Nest copies a handler's metadata to the function it registers; the handler itself would run without guards. */
  #isNests(handle: unknown): boolean {
    if (typeof handle !== 'function') return false;
    if (this.#own.has(handle)) return true;
    return (
      Reflect.hasMetadata(PATH_METADATA, handle) &&
      Reflect.hasMetadata(METHOD_METADATA, handle) &&
      !this.isHandler(handle)
    );
  }
}

function joined(prefix: string, path: unknown): string {
  const text = (Array.isArray(path) ? path : [path]).map(textOf).join(', ');
  return prefix !== '' && text === '/' ? prefix : `${prefix}${text}`;
}

function textOf(path: unknown): string {
  if (typeof path === 'string') return path;
  return path instanceof RegExp ? path.toString() : '(a path that cannot be read)';
}
