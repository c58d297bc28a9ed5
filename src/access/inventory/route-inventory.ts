import { Injectable } from '@nestjs/common';
import { ApplicationConfig, ModulesContainer } from '@nestjs/core';
import { graphqlHandlersOf } from './graphql.handlers.js';
import { httpHandlersOf } from './http.handlers.js';
import { gatewayHandlersOf, microserviceHandlersOf } from './message.handlers.js';
import { ReportOnlyCoverage } from '../report-only/report-only.coverage.js';
import { policyKey } from './policy-identity.js';
import type { HandlerHost, JudgedEntry, RouteEntry } from './route-entry.js';
import { taskHandlersOf } from './task.handlers.js';

/** A way in with the class that serves it: for whoever reads more of the handler than its policy. */
export interface ServedEntry<Entry extends RouteEntry = RouteEntry> {
  readonly host: HandlerHost;
  readonly entry: Entry;
}

export type HttpRoute = ServedEntry<JudgedEntry>;

type Module = ModulesContainer extends Map<string, infer Each> ? Each : never;
type Wrapper = Module['providers'] extends Map<unknown, infer Each> ? Each : never;

/** The options of `GraphQLModule`, by the token under which it provides them. */
const GRAPHQL_OPTIONS = 'GqlModuleOptions';

/**
 * Every handler of the application with its policy, on every transport. Reads classes and not instances, so that it
 * works in Nest's preview mode too, where nothing is constructed and no database is asked.
 */
@Injectable()
export class RouteInventory {
  constructor(
    private readonly modules: ModulesContainer,
    private readonly config: ApplicationConfig,
    private readonly coverage: ReportOnlyCoverage,
  ) {}

  entries(): readonly RouteEntry[] {
    // A class that several modules register is one and the same way in.
    return [...new Map(this.served().map(({ entry }) => [keyOf(entry), entry])).values()];
  }

  /** Every way in, once for each module that registers the class that serves it. */
  served(): readonly ServedEntry[] {
    const fieldsAreGuarded = this.#fieldsAreGuarded();
    return [...this.modules.values()].flatMap((module) => [
      ...[...module.controllers.values()]
        .flatMap(hostOf)
        .flatMap((host) =>
          this.#of<RouteEntry>(host, [
            ...this.#httpOf(module, host),
            ...microserviceHandlersOf(host),
            ...taskHandlersOf(host),
          ]),
        ),
      ...[...module.providers.values()]
        .flatMap(hostOf)
        .flatMap((host) =>
          this.#of(host, [
            ...gatewayHandlersOf(host),
            ...graphqlHandlersOf(host, fieldsAreGuarded),
            ...taskHandlersOf(host),
          ]),
        ),
    ]);
  }

  /** Every HTTP route, with the class that serves it. */
  httpRoutes(): readonly HttpRoute[] {
    return [...this.modules.values()].flatMap((module) =>
      [...module.controllers.values()]
        .flatMap(hostOf)
        .flatMap((host) => this.#of(host, this.#httpOf(module, host))),
    );
  }

  /** Whether a function is the method of a handler itself, which nobody but Nest may hand to the adapter. */
  isHandler(candidate: unknown): boolean {
    for (const module of this.modules.values()) {
      for (const { prototype } of [...module.controllers.values()].flatMap(hostOf)) {
        for (const name of Object.getOwnPropertyNames(prototype)) {
          if (Object.getOwnPropertyDescriptor(prototype, name)?.value === candidate) return true;
        }
      }
    }
    return false;
  }

  #httpOf({ metatype: type }: Module, host: HandlerHost): readonly JudgedEntry[] {
    return httpHandlersOf(host, { type, applicationId: this.modules.applicationId }, this.config);
  }

  #of<Entry extends RouteEntry>(host: HandlerHost, entries: readonly Entry[]): readonly ServedEntry<Entry>[] {
    return entries.map((entry) => {
      const handler = host.prototype[entry.handlerName] as object;
      const reportOnly = this.coverage.covers(host.type, handler);
      return { host, entry: reportOnly ? { ...entry, reportOnly } : entry };
    });
  }

  /** Only a GraphQL module that says so guards its fields; in preview its options may be unknown. */
  #fieldsAreGuarded(): boolean {
    const options = [...this.modules.values()].flatMap((module) => {
      const wrapper = module.providers.get(GRAPHQL_OPTIONS);
      return wrapper ? [wrapper.instance as { fieldResolverEnhancers?: unknown } | null] : [];
    });
    return (
      options.length > 0 &&
      options.every((each) => {
        const enhancers = each?.fieldResolverEnhancers;
        return Array.isArray(enhancers) && enhancers.includes('guards');
      })
    );
  }
}

/** Two classes of one name may demand different objects under one address: neither hides the other. */
function keyOf({ policy, ...entry }: RouteEntry): string {
  return JSON.stringify([entry, policyKey(policy)]);
}

function hostOf(wrapper: Wrapper): readonly HandlerHost[] {
  const provided: unknown = wrapper.instance;
  const instance =
    typeof provided === 'object' && provided !== null
      ? (provided as Readonly<Record<string, unknown>>)
      : undefined;
  const type: unknown = wrapper.isNotMetatype ? instance?.constructor : wrapper.metatype;
  if (typeof type !== 'function') return [];
  // What a factory or a value provides has no class that Nest knows; Nest asks the instance as well.
  const prototype: unknown = wrapper.isNotMetatype ? Object.getPrototypeOf(instance) : type.prototype;
  if (typeof prototype !== 'object' || prototype === null || prototype === Object.prototype) return [];
  return [
    {
      name: type.name,
      type,
      prototype: prototype as Readonly<Record<string, unknown>>,
      instance,
    },
  ];
}
