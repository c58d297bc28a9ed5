import {
  Catch,
  Injectable,
  Module,
  ValidationPipe,
  type ArgumentsHost,
  type DynamicModule,
  type ExceptionFilter,
  type ExecutionContext,
  type INestApplication,
  type ModuleMetadata,
  type Provider,
  type Type,
} from '@nestjs/common';
import { APP_FILTER, HttpAdapterHost, NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { AddressInfo } from 'node:net';
import { AccessModule } from '../../src/access/access.module.js';
import type { AccessExtras, AccessOptions } from '../../src/access/access.options.js';
import { Authenticator } from '../../src/core/authenticator.js';
import { Pipeline } from '../../src/core/pipeline.js';
import { PipelineModule } from '../../src/core/pipeline.module.js';
import type { Principal } from '../../src/core/principal.js';
import { RequestContext } from '../../src/core/request-context.js';
import { SecurityEvents, type PublishedSecurityEvent } from '../../src/core/security-events.js';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';
import { AuditModule } from '../../src/audit/audit.module.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import type { DatabaseOptions } from '../../src/database/database.options.js';

export type AdapterName = 'express' | 'fastify';
export const ADAPTERS: readonly AdapterName[] = ['express', 'fastify'];

/** An identity of the host's own, by core's port: whoever says `Bearer <uuid>` is that subject. */
@Injectable()
export class TestAuthenticator extends Authenticator {
  override authenticate(execution: ExecutionContext): Principal | undefined {
    const subject = /^Bearer ([0-9a-f-]{36})$/.exec(proofOf(execution) ?? '')?.[1];
    // As sure as a second factor just now makes it: what is tested with it is something else.
    return subject === undefined
      ? undefined
      : { kind: 'account', subject, acr: 'aal2', authTime: Math.floor(Date.now() / 1000) };
  }
}

/** HTTP and GraphQL: the header. Websocket: the upgrade request, where the gateway left it. TCP: a field of the data. */
function proofOf(execution: ExecutionContext): string | undefined {
  interface Carrier {
    readonly headers?: { readonly authorization?: string };
    readonly req?: Carrier;
    readonly request?: Carrier;
    readonly proof?: string;
  }
  const [first, , third] = execution.getArgs<[Carrier?, unknown?, Carrier?]>();
  switch (execution.getType<string>()) {
    case 'graphql':
      return third?.req?.headers?.authorization;
    case 'ws':
      return first?.request?.headers?.authorization;
    case 'rpc':
      return first?.proof;
    default:
      return first?.headers?.authorization;
  }
}

@Module({})
export class TestIdentityModule {
  constructor(pipeline: Pipeline) {
    pipeline.useAuthenticator(new TestAuthenticator());
  }
}

/** The least that the edge does with an error: the status and the code of a refusal, Nest's own for the rest. */
@Catch(ZeroTrustError)
class RefusalFilter implements ExceptionFilter<ZeroTrustError> {
  constructor(private readonly host: HttpAdapterHost) {}

  catch({ code, status, errors }: ZeroTrustError, host: ArgumentsHost): void {
    // GraphQL has no response here; the error goes on as it is.
    if (host.getType<string>() === 'graphql') return;
    const body = { code, ...(errors && { errors }) };
    this.host.httpAdapter.reply(host.getArgByIndex(1), body, status);
  }
}

export interface HostileOptions {
  readonly databaseUrl: string;
  /** Changes of roles and grants need their audit entry: with this the audit module keeps it. */
  readonly auditUrl?: string;
  readonly database?: Omit<DatabaseOptions, 'url' | 'dataSource'>;
  readonly adapter?: AdapterName;
  readonly controllers?: Type[];
  readonly providers?: Provider[];
  readonly imports?: NonNullable<ModuleMetadata['imports']>;
  readonly access?: AccessOptions & AccessExtras;
  /** Left out: the host's identity above. */
  readonly withIdentity?: boolean;
  /** Runs between create and init: what a careless main.ts does. */
  readonly configure?: (app: INestApplication) => unknown;
  /** Runs between init and listen: what a more careless one does. */
  readonly afterInit?: (app: INestApplication) => unknown;
}

export interface HostileApplication {
  readonly app: INestApplication;
  readonly url: string;
  readonly port: number;
  readonly events: PublishedSecurityEvent[];
  close(): Promise<void>;
}

/** The kit in the application of somebody else, with whatever handlers a test brings. */
export function hostileModule(options: HostileOptions): DynamicModule {
  class HostileModule {}
  return {
    module: HostileModule,
    imports: [
      // The wrong way round on purpose: the order of imports decides nothing.
      AccessModule.forRoot(options.access ?? {}),
      ...(options.withIdentity === false ? [] : [TestIdentityModule]),
      DatabaseModule.forRoot({ ...options.database, url: options.databaseUrl }),
      ...(options.auditUrl === undefined ? [] : [AuditModule.forRoot({ readerUrl: options.auditUrl })]),
      PipelineModule,
      ...(options.imports ?? []),
    ],
    controllers: options.controllers ?? [],
    providers: [{ provide: APP_FILTER, useClass: RefusalFilter }, ...(options.providers ?? [])],
  };
}

/** Creates and prepares it; nothing listens yet. */
export async function createHostile(options: HostileOptions): Promise<INestApplication> {
  const adapter = options.adapter === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
  const app = await NestFactory.create(hostileModule(options), adapter, {
    abortOnError: false,
    logger: false,
  });
  openContexts(app);
  app.useGlobalPipes(new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true }));
  await options.configure?.(app);
  return app;
}

