import 'reflect-metadata';
import {
  Catch,
  Controller,
  Get,
  Module,
  type ArgumentsHost,
  type DynamicModule,
  type ExceptionFilter,
  type INestApplication,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { randomBytes, sign, type KeyObject } from 'node:crypto';
import { Clock } from '../../src/core/clock.js';
import { Pipeline, PASSED } from '../../src/core/pipeline.js';
import { PipelineModule } from '../../src/core/pipeline.module.js';
import type { Principal } from '../../src/core/principal.js';
import { RequestContext } from '../../src/core/request-context.js';
import { Authenticated, Public } from '../../src/core/route-policy.js';
import { SecurityEvents, type PublishedSecurityEvent } from '../../src/core/security-events.js';
import { uuidV7 } from '../../src/core/uuid-v7.js';
import { StrictFreshness } from '../../src/core/strict-freshness.js';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';
import { AuditModule } from '../../src/audit/audit.module.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import { EncryptionModule } from '../../src/encryption/encryption.module.js';
import { SessionsModule } from '../../src/sessions/sessions.module.js';
import type { SessionsExtras, SessionsOptions } from '../../src/sessions/sessions.options.js';
import { SessionsService, type OpenedSession } from '../../src/sessions/sessions.service.js';
import type { SigningKey } from '../../src/sessions/signing-keys/signing-key.js';
import { SigningKeys } from '../../src/sessions/signing-keys/signing-keys.js';
import type { TestDatabase } from '../support/database.js';

export const ISSUER = 'https://portal.example.test';
export const MASTER_KEY = randomBytes(32).toString('base64');

/** Stands still until a test moves it; begins now, because the database has a clock of its own. */
export class HeldClock extends Clock {
  now = Math.floor(Date.now() / 1000) * 1000;
  nowMs(): number {
    return this.now;
  }
}

@Controller()
class ProbeController {
  static reached = 0;

  @Get('whoami')
  @Authenticated()
  whoami(): Principal | undefined {
    ProbeController.reached += 1;
    return RequestContext.current()?.principal;
  }

  @Get('vault')
  @Authenticated()
  @StrictFreshness()
  vault(): { open: true } {
    return { open: true };
  }

  @Get('open')
  @Public()
  open(): { open: true } {
    return { open: true };
  }
}

/** As little as stands in for the rooms above: everybody who is authenticated may. */
@Module({ controllers: [ProbeController] })
class ProbeModule {
  constructor(pipeline: Pipeline) {
    pipeline.register({ name: 'authorize', judge: () => PASSED });
  }
}

@Catch(ZeroTrustError)
class PublicVoice implements ExceptionFilter<ZeroTrustError> {
  constructor(private readonly host: HttpAdapterHost) {}

  catch(error: ZeroTrustError, host: ArgumentsHost): void {
    const response: unknown = host.switchToHttp().getResponse();
    const { httpAdapter } = this.host;
    for (const [name, value] of Object.entries(error.headers)) httpAdapter.setHeader(response, name, value);
    httpAdapter.reply(response, { code: error.code }, error.status);
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly text: string;
}

export interface Started {
  readonly app: INestApplication;
  readonly url: string;
  readonly clock: HeldClock;
  /** Every event that was published, in order. */
  readonly events: PublishedSecurityEvent[];
  open(subject?: string): Promise<OpenedSession>;
  /** Asks for a protected route with `Authorization: Bearer <token>`. */
  ask(token: string, path?: string): Promise<Answer>;
  key(): Promise<SigningKey>;
  /** How many requests reached the protected handler so far, in this process. */
  reached(): number;
}

export interface StartOptions extends Partial<SessionsOptions>, SessionsExtras {
  readonly database: Pick<TestDatabase, 'appUrl' | 'auditUrl'>;
  readonly masterKey?: string;
  readonly adapter?: 'express' | 'fastify';
  readonly connectTimeoutMs?: number;
  readonly clock?: HeldClock;
  /** What a host has of its own beside. */
  readonly imports?: DynamicModule[];
  /** Runs between create and listen. */
  readonly configure?: (app: INestApplication) => unknown;
}

/** What a host has that brings its own identity: of the kit nothing but what SessionsModule needs. */
export async function startSessions(options: StartOptions): Promise<Started> {
  const { database, masterKey, adapter, connectTimeoutMs, clock = new HeldClock(), ...others } = options;
  const { imports = [], configure, ...sessions } = others;
  const events: PublishedSecurityEvent[] = [];
  const testing = await Test.createTestingModule({
    imports: [
      PipelineModule,
      DatabaseModule.forRoot({ url: database.appUrl, ...(connectTimeoutMs && { connectTimeoutMs }) }),
      EncryptionModule.forRoot({ masterKey: masterKey ?? MASTER_KEY }),
      // The database takes no change that is not recorded in the same transaction.
      AuditModule.forRoot({ readerUrl: database.auditUrl }),
      // There is no edge here that would refuse what other sites make a browser send.
      SessionsModule.forRoot({ issuer: ISSUER, audience: ISSUER, cookies: false, ...sessions }),
      ProbeModule,
      ...imports,
    ],
  })
    .overrideProvider(Clock)
    .useValue(clock)
    .compile();
  testing.get(SecurityEvents).subscribe((event) => {
    events.push(event);
  });
  const app = testing.createNestApplication(
    adapter === 'fastify' ? new FastifyAdapter() : new ExpressAdapter(),
  );
  app.use((_request: unknown, _response: unknown, next: () => void) => {
    RequestContext.run(new RequestContext({ transport: 'http', receivedAtMs: clock.nowMs() }), next);
  });
  app.useGlobalFilters(new PublicVoice(app.get(HttpAdapterHost)));
  try {
    await configure?.(app);
    await app.listen(0, '127.0.0.1');
  } catch (error) {
    await app.close();
    throw error;
  }
  const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
  return {
    app,
    url,
    clock,
    events,
    open: (subject = uuidV7(clock.nowMs())) =>
      app.get(SessionsService).open({ subject, acr: 'aal1', amr: ['pwd'], delivery: 'token' }),
    ask: (token, path = '/whoami') => answerOf(`${url}${path}`, { authorization: `Bearer ${token}` }),
    key: () => app.get(SigningKeys).active(),
    reached: () => ProbeController.reached,
  };
}

export async function answerOf(
  url: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<Answer> {
  const response = await fetch(url, { method, headers });
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    text: await response.text(),
  };
}

export const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** Signs whatever header and payload a test writes, also what no library would. */
export function forge(header: unknown, payload: unknown, privateKey: KeyObject): string {
  const input = `${encode(header)}.${encode(payload)}`;
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

export interface Taken {
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
  readonly parts: readonly [string, string, string];
}

export function takeApart(token: string): Taken {
  const parts = token.split('.') as [string, string, string];
  const read = (part: string): Record<string, unknown> =>
    JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
  return { header: read(parts[0]), claims: read(parts[1]), parts };
}
