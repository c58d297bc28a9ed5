import { Injectable, Optional, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { GUARDS_METADATA } from '@nestjs/common/constants.js';
import { LazyModuleLoader, MetadataScanner, ModulesContainer } from '@nestjs/core';
import type { ServerResponse } from 'node:http';
import { closeResponse } from './connection-closing.js';
import { bindToModules } from '../lazy-modules.js';
import { isLongLived } from './long-lived.js';
import { letInOf } from './open-connection.js';
import { OpenConnections } from './open-connections.js';
import { messageContextOf } from '../pipeline.guard.js';
import { RequestContext } from '../request-context.js';
import { BootError } from '../zero-trust-error.js';

/** Keeps an eye on a response that may stay open. It refuses nothing: the pipeline has judged the request before it. */
@Injectable()
export class LongResponseGuard implements CanActivate {
  readonly #connections: OpenConnections;

  constructor(@Optional() connections?: OpenConnections) {
    if (!connections) {
      throw new BootError('LongResponseGuard', [
        'a controller with @Sse() or @LongLived() is shared with an application that has the kit: import PipelineModule here too, or give this application a class of its own',
      ]);
    }
    this.#connections = connections;
  }

  canActivate(execution: ExecutionContext): boolean {
    if (execution.getType() !== 'http') return true;
    const call = letInOf(execution, messageContextOf(execution) ?? RequestContext.current());
    const response = rawResponseOf(execution.getArgByIndex(1));
    if (call && !response.destroyed && !response.writableEnded) {
      this.#connections.watch(response, call, () => {
        closeResponse(response);
      });
    }
    return true;
  }
}

/** Express hands out Node's own response, Fastify keeps it in `raw`. */
function rawResponseOf(response: ServerResponse | { readonly raw: ServerResponse }): ServerResponse {
  return 'raw' in response ? response.raw : response;
}

/** Binds that guard to the handlers whose answers may stay open: all others cost nothing. Before routes are made. */
@Injectable()
export class LongResponses {
  readonly #scanner = new MetadataScanner();

  constructor(modules: ModulesContainer, loader: LazyModuleLoader, connections: OpenConnections) {
    const guard = new LongResponseGuard(connections);
    bindToModules(modules, loader, (module) => {
      for (const { metatype } of module.controllers.values()) {
        const prototype = (metatype as { readonly prototype?: unknown } | null)?.prototype;
        if (typeof prototype !== 'object' || prototype === null) continue;
        const methods = prototype as Readonly<Record<string, object>>;
        const handlers = this.#scanner
          .getAllMethodNames(prototype)
          .flatMap((name) => methods[name] ?? [])
          .filter(isLongLived);
        if (handlers.length === 0) continue;
        module.addInjectable({ provide: LongResponseGuard, useValue: guard }, 'guard');
        for (const handler of handlers) {
          const bound = (Reflect.getMetadata(GUARDS_METADATA, handler) ?? []) as unknown[];
          if (!bound.includes(LongResponseGuard)) {
            Reflect.defineMetadata(GUARDS_METADATA, [LongResponseGuard, ...bound], handler);
          }
        }
      }
    });
  }
}
