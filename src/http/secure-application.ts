import type { INestApplication } from '@nestjs/common';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { BrowserCredentials } from '../core/browser-credentials.js';
import { answerClientErrors } from './client-errors.js';
import { nameCrossSiteRefusals } from './cross-site-refusal.js';
import { EdgeState } from './edge.state.js';
import { HTTP_SETTINGS, type HttpSettings } from './http.options.js';
import { keptOptionsOf, onFurtherServers } from './fastify.options.js';
import { answerFrameworkErrors } from './framework-errors.js';
import { ProblemFilter } from './problem.filter.js';
import { bodyFault, encodingFault, parseJson } from './request-content.js';
import { armTimeoutsLate } from './late-timeouts.js';
import { makeOurRequests, makeWithPrototypes, type ExpressPrototypes } from './server-classes.js';
import { StandingFields } from './standing-fields.js';
import { assertStrictParser } from './strict-parser.js';

const CHECK_CONNECTIONS_EVERY_MS = 1_000;

/** The application as both adapters offer it; `useBodyParser` and `set` are theirs, not Nest's common interface. */
type EdgeApplication = INestApplication<Server> & {
  useBodyParser(type: string, options: object, parser?: unknown): unknown;
};

/**
 * Sets what only the application itself can set: security headers, CORS, trusted proxies, body parsing, time-outs
 * and the answer to what is no HTTP. Call it once, between `NestFactory.create` and `listen`; an application that
 * imports HttpModule and does not call it refuses to start.
 *
 * @throws TypeError when HttpModule is not imported, or when it is called twice.
 */
export async function secureApplication(app: INestApplication): Promise<void> {
  const settings = app.get<HttpSettings>(HTTP_SETTINGS, { strict: false });
  app.get(EdgeState, { strict: false }).markSecured(app, settings.corsOrigins.length > 0);
  const credentials = app.get(BrowserCredentials, { strict: false });
  const isFastify = app.getHttpAdapter().getType() === 'fastify';
  const secured = app as EdgeApplication;

  if (isFastify) trustProxiesOfFastify(secured, settings);
  else {
    const express = instanceOf(secured) as ExpressPrototypes & { set(name: string, value: unknown): void };
    express.set('trust proxy', [...settings.trustedProxies]);
    // Nothing may be stored, so there is nothing to compare with, and nothing to confirm with a 304.
    express.set('etag', false);
    // Nest takes it away again, at the cost of both.
    express.set('x-powered-by', false);
    Object.defineProperty(express.request, 'fresh', { value: false });
    makeWithPrototypes(express, secured.getHttpServer());
  }

  const fields = new Map<string, string>([['Cache-Control', 'no-store']]);
  aheadOfEverything(secured, isFastify, () => {
    const found = nameCrossSiteRefusals(secured, () => {
      setHeaders(secured);
      // Cookies or not: what another site makes a browser send changes nothing here (ASVS 3.5.1).
      secured.enableCsrfProtection({ trustedOrigins: [...settings.corsOrigins] });
    });
    for (const [name, value] of found) fields.set(name, value);
    credentials.crossSiteRefused = true;
    if (settings.corsOrigins.length > 0)
      allowOrigins(secured, settings.corsOrigins, credentials.cookiesInUse);
  });
  if (isFastify) {
    parseOnFastify(secured, settings);
    answerFrameworkErrors(app.getHttpAdapter(), app.get(ProblemFilter, { strict: false }));
  } else parseOnExpress(secured, settings);

  const standing = new StandingFields(fields);
  const prepare = (server: Server): void => {
    prepareServer(server, settings, standing, isFastify);
  };
  prepare(secured.getHttpServer());
  if (isFastify) onFurtherServers(app.getHttpAdapter(), checkingIntervalMs(settings), prepare);
  await Promise.resolve();
}

function checkingIntervalMs({ headersTimeoutMs, requestTimeoutMs }: HttpSettings): number {
  return Math.min(CHECK_CONNECTIONS_EVERY_MS, headersTimeoutMs, requestTimeoutMs);
}

