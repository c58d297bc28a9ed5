import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { HttpAdapterHost, type AbstractHttpAdapter } from '@nestjs/core';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { onAdapterReady } from '../core/adapter-ready.js';
import { Clock } from '../core/clock.js';
import { RequestContext } from '../core/request-context.js';
import { HTTP_SETTINGS, type HttpSettings } from './http.options.js';
import { mediaTypeFault } from './request-content.js';
import { requestIdOf } from './request-id.js';
import { requestLineFault } from './request-line.js';
import { RequestLog } from './request-log.js';
import { StandingFields } from './standing-fields.js';

/** What both adapters' requests have in common. */
interface EdgeRequest {
  readonly ip?: string;
}

type Next = (error?: Error) => void;

interface FastifyInstance {
  addHook(
    name: 'onRequest',
    hook: (
      request: EdgeRequest & { raw: IncomingMessage },
      reply: { raw: ServerResponse },
      done: Next,
    ) => void,
  ): void;
}

/** On the request itself: a WeakMap of all requests costs a multiple, and the collector too. */
const CONTEXT = Symbol('nestjs-zero-trust:request-context');
type Opened = IncomingMessage & { [CONTEXT]?: RequestContext };

/**
 * Opens the request context, before anything else of the application runs: it is installed in the adapter itself,
 * so it also sees 404, 405 and bodies that cannot be parsed.
 */
@Injectable()
export class RequestContextOpening implements OnApplicationShutdown {
  constructor(
    host: HttpAdapterHost,
    @Inject(HTTP_SETTINGS) private readonly settings: HttpSettings,
    private readonly clock: Clock,
    private readonly log: RequestLog,
  ) {
    onAdapterReady(host, (adapter) => {
      this.#install(adapter);
    });
  }

  onApplicationShutdown(): void {
    this.log.flush();
  }

  #install(httpAdapter: AbstractHttpAdapter): void {
    if (httpAdapter.getType() === 'fastify') {
      httpAdapter.getInstance<FastifyInstance>().addHook('onRequest', (request, reply, done) => {
        this.#open(request, request.raw, reply.raw, done);
      });
    } else {
      httpAdapter.use((request: EdgeRequest & IncomingMessage, response: ServerResponse, next: Next) => {
        this.#open(request, request, response, next);
      });
    }
  }

  /**
   * The one context of a request, also outside of its asynchronous context: what refuses before the edge opened it
   * (Nest's check for cross-site requests, Fastify's router) leaves the same traces as any other refusal.
   */
  contextOf(request: EdgeRequest, raw: Opened, response: ServerResponse): RequestContext {
    const known = raw[CONTEXT];
    if (known) return known;
    const url = raw.url ?? '/';
    const query = url.indexOf('?');
    const context = new RequestContext({
      id: requestIdOf(raw),
      transport: 'http',
      receivedAtMs: this.clock.nowMs(),
      sourceAddress: this.#sourceOf(request, raw.socket.remoteAddress),
      method: raw.method ?? '',
      path: query < 0 ? url : url.slice(0, query),
      userAgent: raw.headers['user-agent'],
    });
    raw[CONTEXT] = context;
    // Where no server named the request: it was injected, or its server is not the application's.
    if (!StandingFields.areOn(response)) {
      response.setHeader('X-Request-Id', context.id);
      response.setHeader('Cache-Control', 'no-store');
    }
    if (this.settings.requestLog) this.log.watch(context, response);
    return context;
  }

  /** What a proxy forwards is not always an address: then the peer, who sent it, is the source. */
  #sourceOf(request: EdgeRequest, peer: string | undefined): string | undefined {
    // Nobody's word counts, so there is none to be taken apart.
    if (this.settings.trustedProxies.length === 0) return plainAddress(peer);
    const address = plainAddress(request.ip);
    return address !== undefined && isIP(address) !== 0 ? address : plainAddress(peer);
  }

  #open(request: EdgeRequest, raw: IncomingMessage, response: ServerResponse, next: Next): void {
    const context = this.contextOf(request, raw, response);
    const fault =
      requestLineFault(raw, this.settings) ?? mediaTypeFault(raw.headers, this.settings.bodyLimitBytes);
    RequestContext.run(context, () => {
      next(fault);
    });
  }
}

/** One notation an address: an IPv4 address that came through an IPv6 socket is written as IPv4, without a zone. */
function plainAddress(address: string | undefined): string | undefined {
  return address?.includes(':') ? address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '') : address;
}
