import type { AbstractHttpAdapter } from '@nestjs/core';

/** A route that the HTTP adapter itself holds, and that no guard of Nest's sees. */
export interface AdapterRoute {
  /** `GET`, …, `ALL`, or `USE` for what is mounted on a path. */
  readonly method: string;
  readonly path: string;
}

/** Knows what one kind of adapter holds. */
export interface AdapterRouteReader {
  /** Every route that Nest did not make out of a handler. */
  foreign(): readonly AdapterRoute[];
}

export type Mount = (path: string, callback: object) => unknown;

/** The methods of an adapter through which Nest hands over what is its own. */
export interface WrappableAdapter extends Pick<
  AbstractHttpAdapter,
  'getInstance' | 'getType' | 'getHttpServer'
> {
  createMiddlewareFactory(...given: unknown[]): Mount | Promise<Mount>;
  setNotFoundHandler?(handler: object, ...rest: unknown[]): unknown;
  enableCors(...given: unknown[]): unknown;
  setErrorHandler?(handler: object, ...rest: unknown[]): unknown;
}
