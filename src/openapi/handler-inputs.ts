import { ParseBoolPipe, ParseFloatPipe, ParseIntPipe, ParseUUIDPipe, type Type } from '@nestjs/common';
import { ROUTE_ARGS_METADATA, RouteParamtypes } from '@nestjs/common/internal';
import { UUID } from '../access/objects/resource.resolver.js';
import { MAX_ID_LENGTH } from '../access/objects/resources.js';
import type { HandlerHost } from '../access/inventory/route-entry.js';
import type { RoutePolicy } from '../core/route-policy.js';
import type { ResolverOf } from './demand.js';
import type { Schema } from './json-schema.js';
import { keywordsOf } from './rule-keywords.js';

/** One thing that a handler takes of the request: a whole class, or one value under a name. */
export interface HandlerInput {
  readonly source: 'body' | 'query' | 'path';
  readonly name: string | undefined;
  readonly type: unknown;
  readonly pipes: readonly unknown[];
  /** Where it is known without asking a pipe. */
  readonly schema?: Schema;
}

const SOURCES = new Map<number, HandlerInput['source']>([
  [RouteParamtypes.BODY, 'body'],
  [RouteParamtypes.QUERY, 'query'],
  [RouteParamtypes.PARAM, 'path'],
]);

/** What a handler takes in, read from what Nest itself calls it with. */
export function inputsOf({ type, prototype }: HandlerHost, handler: string): readonly HandlerInput[] {
  interface Argument {
    readonly index: number;
    readonly data?: unknown;
    readonly pipes?: readonly unknown[];
  }
  const declared = (Reflect.getMetadata(ROUTE_ARGS_METADATA, type, handler) ?? {}) as Record<
    string,
    Argument
  >;
  const types = (Reflect.getMetadata('design:paramtypes', prototype, handler) ?? []) as readonly unknown[];
  return Object.entries(declared).flatMap(([key, { index, data, pipes = [] }]) => {
    const source = SOURCES.get(Number(key.split(':', 1)[0]));
    const name = typeof data === 'string' ? data : undefined;
    return source === undefined ? [] : [{ source, name, type: types[index], pipes }];
  });
}

const PLAIN: ReadonlySet<unknown> = new Set([String, Number, Boolean, BigInt, Symbol, Object, Array, Date]);

/** The class that a whole body, query or set of parameters is bound to. */
export function classOf({ name, type }: HandlerInput): Type | undefined {
  return name === undefined && typeof type === 'function' && !PLAIN.has(type) ? (type as Type) : undefined;
}

const PIPES: readonly (readonly [pipe: Type, schema: Schema])[] = [
  [ParseUUIDPipe as Type, { type: 'string', format: 'uuid' }],
  [ParseIntPipe as Type, { type: 'integer' }],
  [ParseFloatPipe as Type, { type: 'number' }],
  [ParseBoolPipe as Type, { type: 'boolean' }],
];

/** What the pipes of a single value let through, as far as they are Nest's own. */
export function schemaOfPipes(pipes: readonly unknown[]): Schema | undefined {
  const known = PIPES.find(([type]) => pipes.some((pipe) => pipe === type || pipe instanceof type));
  return known?.[1];
}

/** The id of the object that the policy has loaded before the handler runs, which then need not name it. */
export function idInput(policy: RoutePolicy, resolverOf: ResolverOf): readonly HandlerInput[] {
  if (policy.kind !== 'permission' || policy.resource === undefined) return [];
  const { parameter: name, idFormat } = resolverOf(policy.resource);
  const schema =
    idFormat.source === UUID.source
      ? { type: 'string', format: 'uuid' }
      : { maxLength: MAX_ID_LENGTH, ...keywordsOf('matches', [idFormat]) };
  return [{ source: 'path', name, type: String, pipes: [], schema }];
}
