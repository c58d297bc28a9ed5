import type { INestApplication } from '@nestjs/common';
import type { AbstractHttpAdapter, ApplicationConfig, ModulesContainer } from '@nestjs/core';
import { ApiExcludeController, ApiExcludeEndpoint, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { HttpRoute } from '../access/inventory/route-inventory.js';
import { ACCESS_COOKIE } from '../sessions/cookies.js';
import type { ResolverOf } from './demand.js';
import { NamedSchemas } from './named-schemas.js';
import { completeOperation, type Operation, type OperationSource, type Surroundings } from './operation.js';
import type { OpenApiSettings } from './openapi.options.js';
import { pathTemplate } from './path-template.js';
import { PROBLEM_HEADERS, PROBLEM_SCHEMA, problemResponses } from './problem-answers.js';
import { referredFrom } from './referred-schemas.js';

/** All that a document is made of. */
export interface DocumentSources {
  readonly settings: OpenApiSettings;
  readonly routes: readonly HttpRoute[];
  /** Whether a session may come in a cookie. */
  readonly cookies: boolean;
  readonly throttled: boolean;
  readonly resolverOf: ResolverOf;
  readonly nest: {
    readonly modules: ModulesContainer;
    readonly config: ApplicationConfig;
    readonly adapter: AbstractHttpAdapter;
  };
}

type Paths = Record<string, Record<string, Operation>>;

const SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'An access token (RFC 6750).' },
  cookie: {
    type: 'apiKey',
    in: 'cookie',
    name: ACCESS_COOKIE,
    description: 'For browsers, set by a sign-in.',
  },
} as const;

/**
 * The document: which operations there are, and what they demand, is the route inventory's word, the same that the
 * access matrix is made of. @nestjs/swagger adds what its decorators say, and nothing that is not served.
 */
export function assembleDocument(sources: DocumentSources): OpenAPIObject {
  const described = describedBySwagger(sources);
  const schemas = new NamedSchemas();
  const schemes = sources.cookies ? (['bearer', 'cookie'] as const) : (['bearer'] as const);
  const { throttled, resolverOf } = sources;
  const around: Surroundings = { schemas, schemes, throttled, resolverOf };
  const paths: Paths = {};
  const ids = new Set<string>();
  for (const source of operationsOf(sources.routes, described)) {
    const operation = completeOperation(source, around);
    if (!operation) continue;
    const operations = (paths[source.template] ??= {});
    operations[source.method] = { ...operation, operationId: unique(operation.operationId ?? '', ids) };
  }
  const all = { ...described.components?.schemas, ...schemas.all, Problem: PROBLEM_SCHEMA };
  const { title, version, description } = sources.settings;
  return {
    openapi: '3.1.1',
    info: { title, version, ...(description !== '' && { description }) },
    paths,
    components: {
      schemas: referredFrom([paths, problemResponses()], all),
      responses: problemResponses(),
      headers: PROBLEM_HEADERS,
      securitySchemes: Object.fromEntries(schemes.map((scheme) => [scheme, SCHEMES[scheme]])),
    },
  } as unknown as OpenAPIObject;
}

/** What @nestjs/swagger makes of the application; it asks for no more of one than these three things. */
function describedBySwagger({ settings, nest }: DocumentSources): OpenAPIObject {
  const application = {
    container: { getModules: () => nest.modules },
    config: nest.config,
    getHttpAdapter: () => nest.adapter,
  };
  const { title, version } = settings;
  return SwaggerModule.createDocument(application as unknown as INestApplication, {
    openapi: '3.1.1',
    info: { title, version },
  });
}

/** The methods that a path of OpenAPI 3.1 can have; it has no word for the others. */
const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'] as const;

function operationsOf(routes: readonly HttpRoute[], described: OpenAPIObject): readonly OperationSource[] {
  const found = new Map<string, OperationSource>();
  for (const route of routes) {
    if (isHidden(route)) continue;
    const { method: served, path } = route.entry;
    const template = pathTemplate(path);
    for (const method of METHODS.filter((each) => served === 'ALL' || served === each.toUpperCase())) {
      const key = `${method} ${template}`;
      const others = found.get(key)?.routes ?? [];
      // A class that several modules register is one and the same way in.
      const isKnown = others.some(({ entry }) => JSON.stringify(entry) === JSON.stringify(route.entry));
      const all = (isKnown ? others : [...others, route]) as OperationSource['routes'];
      found.set(key, { method, template, routes: all, described: described.paths[template]?.[method] });
    }
  }
  return [...found.values()].sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

const sortKey = ({ template, method }: OperationSource): string =>
  `${template}\u0000${METHODS.indexOf(method as (typeof METHODS)[number])}`;

/** What the two decorators write, and where: the names of their metadata are nobody's promise. */
const hidden = (): void => undefined;
const Hidden = function (): void {
  // Stands for a class.
};
ApiExcludeEndpoint()({}, '', { value: hidden });
ApiExcludeController()(Hidden);
const [HIDDEN_METHOD] = Reflect.getMetadataKeys(hidden) as unknown[];
const [HIDDEN_CLASS] = Reflect.getMetadataKeys(Hidden) as unknown[];

/** Whether the host has taken a handler, or its whole class, out of the documentation. */
function isHidden({ host, entry }: HttpRoute): boolean {
  const method = host.prototype[entry.handlerName] as object;
  const onMethod = Reflect.getMetadata(HIDDEN_METHOD, method) as { readonly disable?: boolean } | undefined;
  const onClass = Reflect.getMetadata(HIDDEN_CLASS, host.type) as readonly [boolean?] | undefined;
  return onMethod?.disable === true || onClass?.[0] === true;
}

/** Generated clients name functions by it: two of one name would be one. */
function unique(id: string, taken: Set<string>): string {
  let name = id;
  for (let next = 2; taken.has(name); next += 1) name = `${id}_${next}`;
  taken.add(name);
  return name;
}
