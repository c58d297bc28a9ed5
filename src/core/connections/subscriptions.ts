import {
  Injectable,
  Optional,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { INTERCEPTORS_METADATA } from '@nestjs/common/constants.js';
import { LazyModuleLoader, MetadataScanner, ModulesContainer } from '@nestjs/core';
import { mergeMap, Observable } from 'rxjs';
import { isSource, JudgedIterator } from './judged-iterator.js';
import { bindToModules } from '../lazy-modules.js';
import { messageProblemOf } from '../message-problem.filter.js';
import { letInOf, type LetIn } from './open-connection.js';
import { OpenStreams } from './open-streams.js';
import { messageContextOf } from '../pipeline.guard.js';
import { RequestContext } from '../request-context.js';
import { BootError, type ZeroTrustError } from '../zero-trust-error.js';

/** Where `@nestjs/graphql` says what a method resolves, so that it does not have to be installed. */
const RESOLVER_TYPE_METADATA = 'graphql:resolver_type';

/** Judges a subscription of GraphQL again for as long as it runs, whatever carries it. The pipeline let it in before. */
@Injectable()
export class SubscriptionInterceptor implements NestInterceptor {
  readonly #streams: OpenStreams;

  constructor(@Optional() streams?: OpenStreams) {
    if (!streams) {
      throw new BootError('SubscriptionInterceptor', [
        'a resolver with @Subscription() is shared with an application that has the kit: import PipelineModule here too, or give this application a class of its own',
      ]);
    }
    this.#streams = streams;
  }

  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    const call = letInOf(execution, messageContextOf(execution) ?? RequestContext.current());
    if (!call) return next.handle();
    return new Observable((subscriber) =>
      RequestContext.run(call.context, () =>
        next
          .handle()
          .pipe(mergeMap((answer: unknown) => this.#judged(answer, call)))
          .subscribe(subscriber),
      ),
    );
  }

  async #judged(answer: unknown, call: LetIn): Promise<unknown> {
    if (!isSource(answer)) return answer;
    const stream = new JudgedIterator(answer, (work) => RequestContext.run(call.context, work));
    try {
      const running = this.#streams.begin(call, (error) => {
        stream.end(publicErrorOf(error));
      });
      stream.onceOver(() => running?.forget(true));
      // There is no subscription that is an answer like any other: each counts from its beginning.
      running?.count();
      return stream;
    } catch (error) {
      stream.end(error as Error);
      throw await this.#streams.recorded(error, call);
    }
  }
}

/** Whoever serves a subscription sends the text of what ends it as it is: the public voice alone. */
function publicErrorOf(error: ZeroTrustError): Error {
  return Object.assign(new Error(error.code), { extensions: messageProblemOf(error) });
}

/** Binds that interceptor to every subscription: all other resolvers cost nothing. Before a schema is made of them. */
@Injectable()
export class Subscriptions {
  readonly #scanner = new MetadataScanner();

  constructor(modules: ModulesContainer, loader: LazyModuleLoader, streams: OpenStreams) {
    const interceptor = new SubscriptionInterceptor(streams);
    bindToModules(modules, loader, (module) => {
      for (const { metatype } of module.providers.values()) {
        const prototype = (metatype as { readonly prototype?: unknown } | null)?.prototype;
        if (typeof prototype !== 'object' || prototype === null) continue;
        const methods = prototype as Readonly<Record<string, object>>;
        const ofClass: unknown = Reflect.getMetadata(RESOLVER_TYPE_METADATA, metatype as object);
        const handlers = this.#scanner
          .getAllMethodNames(prototype)
          .flatMap((name) => methods[name] ?? [])
          .filter(
            (method) => (Reflect.getMetadata(RESOLVER_TYPE_METADATA, method) ?? ofClass) === 'Subscription',
          );
        if (handlers.length === 0) continue;
        module.addInjectable({ provide: SubscriptionInterceptor, useValue: interceptor }, 'interceptor');
        for (const handler of handlers) {
          const bound = (Reflect.getMetadata(INTERCEPTORS_METADATA, handler) ?? []) as unknown[];
          if (bound.includes(SubscriptionInterceptor)) continue;
          Reflect.defineMetadata(INTERCEPTORS_METADATA, [SubscriptionInterceptor, ...bound], handler);
        }
      }
    });
  }
}
