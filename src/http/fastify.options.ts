import type { HttpServer } from '@nestjs/common';

type FrameworkErrorHandler = (
  error: Error,
  request: object,
  reply: { readonly raw: unknown; send(payload: unknown): unknown },
) => unknown;

/** What an instance of Fastify was made with, of which its `initialConfig` names only a part. */
export interface KeptOptions {
  readonly trustProxy?: unknown;
  frameworkErrors?: FrameworkErrorHandler;
}

/** @throws TypeError when Fastify keeps its options elsewhere than we know: what cannot be checked is not trusted. */
export function keptOptionsOf(adapter: HttpServer): KeptOptions {
  const fastify = adapter.getInstance() as Record<symbol, KeptOptions | undefined>;
  const symbol = Object.getOwnPropertySymbols(fastify).find(
    ({ description }) => description === 'fastify.options',
  );
  const options = symbol && fastify[symbol];
  if (options) return options;
  throw new TypeError('HttpModule does not know this version of Fastify: it keeps its options elsewhere.');
}
