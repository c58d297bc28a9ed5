import { Global, Module } from '@nestjs/common';
import { APP_GUARD, DiscoveryModule } from '@nestjs/core';
import { AssureStage } from './assure.stage.js';
import { BrowserCredentials } from './browser-credentials.js';
import { Clock, SystemClock } from './clock.js';
import { ConnectionGate } from './connections/connection-gate.js';
import { GatewayConnections } from './connections/gateway-connections.js';
import { LongResponses } from './connections/long-responses.js';
import { MessageContextInterceptor } from './message-context.interceptor.js';
import { MessageHandlers } from './message-handlers.js';
import { OpenConnections } from './connections/open-connections.js';
import { OpenStreams } from './connections/open-streams.js';
import { Subscriptions } from './connections/subscriptions.js';
import { Pipeline } from './pipeline.js';
import { PipelineGuard } from './pipeline.guard.js';
import { SecurityEvents } from './security-events.js';
import { TaskHosts } from './task-hosts.js';

/**
 * The ground floor as a Nest module, and the only `APP_GUARD` of the kit: global guards run in the order in
 * which their modules were imported, so there must be no second one.
 */
@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [
    { provide: Clock, useClass: SystemClock },
    SecurityEvents,
    BrowserCredentials,
    Pipeline,
    PipelineGuard,
    MessageContextInterceptor,
    MessageHandlers,
    OpenConnections,
    OpenStreams,
    ConnectionGate,
    GatewayConnections,
    LongResponses,
    Subscriptions,
    TaskHosts,
    { provide: APP_GUARD, useExisting: PipelineGuard },
  ],
  exports: [
    Clock,
    SecurityEvents,
    BrowserCredentials,
    Pipeline,
    PipelineGuard,
    OpenConnections,
    OpenStreams,
    ConnectionGate,
    MessageContextInterceptor,
    DiscoveryModule,
  ],
})
export class PipelineModule {
  constructor(pipeline: Pipeline, clock: Clock) {
    pipeline.register(new AssureStage(clock));
  }
}