/** What belongs to a server and not to the application: what no adapter sees, and time-outs. */
function prepareServer(
  server: Server,
  settings: HttpSettings,
  fields: StandingFields,
  isFastify: boolean,
): void {
  assertStrictParser(server);
  // Our own refusal says so in the shape of every other one.
  (server as { requireHostHeader?: boolean }).requireHostHeader = false;
  // Node looks every 30 s otherwise, which would make the time-outs below that much longer.
  (server as { connectionsCheckingInterval?: number }).connectionsCheckingInterval =
    checkingIntervalMs(settings);
  server.headersTimeout = Math.min(settings.headersTimeoutMs, settings.requestTimeoutMs);
  server.requestTimeout = settings.requestTimeoutMs;
  server.keepAliveTimeout = settings.keepAliveTimeoutMs;
  server.timeout = settings.requestTimeoutMs * 2;
  armTimeoutsLate(server);
  // Of Express's server they are already.
  makeOurRequests(server);
  if (isFastify) fields.makeAnswersOf(server);
  else fields.putOnAllOf(server);
  answerClientErrors(server);
}

/** The platform's own instance; Nest types it for neither. */
const instanceOf = (app: INestApplication): unknown => app.getHttpAdapter().getInstance();

/** ASVS 3.4: an API that serves no page allows a browser nothing; a page of the host sets its own policy on its route. */
function setHeaders(app: INestApplication): void {
  app.useSecurityHeaders({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        'base-uri': ["'none'"],
        'form-action': ["'none'"],
        'frame-ancestors': ["'none'"],
      },
    },
    strictTransportSecurity: { maxAge: 63_072_000, includeSubDomains: true, preload: false },
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
    crossOriginEmbedderPolicy: true,
  });
}

/** Exact origins, compared as a browser writes them; never reflected, never a wildcard (ASVS 3.4.2). */
function allowOrigins(app: INestApplication, origins: readonly string[], credentials: boolean): void {
  app.enableCors({
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type'],
    exposedHeaders: ['X-Request-Id', 'Retry-After', 'RateLimit', 'RateLimit-Policy', 'WWW-Authenticate'],
    credentials,
    maxAge: 600,
  });
}

/**
 * On Express what was registered first runs first, and a refusal skips what comes later: modules have installed the
 * limit per source by now, whose 429 must carry the headers too. Fastify runs both before all other hooks anyway.
 */
function aheadOfEverything(app: INestApplication, isFastify: boolean, install: () => void): void {
  if (isFastify) {
    install();
    return;
  }
  const { router } = instanceOf(app) as { router: { stack: unknown[] } };
  const before = router.stack.length;
  install();
  router.stack.unshift(...router.stack.splice(before));
}

/** Fastify reads its trust setting when it is made. A setting here that it does not know would be a silent lie. */
function trustProxiesOfFastify(app: INestApplication, { trustedProxies }: HttpSettings): void {
  const { trustProxy } = keptOptionsOf(app.getHttpAdapter());
  const expected = trustedProxies.length === 0 ? 'false' : JSON.stringify(trustedProxies);
  // A function trusts whom it likes, and has no text.
  if (typeof trustProxy !== 'function' && JSON.stringify(trustProxy ?? false) === expected) return;
  throw new TypeError(
    `HttpModule: trustedProxies and the adapter disagree; make it with new FastifyAdapter({ trustProxy: ${expected} }).`,
  );
}

function parseOnExpress(app: EdgeApplication, { bodyLimitBytes, bodyDepth }: HttpSettings): void {
  const adapter = app.getHttpAdapter();
  app.useBodyParser('json', {
    limit: bodyLimitBytes,
    strict: true,
    inflate: false,
    type: () => true,
    verify: (_request: unknown, _response: unknown, body: Buffer) => {
      const fault = encodingFault(body);
      if (fault) throw fault;
    },
  });
  // Nest adds its own parser of forms unless one of this name is there. Forms were refused by their media type.
  adapter.use(function urlencodedParser(
    request: IncomingMessage & { body?: unknown },
    _response: ServerResponse,
    next: (error?: Error) => void,
  ): void {
    next(bodyFault(request.body, bodyDepth));
  });
}

function parseOnFastify(app: EdgeApplication, { bodyLimitBytes, bodyDepth }: HttpSettings): void {
  const json = (
    _request: unknown,
    body: Buffer,
    done: (error: Error | null, parsed?: unknown) => void,
  ): void => {
    try {
      // An empty body is none, as on Express.
      const parsed = body.length === 0 ? undefined : parseJson(body);
      done(bodyFault(parsed, bodyDepth) ?? null, parsed);
    } catch (error) {
      done(error as Error);
    }
  };
  (instanceOf(app) as { removeAllContentTypeParsers(): void }).removeAllContentTypeParsers();
  app.useBodyParser('application/json', { bodyLimit: bodyLimitBytes }, json);
  // Nest adds its own parser of forms unless one is there. Forms were refused by their media type.
  app.useBodyParser('application/x-www-form-urlencoded', { bodyLimit: bodyLimitBytes }, json);
}
