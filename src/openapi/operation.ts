import { HttpStatus } from '@nestjs/common';
import { HEADERS_METADATA, HTTP_CODE_METADATA, REDIRECT_METADATA } from '@nestjs/common/constants.js';
import type { OpenAPIObject } from '@nestjs/swagger';
import { STATUS_CODES } from 'node:http';
import type { HttpRoute } from '../access/inventory/route-inventory.js';
import { demandOf, inWords, type Demand, type ResolverOf } from './demand.js';
import { classOf, idInput, inputsOf } from './handler-inputs.js';
import type { NamedSchemas } from './named-schemas.js';
import { parametersIn, type Parameter } from './parameters.js';
import { parametersOf } from './path-template.js';
import type { Schema } from './json-schema.js';
import { refusalsOf } from './problem-answers.js';

/** An operation as @nestjs/swagger describes it. */
export type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;

/** A method and a path with everything that serves them: several handlers, where version or host tell them apart. */
export interface OperationSource {
  readonly method: string;
  readonly template: string;
  readonly routes: readonly [HttpRoute, ...HttpRoute[]];
  /** What decorators of @nestjs/swagger say of it. */
  readonly described: Operation | undefined;
}

/** What holds for the whole application. */
export interface Surroundings {
  readonly schemas: NamedSchemas;
  /** The security schemes by which a caller may prove who it is; any one will do. */
  readonly schemes: readonly string[];
  readonly throttled: boolean;
  readonly resolverOf: ResolverOf;
}

/** Completes an operation from the policy of its handler. Undefined where nothing but a refusal would be offered. */
export function completeOperation(source: OperationSource, around: Surroundings): Operation | undefined {
  const variants = source.routes.flatMap((route) => {
    const demand = demandOf(route.entry.policy, around.resolverOf);
    return demand ? [{ route, demand }] : [];
  });
  const [first] = variants;
  if (!first) return undefined;
  const demands = variants.map(({ demand }) => demand);
  const described = source.described ?? barely(first.route);
  const body = bodyOf(variants, described, around.schemas);
  const parameters = parametersIn(
    source.template,
    variants.flatMap(({ route: { host, entry } }) => [
      ...idInput(entry.policy, around.resolverOf),
      ...inputsOf(host, entry.handlerName),
    ]),
    (described.parameters ?? []) as readonly Parameter[],
    around.schemas,
  );
  const refusals = refusalsOf({
    demands,
    method: source.method,
    hasPathParameter: parametersOf(source.template).length > 0,
    hasBody: body !== undefined,
    throttled: around.throttled,
  });
  return {
    ...withoutClaims(described),
    description: [described.description, wordsOf(variants)].filter(Boolean).join('\n\n'),
    parameters,
    ...(body && { requestBody: body }),
    responses: { ...refusals, ...answered(described.responses, first.route) },
    security: securityOf(demands, around.schemes),
    ...extensionsOf(variants),
  } as Operation;
}

/** Nobody but the policy says what is demanded, and nobody but the rules what is taken in. */
const CLAIMS = /^(requestBody|security|x-required-.*|x-variants)$/;

function withoutClaims(described: Operation): Record<string, unknown> {
  return Object.fromEntries(Object.entries(described).filter(([key]) => !CLAIMS.test(key)));
}

interface Variant {
  readonly route: HttpRoute;
  readonly demand: Demand;
}

const areAlike = (variants: readonly Variant[]): boolean =>
  new Set(variants.map(({ demand }) => JSON.stringify(demand))).size === 1;

function labelOf({ version, host }: HttpRoute['entry']): string {
  const told = [
    version === undefined ? [] : [`version ${version}`],
    host === undefined ? [] : [`host ${host}`],
  ];
  return told.flat().join(', ') || 'else';
}

function wordsOf(variants: readonly Variant[]): string {
  if (areAlike(variants)) return inWords(variants[0]?.demand ?? { access: 'permission' });
  return variants.map(({ route, demand }) => `- ${labelOf(route.entry)}: ${inWords(demand)}`).join('\n');
}

