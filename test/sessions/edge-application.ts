import { Controller, Get, Module } from '@nestjs/common';
import { AuditModule } from '../../src/audit/audit.module.js';
import { Clock } from '../../src/core/clock.js';
import { Pipeline, PASSED } from '../../src/core/pipeline.js';
import { PipelineModule } from '../../src/core/pipeline.module.js';
import { RequestContext } from '../../src/core/request-context.js';
import { Authenticated } from '../../src/core/route-policy.js';
import { SecurityEvents, type PublishedSecurityEvent } from '../../src/core/security-events.js';
import { uuidV7 } from '../../src/core/uuid-v7.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import { EncryptionModule } from '../../src/encryption/encryption.module.js';
import { HttpModule } from '../../src/http/http.module.js';
import { SessionsModule } from '../../src/sessions/sessions.module.js';
import type { SessionsOptions } from '../../src/sessions/sessions.options.js';
import { SessionsService, type NewSession, type OpenedSession } from '../../src/sessions/sessions.service.js';
import { startApplication, type AdapterName, type RunningApplication } from '../support/application.js';
import type { TestDatabase } from '../support/database.js';
import { HeldClock, ISSUER, MASTER_KEY } from './sessions-application.js';

@Controller()
class WhoamiController {
  @Get('whoami')
  @Authenticated()
  whoami(): unknown {
    return RequestContext.current()?.principal;
  }
}

/** Whoever is authenticated may. */
@Module({ controllers: [WhoamiController] })
class WhoamiModule {
  constructor(pipeline: Pipeline) {
    pipeline.register({ name: 'authorize', judge: () => PASSED });
  }
}

export interface EdgeOptions extends Partial<SessionsOptions> {
  readonly database: Pick<TestDatabase, 'appUrl' | 'auditUrl'>;
  readonly adapter?: AdapterName;
  readonly clock?: HeldClock;
  readonly poolSize?: number;
  /** Of AuditModule: how many alike refusals are written one by one. */
  readonly wholeRefusalsPerWindow?: number;
}

export interface EdgeAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A replica of a service that brings its own identity, with the edge and cookies: what a client sees of sessions. */
export class Edge {
  readonly events: PublishedSecurityEvent[] = [];

  private constructor(
    readonly running: RunningApplication,
    readonly clock: HeldClock,
  ) {}

  static async start(options: EdgeOptions): Promise<Edge> {
    const { database, adapter = 'express', clock = new HeldClock(), poolSize, ...rest } = options;
    const { wholeRefusalsPerWindow = 5, ...sessions } = rest;
    @Module({
      imports: [
        PipelineModule,
        DatabaseModule.forRoot({
          ...{ url: database.appUrl, connectTimeoutMs: 5_000, ...(poolSize && { poolSize }) },
        }),
        EncryptionModule.forRoot({ masterKey: MASTER_KEY }),
        HttpModule.forRoot({ requestLog: false }),
        AuditModule.forRoot({ readerUrl: database.auditUrl, wholeRefusalsPerWindow }),
        SessionsModule.forRoot({ issuer: ISSUER, audience: ISSUER, ...sessions }),
        WhoamiModule,
      ],
    })
    class EdgeModule {}
    const running = await startApplication(EdgeModule, {
      adapter,
      overrides: (builder) => builder.overrideProvider(Clock).useValue(clock),
    });
    const edge = new Edge(running, clock);
    edge.get(SecurityEvents).subscribe((event) => {
      edge.events.push(event);
    });
    return edge;
  }

  get<T>(type: abstract new (...given: never[]) => T): T {
    return this.running.app.get<T>(type);
  }

  get sessions(): SessionsService {
    return this.get(SessionsService);
  }

  open(opening: Partial<NewSession> = {}): Promise<OpenedSession> {
    const subject = uuidV7(Date.now());
    return this.sessions.open({ subject, acr: 'aal1', amr: ['pwd'], delivery: 'token', ...opening });
  }

  async send(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: string,
  ): Promise<EdgeAnswer> {
    const response = await fetch(`${this.running.url}${path}`, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    const parsed = isJson ? (JSON.parse(text) as Record<string, unknown>) : {};
    return { status: response.status, headers: response.headers, text, body: parsed };
  }

  refresh(refreshToken: unknown): Promise<EdgeAnswer> {
    return this.send('POST', '/auth/refresh', {}, JSON.stringify({ refreshToken }));
  }

  /** The same for many at once: a loaded machine may put some off with 503, which says to ask again. */
  async refreshWhenAble(refreshToken: unknown): Promise<EdgeAnswer> {
    for (let left = 50; ; left -= 1) {
      const answer = await this.refresh(refreshToken);
      if (answer.status !== 503 || left === 0) return answer;
    }
  }

  refreshByCookie(cookie: string): Promise<EdgeAnswer> {
    return this.send('POST', '/auth/refresh', { cookie });
  }

  /** The status of a protected route. */
  async ask(accessToken: unknown): Promise<number> {
    return (await this.send('GET', '/whoami', { authorization: `Bearer ${String(accessToken)}` })).status;
  }

  close(): Promise<void> {
    return this.running.close();
  }
}

export const refreshTokenOf = ({ body }: EdgeAnswer): string => String(body['refreshToken']);
export const accessTokenOf = ({ body }: EdgeAnswer): string => String(body['accessToken']);
