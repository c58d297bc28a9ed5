import { MetadataScanner } from '@nestjs/core';
import { metadataOf, policyOfMethod, type HandlerHost, type RouteEntry } from './route-entry.js';
import type { RoutePolicy } from '../../core/route-policy.js';

// The metadata keys of @nestjs/graphql, so that it does not have to be installed.
const TYPE_METADATA = 'graphql:resolver_type';
const NAME_METADATA = 'graphql:resolver_name';
const FIELD_METADATA = 'graphql:resolve_property';
const REFERENCE_METADATA = 'graphql:resolve_reference';
/** Says which type an object has; answers nothing. */
const TYPE_RESOLVER = '__resolveType';
/** Nest runs no guard on a method of this name, whatever it answers and under whatever name. */
const NEVER_GUARDED: RoutePolicy = {
  kind: 'undeclared',
  fault: `is called ${TYPE_RESOLVER}, and Nest guards no method of that name: give it another one`,
};
const ROOT_TYPES: ReadonlySet<unknown> = new Set(['Query', 'Mutation', 'Subscription']);

const scanner = new MetadataScanner();

/**
 * Queries, mutations, subscriptions and field resolvers of a provider.
 *
 * @param fieldsAreGuarded whether `fieldResolverEnhancers` contains `guards`; Nest runs none on fields otherwise.
 */
export function graphqlHandlersOf(host: HandlerHost, fieldsAreGuarded: boolean): readonly RouteEntry[] {
  return scanner.getAllMethodNames(host.prototype).flatMap((handlerName): RouteEntry[] => {
    const method = host.prototype[handlerName];
    // As Nest's own explorer reads it: a type on the class makes every method of it a resolver.
    const type = metadataOf(TYPE_METADATA, method) ?? metadataOf(TYPE_METADATA, host.type);
    const isReference = metadataOf(REFERENCE_METADATA, method) === true;
    const isField = isReference || metadataOf(FIELD_METADATA, method) === true;
    const isRoot = ROOT_TYPES.has(type);
    if (type === undefined || (!isRoot && !isField)) return [];
    const given = metadataOf(NAME_METADATA, method);
    const name = typeof given === 'string' ? given : handlerName;
    if (name === TYPE_RESOLVER && !isReference) return [];
    const policy = policyOfMethod(host, handlerName);
    const isGuarded = isRoot || fieldsAreGuarded;
    const typeName = typeof type === 'string' ? type : host.name;
    return [
      {
        transport: 'graphql',
        method: isRoot ? typeName.toUpperCase() : 'FIELD',
        path: isRoot ? name : `${typeName}.${name}`,
        className: host.name,
        handlerName,
        policy: handlerName === TYPE_RESOLVER ? NEVER_GUARDED : isGuarded ? policy : unguarded(policy),
      },
    ];
  });
}

function unguarded(policy: RoutePolicy): RoutePolicy {
  // Public on top of the policy of the query that leads here: nothing that would have to be enforced.
  if (policy.kind === 'public' || policy.kind === 'undeclared') return policy;
  const fault =
    "has a policy that Nest would not enforce: give GraphQLModule fieldResolverEnhancers: ['guards']";
  return { kind: 'undeclared', fault };
}
