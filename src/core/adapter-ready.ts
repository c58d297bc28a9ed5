import type { AbstractHttpAdapter, HttpAdapterHost } from '@nestjs/core';

/**
 * Runs `use` with the HTTP adapter: at once where it is there already, else as soon as it is (tests, hybrid
 * applications). In an application without HTTP (a worker, a command) never: Nest announces an adapter there too, and
 * holds none.
 */
export function onAdapterReady(host: HttpAdapterHost, use: (adapter: AbstractHttpAdapter) => void): void {
  host.init$.subscribe(() => {
    const adapter = host.httpAdapter as AbstractHttpAdapter | null | undefined;
    if (adapter) use(adapter);
  });
}
