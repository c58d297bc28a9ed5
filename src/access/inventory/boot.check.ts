import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { HttpAdapterHost, type AbstractHttpAdapter } from '@nestjs/core';
import type { Server } from 'node:http';
import { onAdapterReady } from '../../core/adapter-ready.js';
import { BootError } from '../../core/zero-trust-error.js';
import { accessMatrix } from './access-matrix.js';
import { AccessSettings } from '../access.settings.js';
import type { AdapterRoute, AdapterRouteReader, WrappableAdapter } from './adapter-routes.js';
import { ExpressRoutes } from './express.routes.js';
import { FastifyRoutes } from './fastify.routes.js';
import { policyFaults } from './policy-faults.js';
import { publicRoutesRefusals } from './public-routes.js';
import { reportOnlyBanner } from '../report-only/report-only.banner.js';
import { ReportOnlyCoverage } from '../report-only/report-only.coverage.js';
import type { RouteEntry } from './route-entry.js';
import { namesakesOf, taskFaults } from './task.handlers.js';
import { RouteInventory } from './route-inventory.js';

/**
 * Nothing listens while there is a way in that nobody declared: a handler without a policy or with two, one that
 * demands what nobody declared, a route that bypasses Nest, or one that anybody reaches and nobody reviewed. Looks again when the server begins to listen, because
 * routes may be added after the application has booted.
 */
@Injectable()
export class BootCheck implements OnApplicationBootstrap {
  readonly #logger = new Logger('AccessModule');
  #adapter: WrappableAdapter | undefined;
  #reader: AdapterRouteReader | undefined;
  #booted = false;
  #announced = '';

  constructor(
    private readonly inventory: RouteInventory,
    private readonly settings: AccessSettings,
    private readonly coverage: ReportOnlyCoverage,
    host: HttpAdapterHost,
  ) {
    // In the constructor: Fastify tells of a route only while it is added. A testing module has its adapter later.
    onAdapterReady(host, (adapter) => {
      this.#watch(adapter);
    });
  }

  onApplicationBootstrap(): void {
    this.#booted = true;
    this.#assertDeclared();
    // Before Nest's own listener: whoever waits for `listen` learns why, and the port is closed in the same turn.
    (this.#adapter?.getHttpServer() as Server | undefined)?.prependListener('listening', this.#onListening);
  }

  /** What the start is refused for, as far as is known by now: class, method, path and mend of each. Needs no `init()`. */
  faults(): readonly string[] {
    const misplaced = this.coverage.faults(this.inventory.served().map(({ host }) => host));
    const enforced = this.inventory.entries().filter(({ reportOnly }) => !reportOnly);
    return [
      ...misplaced,
      ...this.faultsOf(enforced),
      ...this.#unservedFaults(),
      ...this.#adapterFaults(),
      ...this.#publicFaults(),
    ];
  }

  /** A call that is let through although it was refused would come to such a handler with nothing to work on. */
  #unservedFaults(): readonly string[] {
    return this.inventory.entries().flatMap((entry) => {
      const { policy, reportOnly } = entry;
      if (!reportOnly || policy.kind !== 'permission' || !(policy.resource ?? policy.list)) return [];
      return [
        `${titleOf(entry)} takes its object or filter from its policy and is report-only: enforce it, or ask for the ` +
          'object in the handler with AccessService.require(), which can be reported',
      ];
    });
  }

