import { Injectable, type ExecutionContext, type OnApplicationBootstrap } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { ResourceClass } from '../../core/route-policy.js';
import { BootError, ZeroTrustError } from '../../core/zero-trust-error.js';
import { AccessSettings } from '../access.settings.js';
import { argumentOf } from './handler-arguments.js';
import { placeFault, resolverFault } from './resource-faults.js';
import { ResourceResolver } from './resource.resolver.js';
import { RouteInventory } from '../inventory/route-inventory.js';

/** Characters. */
export const MAX_ID_LENGTH = 256;

/** The resolvers that handlers name, found once, and what they load. */
@Injectable()
export class Resources implements OnApplicationBootstrap {
  readonly #resolvers = new Map<ResourceClass, ResourceResolver<unknown>>();

  constructor(
    private readonly modules: ModuleRef,
    private readonly inventory: RouteInventory,
    private readonly settings: AccessSettings,
  ) {}

  /** @throws BootError that names each handler whose object nobody could load. */
  onApplicationBootstrap(): void {
    const faults = this.inventory.entries().flatMap((entry) => {
      const { policy, className, handlerName } = entry;
      if (policy.kind !== 'permission' || policy.resource === undefined) return [];
      const { resource } = policy;
      const fault = this.#faultOf(resource) ?? placeFault(entry, resource.name, this.resolverOf(resource));
      return fault === undefined ? [] : [`${className}.${handlerName} demands a resource: ${fault}`];
    });
    if (faults.length > 0) throw new BootError('AccessModule', [...new Set(faults)]);
  }

  /** @throws ZeroTrustError `internal-error` when nobody provides it. */
  resolverOf(resource: ResourceClass): ResourceResolver<unknown> {
    const fault = this.#faultOf(resource);
    const resolver = this.#resolvers.get(resource);
    if (fault === undefined && resolver) return resolver;
    throw new ZeroTrustError('internal-error', { detail: 'a resource has no resolver' });
  }

  /** Every resolver of a type of object that a handler names together with this permission. */
  resolversFor(permission: string, type: string): readonly ResourceResolver<unknown>[] {
    const named = this.inventory
      .entries()
      .flatMap(({ policy }) =>
        policy.kind === 'permission' &&
        policy.resource !== undefined &&
        (policy.permissions as readonly string[]).includes(permission)
          ? [this.resolverOf(policy.resource)]
          : [],
      );
    return [...new Set(named)].filter(({ rule }) => rule.type === type);
  }

  /** The id of the object that a call asks for. @throws ZeroTrustError `validation-failed` when it is none. */
  idIn(execution: ExecutionContext, resolver: ResourceResolver<unknown>): string {
    const { parameter } = resolver;
    const id = argumentOf(execution, parameter);
    if (this.accepts(resolver, id)) return id;
    throw new ZeroTrustError('validation-failed', {
      detail: 'the id of the resource is malformed',
      errors: [{ field: parameter, messages: ['must be an id'] }],
    });
  }

  accepts({ idFormat }: ResourceResolver<unknown>, id: unknown): id is string {
    // Longer texts are not matched at all: an expression of the host may be slow on them.
    return typeof id === 'string' && id.length <= MAX_ID_LENGTH && matches(idFormat, id);
  }

  /**
   * Loads an object within the resolver's time.
   *
   * @throws ZeroTrustError as the resolver threw it; `temporarily-unavailable` for everything else that it throws, and
   * when it takes too long: what cannot be known is not allowed (ASVS 16.5.3).
   */
  async load(resolver: ResourceResolver<unknown>, id: string): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`loading took longer than ${resolver.timeoutMs} ms`));
      }, resolver.timeoutMs);
    });
    try {
      return await Promise.race([resolver.load(id), late]);
    } catch (cause) {
      if (cause instanceof ZeroTrustError) throw cause;
      throw new ZeroTrustError('temporarily-unavailable', {
        detail: 'the resource could not be loaded',
        cause,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  #faultOf(resource: ResourceClass): string | undefined {
    if (this.#resolvers.has(resource)) return undefined;
    if (!(resource.prototype instanceof ResourceResolver)) {
      return `${resource.name} must extend ResourceResolver`;
    }
    let resolver: ResourceResolver<unknown>;
    try {
      resolver = this.modules.get<ResourceResolver<unknown>>(resource, { strict: false });
    } catch {
      return `nobody provides ${resource.name}: add it to the providers of its module, not scoped to a request`;
    }
    const fault = resolverFault(resource.name, resolver, this.settings);
    if (fault !== undefined) return fault;
    this.#resolvers.set(resource, resolver);
    return undefined;
  }
}

/** From the beginning, also when the expression keeps a place for the next search. */
function matches(format: RegExp, text: string): boolean {
  format.lastIndex = 0;
  return format.test(text);
}
