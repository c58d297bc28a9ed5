import { Catch, Injectable, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { ServerResponse, type IncomingMessage } from 'node:http';
import { throwError } from 'rxjs';
import { MessageProblemFilter, messageProblemOf } from '../core/message-problem.filter.js';
import { RequestContext } from '../core/request-context.js';
import { SecurityEvents } from '../core/security-events.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { AdapterMethods } from './adapter-methods.js';
import { CrossSiteRefusal } from './cross-site-refusal.js';
import { problemOf, type Problem } from './problem-document.js';
import { RequestContextOpening } from './request-context.opening.js';

type AdapterRequest = IncomingMessage & { readonly raw?: IncomingMessage; readonly ip?: string };
type AdapterReply = ServerResponse & { readonly raw?: ServerResponse };

/** What a handler may have said of an answer that now is another one. */
const STALE = ['Content-Encoding', 'ETag', 'Last-Modified'];

/**
 * Turns any error into the one public shape, on every transport. Two voices: the caller gets the problem document,
 * the operator a line in the log when the fault is ours (ASVS 16.5.1, 16.5.4).
 */
@Catch()
@Injectable()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger = new Logger('Http');
  readonly #messages = new MessageProblemFilter();

  constructor(
    private readonly host: HttpAdapterHost,
    private readonly methods: AdapterMethods,
    private readonly opening: RequestContextOpening,
    private readonly events: SecurityEvents,
  ) {}

  /** @returns for HTTP nothing, or a promise of nothing that never rejects; else what the transport sends. */
  catch(thrown: unknown, host: ArgumentsHost): unknown {
    const type = host.getType<string>();
    if (type === 'http') {
      const request = host.switchToHttp().getRequest<AdapterRequest>();
      const reply = host.switchToHttp().getResponse<AdapterReply>();
      const raw = request.raw ?? request;
      const context = this.opening.contextOf(request, raw, reply.raw ?? reply);
      const answer = (error: unknown): void => {
        this.#answer(error, raw, reply, context);
      };
      if (thrown instanceof CrossSiteRefusal) {
        return this.#recorded(thrown, context)
          .then(answer)
          .catch(() => {
            // Nobody else would hear of it: an open connection without an answer must not stay.
            raw.destroy();
          });
      }
      answer(thrown);
      return undefined;
    }
    const problem = problemOf(thrown, RequestContext.current()?.id ?? '00000000-0000-0000-0000-000000000000');
    this.#report(problem, RequestContext.current());
    const error =
      thrown instanceof ZeroTrustError
        ? thrown
        : new ZeroTrustError(problem.document.code, { detail: problem.detail });
    if (type === 'rpc') return throwError(() => messageProblemOf(error));
    if (type === 'ws') return this.#messages.catch(error, host);
    return Object.assign(new Error(problem.document.title), { extensions: messageProblemOf(error) });
  }

  /** Every other refusal is recorded by who refuses; this one comes before anybody could. */
  async #recorded(refusal: CrossSiteRefusal, context: RequestContext): Promise<ZeroTrustError> {
    try {
      await RequestContext.run(context, () =>
        this.events.publish({
          action: 'access.refused',
          outcome: 'failure',
          delivery: 'detached',
          reason: refusal.detail,
          detail: { code: refusal.code },
        }),
      );
      return refusal;
    } catch (cause) {
      const detail = 'a refusal could not be recorded';
      return new ZeroTrustError('temporarily-unavailable', { detail, cause });
    }
  }

  #answer(thrown: unknown, raw: IncomingMessage, reply: AdapterReply, context: RequestContext): void {
    const response = reply.raw ?? reply;
    const problem = this.#withMethods(problemOf(thrown, context.id), raw, context);
    this.#report(problem, context);
    // Once a stream has begun there is no honest status left: break it off, so that nobody takes it for whole.
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const fields = { 'X-Request-Id': context.id, 'Cache-Control': 'no-store', ...problem.headers };
    // Fastify keeps a table of its own, which would win.
    if (reply.raw) for (const name of [...Object.keys(fields), ...STALE]) reply.removeHeader(name);
    for (const [name, value] of Object.entries(fields)) response.setHeader(name, value);
    for (const name of STALE) response.removeHeader(name);
    // A reason that cannot be written would keep this answer from being written too. HTTP/2 has none.
    if (response instanceof ServerResponse) response.statusMessage = '';
    const { httpAdapter } = this.host;
    httpAdapter.setHeader(reply, 'Content-Type', 'application/problem+json; charset=utf-8');
    // As text: adapters would otherwise put their own media type on an object.
    httpAdapter.reply(reply, JSON.stringify(problem.document), problem.document.status);
  }

  /** A path that exists, asked for with another method, is a 405 that says which methods it has (RFC 9110 15.5.6). */
  #withMethods(problem: Problem, raw: IncomingMessage, context: RequestContext): Problem {
    if (problem.document.status !== 404 || context.handler !== undefined) return problem;
    const allowed = this.methods.of((raw.url ?? '/').split('?', 1)[0] ?? '/');
    if (allowed.length === 0 || allowed.includes(raw.method ?? '')) return problem;
    const detail = 'the path has other methods';
    return problemOf(
      new ZeroTrustError('method-not-allowed', { detail, headers: { Allow: allowed.join(', ') } }),
      context.id,
    );
  }

  #report({ document, detail, cause }: Problem, context: RequestContext | undefined): void {
    if (document.status < 500) return;
    const line = {
      request: context?.id,
      handler: context?.handler,
      code: document.code,
      detail,
      cause: describe(cause),
    };
    // JSON escapes line ends and control characters: what an attacker sends cannot begin a line of its own.
    const text = JSON.stringify(line).replace(
      /[\u007f-\u009f\u2028\u2029]/g,
      (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    if (document.status === 500) this.#logger.error(text);
    else this.#logger.warn(text);
  }
}

/** Where it happened, for the operator. Not the message of a database error: it may repeat a row. */
function describe(cause: unknown): string | undefined {
  if (cause === undefined) return undefined;
  if (!(cause instanceof Error)) return typeof cause;
  const frames = (cause.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 5)
    .map((line) => line.trim());
  const isDatabase = 'driverError' in cause || 'severity' in cause;
  return [isDatabase ? cause.name : `${cause.name}: ${cause.message.slice(0, 300)}`, ...frames].join(' | ');
}