  /** @throws BootError with every fault. */
  #assertDeclared(): void {
    const faults = this.faults();
    if (faults.length > 0) throw new BootError('AccessModule', faults);
    this.#announce();
  }

  /** What would refuse the start, were these ways in enforced. */
  faultsOf(entries: readonly RouteEntry[]): readonly string[] {
    const namesakes = namesakesOf(entries).map(
      (entry) =>
        `${titleOf(entry)} has the name of another task: the log knows each by its name alone, choose another`,
    );
    const faults = entries.flatMap((entry) => {
      const { policy } = entry;
      if (policy.kind === 'undeclared') return [`${titleOf(entry)} ${policy.fault}`];
      if (policy.kind === 'system')
        return taskFaults(policy, this.settings).map((fault) => `${titleOf(entry)} ${fault}`);
      if (policy.kind !== 'permission') return [];
      return policyFaults(policy, this.settings).map((fault) => `${titleOf(entry)} ${fault}`);
    });
    return [...faults, ...namesakes];
  }

  /** Never silently: at the start, and again when there is more to say. */
  #announce(): void {
    const entries = this.inventory.entries();
    const banner = reportOnlyBanner(
      entries,
      this.faultsOf(entries.filter(({ reportOnly }) => reportOnly)),
      this.settings.reportOnly.adapterRoutes ? this.undeclaredRoutes().map(keyOf) : [],
    );
    if (banner !== undefined && banner !== this.#announced) this.#logger.warn(banner);
    this.#announced = banner ?? '';
  }

  #adapterFaults(): readonly string[] {
    if (!this.#adapter) return [];
    if (!this.#reader) {
      return [
        `the routes of the "${this.#adapter.getType()}" adapter cannot be seen: use platform-express or platform-fastify`,
      ];
    }
    const found = new Set(this.#reader.foreign().map(keyOf));
    const undeclared = this.settings.reportOnly.adapterRoutes ? [] : this.undeclaredRoutes();
    return [
      ...undeclared.map((route) => {
        const entry = `{ method: '${route.method}', path: '${route.path}', reason: '…' }`;
        return (
          `${keyOf(route)} is served by the HTTP adapter itself, where no guard sees it: make it a controller's, ` +
          `or review it into AccessModule's "adapterRoutes": ${entry}`
        );
      }),
      ...this.settings.adapterRoutes
        .map(keyOf)
        .filter((route) => !found.has(route))
        .map((route) => `adapterRoutes names ${route}, which is not there: remove the entry`),
    ];
  }

  /** Undeclared routes of the adapter are faults of their own already. */
  #publicFaults(): readonly string[] {
    const { publicRoutes, adapterRoutes } = this.settings;
    if (!publicRoutes) return [];
    const bypassing = this.settings.reportOnly.adapterRoutes ? this.undeclaredRoutes() : [];
    const rows = accessMatrix(this.inventory.entries(), adapterRoutes, new Map(), bypassing, true);
    return publicRoutesRefusals(rows, publicRoutes);
  }

  /** What the adapter serves by itself, as far as it has been told by now, and nobody has reviewed. */
  undeclaredRoutes(): readonly AdapterRoute[] {
    const declared = new Set(this.settings.adapterRoutes.map(keyOf));
    return (this.#reader?.foreign() ?? []).filter((route) => !declared.has(keyOf(route)));
  }

  #watch(held: AbstractHttpAdapter): void {
    if (this.#adapter) return;
    // Nest types the callbacks for one platform each.
    const adapter = held as unknown as WrappableAdapter;
    this.#adapter = adapter;
    const isHandler = (candidate: unknown): boolean => this.inventory.isHandler(candidate);
    const recheck = (): void => {
      if (this.#booted) this.#assertDeclared();
    };
    if (adapter.getType() === 'express') this.#reader = new ExpressRoutes(adapter, isHandler);
    if (adapter.getType() === 'fastify') this.#reader = new FastifyRoutes(adapter, isHandler, recheck);
  }

  readonly #onListening = (): void => {
    try {
      this.#assertDeclared();
    } catch (error) {
      this.#logger.fatal(error instanceof Error ? error.message : String(error));
      const server = this.#adapter?.getHttpServer() as Server;
      server.close();
      server.emit('error', error);
    }
  };
}

function keyOf({ method, path }: { readonly method: string; readonly path: string }): string {
  return `${method} ${path}`;
}

function titleOf({ transport, method, path, className, handlerName }: RouteEntry): string {
  return `${className}.${handlerName} (${transport} ${method} ${path})`;
}
