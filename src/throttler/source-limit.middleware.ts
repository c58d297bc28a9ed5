import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost, type AbstractHttpAdapter } from '@nestjs/core';
import { onAdapterReady } from '../core/adapter-ready.js';
import { Clock } from '../core/clock.js';
import { RequestContext } from '../core/request-context.js';
import { SecurityEvents } from '../core/security-events.js';
import { BootError, type ZeroTrustError } from '../core/zero-trust-error.js';
import { rate, type Rate } from './gcra.js';
import { GcraStorage } from './gcra.storage.js';
import { addressOfRequest, SourceKeys } from './source.key.js';
import { THROTTLING_SETTINGS, type ThrottlingSettings } from './throttling.options.js';
import { tooManyRequests } from './too-many-requests.error.js';

/** Sources for which a refusal was recorded in its window. */
const MAX_RECORDED = 20_000;

type Next = (error?: Error) => void;

interface FastifyInstance {
  addHook(
    name: 'onRequest',
    hook: (request: unknown, reply: unknown, done: (error?: Error) => void) => void,
  ): void;
}

/**
 * The coarse limit per source, before anything costs. It is installed in the adapter itself while the modules are
 * made, and so it also sees what never reaches a guard: 404, 405, bodies that cannot be parsed or are too large.
 * It counts in this process alone: a shared storage must not be what a flood reaches first.
 */
@Injectable()
export class SourceLimitMiddleware implements OnModuleInit {
  readonly #logger = new Logger('ThrottlingModule');
  readonly #limit: Rate;
  readonly #sources: SourceKeys;
  readonly #counted: GcraStorage;
  readonly #recorded: GcraStorage;
  readonly #once: Rate;
  #unknownAdapter = false;

  constructor(
    host: HttpAdapterHost,
    @Inject(THROTTLING_SETTINGS) settings: ThrottlingSettings,
    private readonly clock: Clock,
    private readonly events: SecurityEvents,
  ) {
    this.#limit = rate(settings.sourceRequests, settings.sourceWindowSeconds);
    this.#once = rate(1, settings.sourceWindowSeconds);
    this.#sources = new SourceKeys(settings.ipv6PrefixBits);
    this.#counted = new GcraStorage(clock, settings.maxKeys);
    this.#recorded = new GcraStorage(clock, MAX_RECORDED);
    onAdapterReady(host, (adapter) => {
      this.#install(adapter);
    });
  }

  /** Counts the request, and hands a refusal to the adapter's error path, where it gets the one public shape. */
  judge(request: unknown, next: Next): void {
    // What the edge found out already, where it was first.
    const address = RequestContext.current()?.sourceAddress ?? addressOfRequest(request);
    // Without an address (a Unix socket without a trusted proxy) all callers are one source.
    const source = address === undefined ? '*' : this.#sources.of(address);
    const outcome = this.#counted.consume(source, this.#limit);
    if (outcome.allowed) {
      next();
      return;
    }
    const error = tooManyRequests('source', this.#limit, outcome);
    if (this.#recorded.consume(source, this.#once).allowed) {
      void this.#record(error, address).finally(() => {
        next(error);
      });
    } else {
      next(error);
    }
  }

  onModuleInit(): void {
    if (this.#unknownAdapter) {
      throw new BootError('ThrottlingModule', [
        'the HTTP adapter is neither Express nor Fastify, so nothing limits its requests per source: use one of them',
      ]);
    }
  }

  #install(httpAdapter: AbstractHttpAdapter): void {
    switch (httpAdapter.getType()) {
      case 'express':
        httpAdapter.use((request: unknown, _response: unknown, next: Next) => {
          this.judge(request, next);
        });
        break;
      case 'fastify':
        httpAdapter.getInstance<FastifyInstance>().addHook('onRequest', (request, _reply, done) => {
          this.judge(request, done);
        });
        break;
      default:
        this.#unknownAdapter = true;
    }
  }

  /** One record a window and source. The edge may not have opened its context yet; the event needs the address. */
  async #record(error: ZeroTrustError, address: string | undefined): Promise<void> {
    const publish = (): Promise<void> =>
      this.events.publish({
        action: 'throttle.refused',
        outcome: 'failure',
        delivery: 'detached',
        reason: error.detail,
        detail: { code: error.code, windowSeconds: this.#limit.windowSeconds },
      });
    const ambient = RequestContext.current();
    try {
      if (ambient) {
        await publish();
        return;
      }
      const context = new RequestContext({
        transport: 'http',
        receivedAtMs: this.clock.nowMs(),
        sourceAddress: address,
      });
      await RequestContext.run(context, publish);
    } catch (cause) {
      this.#logger.error(
        'throttle.refused could not be recorded',
        cause instanceof Error ? cause.stack : undefined,
      );
    }
  }
}
