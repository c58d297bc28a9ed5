import type { HttpServer } from '@nestjs/common';
import type { Server } from 'node:http';

type FrameworkErrorHandler = (
  error: Error,
  request: object,
  reply: { readonly raw: unknown; send(payload: unknown): unknown },
) => unknown;

/** What an instance of Fastify was made with, of which its `initialConfig` names only a part. */
export interface KeptOptions {
  readonly trustProxy?: unknown;
  http?: object | null;
  https?: object | true | null;
  frameworkErrors?: FrameworkErrorHandler;
}

/**
 * Calls `prepare` with each server that Fastify makes beside its first one: for `localhost`, which it listens on where
 * nobody names a host, there may be one for IPv4 and one for IPv6. It is called before the server takes a connection.
 *
 * @param checkingIntervalMs how often such a server looks for connections that are overdue; it is fixed when one is made
 * @throws TypeError when Fastify keeps them elsewhere than we know: such a server would have nothing of the edge.
 */
export function onFurtherServers(
  adapter: HttpServer,
  checkingIntervalMs: number,
  prepare: (server: Server) => void,
): void {
  const fastify = adapter.getInstance() as Record<symbol, unknown>;
  const symbol = Object.getOwnPropertySymbols(fastify).find(
    ({ description }) => description === 'fastify.serverBindings',
  );
  const servers = symbol && fastify[symbol];
  if (!Array.isArray(servers)) {
    throw new TypeError('HttpModule does not know this version of Fastify: it keeps its servers elsewhere.');
  }
  const options = keptOptionsOf(adapter);
  const more = { connectionsCheckingInterval: checkingIntervalMs };
  if (options.https) options.https = { ...(options.https === true ? {} : options.https), ...more };
  else options.http = { ...options.http, ...more };
  servers.push = (...added: Server[]): number => {
    for (const server of added) prepare(server);
    return Array.prototype.push.apply(servers, added);
  };
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