/** What a program reads of the policy; one entry a variant where they differ. */
function extensionsOf(variants: readonly Variant[]): Record<string, unknown> {
  const demanded = ({ demand }: Variant): Record<string, unknown> => {
    const { permissions, object, tenant, assurance } = demand;
    return {
      ...(permissions && { 'x-required-permissions': permissions }),
      ...(object && { 'x-required-object': object }),
      ...(tenant && { 'x-required-tenant': tenant }),
      ...(assurance && { 'x-required-assurance': assurance }),
    };
  };
  const [first] = variants;
  if (first && areAlike(variants)) return demanded(first);
  return {
    'x-variants': variants.map((variant) => {
      const { version, host } = variant.route.entry;
      return {
        ...(version !== undefined && { version }),
        ...(host !== undefined && { host }),
        access: variant.demand.access,
        ...demanded(variant),
      };
    }),
  };
}

function securityOf(demands: readonly Demand[], schemes: readonly string[]): Record<string, string[]>[] {
  const open = demands.filter(({ access }) => access === 'public').length;
  if (open === demands.length) return [];
  return [...(open > 0 ? [{}] : []), ...schemes.map((scheme) => ({ [scheme]: [] }))];
}

function bodyOf(
  variants: readonly Variant[],
  described: Operation,
  schemas: NamedSchemas,
): Schema | undefined {
  const classes = variants.flatMap(({ route: { host, entry } }) =>
    inputsOf(host, entry.handlerName).flatMap((input) => (input.source === 'body' ? [classOf(input)] : [])),
  );
  const known = [...new Set(classes)].filter((each) => each !== undefined);
  if (known.length === 0) return undefined;
  const [only, ...others] = known.map(schemas.refer);
  const { description } = (described.requestBody ?? {}) as { readonly description?: string };
  return {
    ...(description !== undefined && { description }),
    required: known.every((each) => schemas.demandsSomething(each)),
    content: { 'application/json': { schema: others.length === 0 ? only : { anyOf: [only, ...others] } } },
  };
}

/** For a route that @nestjs/swagger puts elsewhere, or nowhere. */
function barely({ entry: { className, handlerName } }: HttpRoute): Operation {
  const tags = [className.replace(/Controller$/, '')];
  return { operationId: `${className}_${handlerName}`, tags, responses: {} };
}

/** The status of a handler that says nothing else, as Nest sets it. */
function statusOf({ host, entry: { handlerName, method } }: HttpRoute): number {
  const handler = host.prototype[handlerName] as object;
  const redirect = Reflect.getMetadata(REDIRECT_METADATA, handler) as { statusCode?: number } | undefined;
  if (redirect) return redirect.statusCode ?? HttpStatus.FOUND;
  const code = Reflect.getMetadata(HTTP_CODE_METADATA, handler) as number | undefined;
  return code ?? (method === 'POST' ? HttpStatus.CREATED : HttpStatus.OK);
}

const EMPTY: ReadonlySet<string> = new Set(['204', '205', '304']);

/** What a handler answers with: its status, its media type, and whatever @ApiResponse says; types are gone at run time. */
function answered(said: Operation['responses'], route: HttpRoute): Record<string, unknown> {
  const { host, entry } = route;
  const isSaid = Object.keys(said).some((status) => /^[23]/.test(status));
  const responses = isSaid ? said : { [statusOf(route)]: { description: '' }, ...said };
  const headers = Reflect.getMetadata(HEADERS_METADATA, host.prototype[entry.handlerName] as object) as
    readonly { readonly name: string; readonly value: unknown }[] | undefined;
  const declared = headers?.find(({ name }) => name.toLowerCase() === 'content-type')?.value;
  const type = typeof declared === 'string' ? (declared.split(';', 1)[0] ?? declared) : 'application/json';
  return Object.fromEntries(
    Object.entries(responses).map(([status, response]): [string, unknown] => {
      if (!response || '$ref' in response) return [status, response];
      const description = response.description || (STATUS_CODES[status] ?? 'An answer.');
      const isWhole = response.content !== undefined || EMPTY.has(status) || !status.startsWith('2');
      return [status, { ...response, description, ...(!isWhole && { content: { [type]: {} } }) }];
    }),
  );
}
