import {
  Module,
  type DynamicModule,
  type ExecutionContext,
  type INestApplication,
  type Type,
} from '@nestjs/common';
import { Authenticator } from '../../src/core/authenticator.js';
import { PASSED, Pipeline, refused } from '../../src/core/pipeline.js';
import { PipelineModule } from '../../src/core/pipeline.module.js';
import type { Principal } from '../../src/core/principal.js';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';
import { HttpModule } from '../../src/http/http.module.js';
import type { HttpOptions } from '../../src/http/http.options.js';
import { ThrottlingModule } from '../../src/throttler/throttling.module.js';
import type { ThrottlingOptions } from '../../src/throttler/throttling.options.js';
import { startApplication, type AdapterName, type RunningApplication } from '../support/application.js';
import { BindingController, EdgeController } from './edge.controllers.js';

export interface EdgeOptions {
  readonly adapter?: AdapterName;
  readonly http?: HttpOptions;
  readonly throttler?: ThrottlingOptions;
  readonly controllers?: Type[];
  readonly before?: (app: INestApplication) => void | Promise<void>;
}

/** Somebody, for whoever says `Bearer somebody`: the subject of these tests is the edge, not who. */
class SomebodyAuthenticator extends Authenticator {
  override authenticate(execution: ExecutionContext): Principal | undefined {
    const { headers } = execution.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    return headers.authorization === 'Bearer somebody' ? { kind: 'account', subject: 'somebody' } : undefined;
  }
}

const GENEROUS: ThrottlingOptions = {
  sourceRequests: 1_000_000,
  routeRequests: 1_000_000,
  principalRequests: 1_000_000,
};

/** The edge with the throttler and nothing else of the kit: no database. */
export function edgeModule(options: Omit<EdgeOptions, 'adapter' | 'before'> = {}): DynamicModule {
  @Module({
    imports: [
      PipelineModule,
      HttpModule.forRoot({ requestLog: false, ...options.http }),
      ThrottlingModule.forRoot({ ...GENEROUS, ...options.throttler }),
    ],
    controllers: options.controllers ?? [EdgeController, BindingController],
  })
  class EdgeModule {
    constructor(pipeline: Pipeline) {
      pipeline.useAuthenticator(new SomebodyAuthenticator());
      pipeline.register({
        name: 'authorize',
        judge: ({ policy }) => {
          if (policy.kind !== 'permission') return PASSED;
          const detail = 'nobody holds anything here';
          return refused(detail, new ZeroTrustError('permission-denied', { detail }));
        },
      });
    }
  }
  return { module: EdgeModule };
}

export function startEdge(options: EdgeOptions = {}): Promise<RunningApplication> {
  const proxies = options.http?.trustedProxies ?? [];
  return startApplication(edgeModule(options), {
    ...(options.adapter && { adapter: options.adapter }),
    ...(options.before && { before: options.before }),
    // Fastify reads it when it is made; the kit refuses to start when both disagree.
    fastify: proxies.length > 0 ? { trustProxy: [...proxies] } : undefined,
  });
}

/** The text with which a start is refused. */
export async function edgeRefusal(options: EdgeOptions): Promise<string> {
  let started: RunningApplication;
  try {
    started = await startEdge(options);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  await started.close();
  throw new Error('the application started');
}
