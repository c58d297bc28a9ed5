import { Injectable } from '@nestjs/common';
import {
  EXCEPTION_FILTERS_METADATA,
  GUARDS_METADATA,
  INTERCEPTORS_METADATA,
} from '@nestjs/common/constants.js';
import { LazyModuleLoader, MetadataScanner, ModulesContainer } from '@nestjs/core';
import { HandlerContextInterceptor } from './handler-context.interceptor.js';
import { bindToModules, type ContainedModule } from './lazy-modules.js';
import { MessageContextInterceptor } from './message-context.interceptor.js';
import { MessageGuard } from './message.guard.js';
import { MessageProblemFilter } from './message-problem.filter.js';
import { ConnectionGate } from './connections/connection-gate.js';
import { OpenStreams } from './connections/open-streams.js';
import { lookForStreams } from './connections/streaming-handlers.js';
import { PipelineGuard } from './pipeline.guard.js';

// The metadata keys of optional packages, so that neither has to be installed.
/** `@MessagePattern()` and `@EventPattern()` of `@nestjs/microservices`, on the method. */
export const PATTERN_HANDLER_METADATA = 'microservices:handler_type';
/** `@WebSocketGateway()` of `@nestjs/websockets`, on the class. */
export const GATEWAY_METADATA = 'websockets:is_gateway';
/** `@SubscribeMessage()`, on the method. */
export const SUBSCRIPTION_METADATA = 'websockets:message_mapping';

type HandlerClass = (abstract new (...injected: never[]) => unknown) & { readonly name: string };

/** Stateless, so one for all applications of the process. */
const CONTEXT_INTERCEPTOR = new MessageContextInterceptor();
const HANDLER_INTERCEPTOR = new HandlerContextInterceptor();
const PROBLEM_FILTER = new MessageProblemFilter();

/**
 * Binds guard, request context and error shape to every class with message handlers, and has their answers looked at for
 * streams. In the constructor, because `connectMicroservice` reads the bindings before any lifecycle hook runs; on the
 * class, because a decorator or a tracer may replace the method of an instance, and what it put there would not be
 * guarded.
 */
@Injectable()
export class MessageHandlers {
  readonly #scanner = new MetadataScanner();

  constructor(
    modules: ModulesContainer,
    loader: LazyModuleLoader,
    pipeline: PipelineGuard,
    gate: ConnectionGate,
    streams: OpenStreams,
  ) {
    const guard = new MessageGuard(pipeline, gate, streams);
    bindToModules(modules, loader, (module) => {
      for (const { metatype } of module.controllers.values()) {
        this.#bind(module, guard, metatype, PATTERN_HANDLER_METADATA);
      }
      for (const { metatype } of module.providers.values()) {
        if (isClass(metatype) && Reflect.hasMetadata(GATEWAY_METADATA, metatype)) {
          this.#bind(module, guard, metatype, SUBSCRIPTION_METADATA);
        }
      }
    });
  }

  #bind(module: ContainedModule, guard: MessageGuard, metatype: unknown, handlerMark: string): void {
    if (!isClass(metatype)) return;
    const prototype = metatype.prototype as Record<string, object>;
    lookForStreams(prototype, handlerMark);
    const handlers = this.#scanner
      .getAllMethodNames(prototype)
      .flatMap((name) => prototype[name] ?? [])
      .filter((method) => Reflect.hasMetadata(handlerMark, method));
    if (handlers.length === 0) return;
    // How this application resolves the class that stands in the metadata.
    module.addInjectable({ provide: MessageGuard, useValue: guard }, 'guard');
    prepend(GUARDS_METADATA, MessageGuard, metatype);
    prepend(INTERCEPTORS_METADATA, CONTEXT_INTERCEPTOR, metatype);
    // Filters are asked from the last to the first: what the host binds to the method is asked before ours.
    for (const handler of handlers) {
      prepend(EXCEPTION_FILTERS_METADATA, PROBLEM_FILTER, handler);
      append(INTERCEPTORS_METADATA, HANDLER_INTERCEPTOR, handler);
    }
  }
}

function isClass(metatype: unknown): metatype is HandlerClass {
  return (
    typeof metatype === 'function' && typeof metatype.prototype === 'object' && metatype.prototype !== null
  );
}

/** Puts ours first, once: the same class may be registered in several modules and applications. */
function prepend(key: string, enhancer: unknown, target: object): void {
  const bound = boundTo(target, key);
  if (!bound.includes(enhancer)) Reflect.defineMetadata(key, [enhancer, ...bound], target);
}

/** The same, last. */
function append(key: string, enhancer: unknown, target: object): void {
  const bound = boundTo(target, key);
  if (!bound.includes(enhancer)) Reflect.defineMetadata(key, [...bound, enhancer], target);
}

function boundTo(target: object, key: string): readonly unknown[] {
  return (Reflect.getMetadata(key, target) ?? []) as unknown[];
}
