import {
  Catch,
  Controller,
  Get,
  HttpException,
  Module,
  Post,
  type ArgumentsHost,
  type DynamicModule,
  type ExceptionFilter,
  type ExecutionContext,
  type Type,
} from '@nestjs/common';
import { APP_FILTER, HttpAdapterHost } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { Throttle } from '@nestjs/throttler';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { throwError } from 'rxjs';
import { Authenticator } from '../../src/core/authenticator.js';
import { Clock } from '../../src/core/clock.js';
import { PASSED, Pipeline } from '../../src/core/pipeline.js';
import { PipelineModule } from '../../src/core/pipeline.module.js';
import type { Principal } from '../../src/core/principal.js';
import { Authenticated, Public } from '../../src/core/route-policy.js';
import { SecurityEvents, type PublishedSecurityEvent } from '../../src/core/security-events.js';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';
import { ThrottleStrictly } from '../../src/throttler/throttle.decorators.js';
import { ThrottlingModule } from '../../src/throttler/throttling.module.js';
import type { ThrottlingOptions } from '../../src/throttler/throttling.options.js';
import { FrozenClock } from './frozen-clock.js';

@Controller()
class LimitedController {
  @Post('login')
  @Public()
  @ThrottleStrictly()
  login(): object {
    return {};
  }

  @Get('open')
  @Public()
  open(): object {
    return {};
  }

  @Get('own')
  @Authenticated()
  own(): object {
    return {};
  }

  @Get('rare')
  @Authenticated()
  @Throttle({ default: { limit: 50, ttl: 60_000 }, principal: { limit: 3, ttl: 60_000 } })
  rare(): object {
    return {};
  }
}

/** Believes whatever name a header says: the subject of these tests is how often, not who. */
class NamedAuthenticator extends Authenticator {
  override authenticate(execution: ExecutionContext): Principal | undefined {
    const { headers } = execution.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    return headers['x-name'] === undefined ? undefined : { kind: 'account', subject: headers['x-name'] };
  }
}

/** The least that the edge does with a refusal, so that the throttler is tested alone. */
@Catch()
class RefusalFilter implements ExceptionFilter {
  constructor(private readonly host: HttpAdapterHost) {}

  catch(error: unknown, host: ArgumentsHost): unknown {
    if (host.getType() !== 'http') return throwError(() => ({ status: 'error' }));
    const { httpAdapter } = this.host;
    const response: unknown = host.getArgByIndex(1);
    const status =
      error instanceof ZeroTrustError
        ? error.status
        : error instanceof HttpException
          ? error.getStatus()
          : 500;
    if (error instanceof ZeroTrustError) {
      for (const [name, value] of Object.entries(error.headers)) httpAdapter.setHeader(response, name, value);
    }
    return httpAdapter.reply(response, { status }, status) as unknown;
  }
}

export type AdapterName = 'express' | 'fastify';

export interface LimitedApplication {
  readonly clock: FrozenClock;
  readonly events: readonly PublishedSecurityEvent[];
  /** Sends one request and reads the answer to its end. */
  send(method: string, path: string, init?: RequestInit): Promise<{ status: number; headers: Headers }>;
  /** From now on no listener can take an event. */
  failToRecord(): void;
  close(): Promise<void>;
}

export interface LimitedApplicationOptions {
  readonly adapter: AdapterName;
  readonly throttling?: ThrottlingOptions;
  readonly controllers?: readonly Type[];
  readonly gateways?: readonly Type[];
}

/** A module with the pipeline, the throttler and nothing else of the kit. */
export function limitedModule(options: Omit<LimitedApplicationOptions, 'adapter'>): DynamicModule {
  @Module({
    imports: [PipelineModule, ThrottlingModule.forRoot(options.throttling ?? {})],
    controllers: [...(options.controllers ?? [LimitedController])],
    providers: [...(options.gateways ?? []), { provide: APP_FILTER, useClass: RefusalFilter }],
  })
  class LimitedModule {
    constructor(pipeline: Pipeline) {
      pipeline.useAuthenticator(new NamedAuthenticator());
      pipeline.register({ name: 'authorize', judge: () => PASSED });
    }
  }
  return { module: LimitedModule };
}

export async function limitedApplication(options: LimitedApplicationOptions): Promise<LimitedApplication> {
  const clock = new FrozenClock();
  const testing = await Test.createTestingModule({ imports: [limitedModule(options)] })
    .overrideProvider(Clock)
    .useValue(clock)
    .compile();
  const app = testing.createNestApplication(
    options.adapter === 'express' ? new ExpressAdapter() : new FastifyAdapter(),
  );
  const events: PublishedSecurityEvent[] = [];
  app.get(SecurityEvents).subscribe((event) => void events.push(event));
  await app.listen(0, '127.0.0.1');
  const server = app.getHttpServer() as Server;
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return {
    clock,
    events,
    send: async (method, path, init) => {
      const response = await fetch(`${url}/${path}`, { ...init, method });
      await response.arrayBuffer();
      return { status: response.status, headers: response.headers };
    },
    failToRecord: () => {
      app.get(SecurityEvents).subscribe(() => {
        throw new Error('the record is full');
      });
    },
    close: () => {
      // A body that was refused before it was read may keep its connection open.
      server.closeAllConnections();
      return app.close();
    },
  };
}