/** @throws what the start throws; the application is closed then. */
export async function startHostile(options: HostileOptions): Promise<HostileApplication> {
  const app = await createHostile(options);
  const events: PublishedSecurityEvent[] = [];
  try {
    app.get(SecurityEvents).subscribe((event) => {
      events.push(event);
    });
    if (options.afterInit) {
      await app.init();
      await options.afterInit(app);
    }
    await app.listen(0, '127.0.0.1');
  } catch (error) {
    await app.close();
    throw error;
  }
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
  return { app, url: `http://127.0.0.1:${port}`, port, events, close: () => app.close() };
}

/** The faults with which a start is refused; fails when it is not. */
export async function refusalOf(options: HostileOptions): Promise<string> {
  try {
    const started = await startHostile(options);
    await started.close();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error('the application started');
}

/** What the edge does first: one context for the whole request. */
function openContexts(app: INestApplication): void {
  const open = (method: string, path: string, next: () => void): void => {
    RequestContext.run(
      new RequestContext({
        transport: 'http',
        receivedAtMs: Date.now(),
        method,
        path: path.split('?')[0] ?? '',
      }),
      next,
    );
  };
  const adapter = app.getHttpAdapter();
  if (adapter.getType() === 'express') {
    app.use((request: { method: string; url: string }, _response: unknown, next: () => void) => {
      open(request.method, request.url, next);
    });
    return;
  }
  const fastify = adapter.getInstance() as {
    addHook(
      name: 'onRequest',
      hook: (request: { method: string; url: string }, reply: unknown, done: () => void) => void,
    ): void;
  };
  fastify.addHook('onRequest', (request, _reply, done) => {
    open(request.method, request.url, done);
  });
}

/** Asks as somebody, or as nobody. */
export async function ask(
  app: Pick<HostileApplication, 'url'>,
  method: string,
  path: string,
  { as, body, headers }: { as?: string | undefined; body?: unknown; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${app.url}${path}`, {
    method,
    headers: {
      ...(as !== undefined && { authorization: `Bearer ${as}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    redirect: 'manual',
  });
  const text = await response.text();
  let parsed: unknown = text;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Not JSON; the text itself then.
  }
  return { status: response.status, body: parsed };
}
