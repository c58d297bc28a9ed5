import { Module } from '@nestjs/common';
import { Secret, TOTP } from 'otpauth';
import { AccessModule } from '../../src/access/access.module.js';
import { SYSTEM_PRINCIPAL } from '../../src/access/grants/actor.js';
import { AuditModule } from '../../src/audit/audit.module.js';
import { Clock } from '../../src/core/clock.js';
import { PipelineModule } from '../../src/core/pipeline.module.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import { EncryptionModule } from '../../src/encryption/encryption.module.js';
import { HttpModule } from '../../src/http/http.module.js';
import { Argon2Engine } from '../../src/identity/passwords/argon2.engine.js';
import { IdentityModule } from '../../src/identity/identity.module.js';
import type { IdentityOptions } from '../../src/identity/identity.options.js';
import { SecondFactorsService } from '../../src/identity/second-factors/second-factors.service.js';
import { SessionsModule } from '../../src/sessions/sessions.module.js';
import { ThrottlingModule } from '../../src/throttler/throttling.module.js';
import type { ThrottlingOptions } from '../../src/throttler/throttling.options.js';
import { startApplication, type AdapterName, type RunningApplication } from '../support/application.js';
import { CountingEngine } from './passwords/counting.engine.js';
import { MASTER_KEY, PASSWORD, type IdentityDatabase } from './identity.services.js';

/** Far above what these tests do. */
export const WIDE: ThrottlingOptions = {
  sourceRequests: 100_000,
  routeRequests: 100_000,
  strictRequests: 10_000,
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: unknown;
}

/** The service over HTTP, on a database. */
export class Service {
  readonly engine = new CountingEngine();
  running!: RunningApplication;

  async start(
    db: IdentityDatabase,
    adapter: AdapterName,
    identity: IdentityOptions = { sourceAttempts: 1_000, accountAttempts: 10_000 },
    throttling = WIDE,
    clock?: Clock,
  ): Promise<this> {
    const origin = 'https://portal.example.test';
    @Module({
      imports: [
        PipelineModule,
        DatabaseModule.forRoot({ url: db.database.appUrl }),
        EncryptionModule.forRoot({ masterKey: MASTER_KEY }),
        HttpModule.forRoot({ requestLog: false }),
        ThrottlingModule.forRoot(throttling),
        AuditModule.forRoot({ readerUrl: db.database.auditUrl }),
        AccessModule.forRoot({}),
        SessionsModule.forRoot({ issuer: origin, audience: origin }),
        IdentityModule.forRoot(identity),
      ],
    })
    class ServiceModule {}
    this.running = await startApplication(ServiceModule, {
      adapter,
      overrides: (builder) => {
        builder.overrideProvider(Argon2Engine).useValue(this.engine);
        return clock ? builder.overrideProvider(Clock).useValue(clock) : builder;
      },
    });
    return this;
  }

  get<T>(type: abstract new (...given: never[]) => T): T {
    return this.running.app.get<T>(type);
  }

  async send(method: string, path: string, body?: unknown, token?: string): Promise<Answer> {
    const response = await fetch(`${this.running.url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = response.headers.get('content-type')?.includes('json') === true;
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: json ? (JSON.parse(text) as unknown) : undefined,
    };
  }

  login(email: unknown, password: unknown, delivery: unknown = 'token'): Promise<Answer> {
    return this.send('POST', '/auth/login', { email, password, delivery });
  }

  /** Gives an account a second factor and signs it in with that. */
  async tokenByFactor(id: string, email: string): Promise<string> {
    const { secret } = await this.get(SecondFactorsService).provisionTotp(id, SYSTEM_PRINCIPAL);
    const { body } = await this.login(email, PASSWORD);
    const { challengeId } = body as { challengeId: string };
    const code = TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: this.get(Clock).nowMs() });
    const answer = await this.send('POST', '/auth/login/mfa', { challengeId, method: 'totp', code });
    return (answer.body as { accessToken: string }).accessToken;
  }

  async tokenOf(email: string): Promise<string> {
    const { body } = await this.login(email, PASSWORD);
    return (body as { accessToken: string }).accessToken;
  }
}
