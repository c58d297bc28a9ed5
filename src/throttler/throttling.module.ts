import { Global, Inject, Module } from '@nestjs/common';
import { getOptionsToken, getStorageToken, type ThrottlerModuleOptions } from '@nestjs/throttler';
import { Clock } from '../core/clock.js';
import { OpenStreams } from '../core/connections/open-streams.js';
import { Pipeline } from '../core/pipeline.js';
import { SecurityEvents } from '../core/security-events.js';
import { GcraStorage } from './gcra.storage.js';
import { RequestCounter } from './request-counter.js';
import { DistributedStorage } from './distributed.storage.js';
import { SourceLimitMiddleware } from './source-limit.middleware.js';
import { ThrottleMarksCheck } from './throttle-marks.check.js';
import { ThrottleStages } from './throttle.stages.js';
import {
  ConfigurableModuleClass,
  MODULE_OPTIONS_TOKEN,
  resolveThrottlingOptions,
  THROTTLING_SETTINGS,
  type ThrottlingOptions,
  type ThrottlingSettings,
} from './throttling.options.js';
import { ThrottlingService } from './throttling.service.js';

/**
 * How often: a coarse limit per source as middleware, a limit per source and handler before authentication, and
 * one per principal and handler after it. Also gives a ThrottlerGuard of the host the kit's storage and limits.
 */
@Global()
@Module({
  providers: [
    {
      provide: THROTTLING_SETTINGS,
      inject: [MODULE_OPTIONS_TOKEN],
      useFactory: (given: ThrottlingOptions) => resolveThrottlingOptions(given),
    },
    {
      provide: GcraStorage,
      inject: [Clock, THROTTLING_SETTINGS],
      useFactory: (clock: Clock, settings: ThrottlingSettings) => new GcraStorage(clock, settings.maxKeys),
    },
    {
      provide: RequestCounter,
      inject: [GcraStorage, THROTTLING_SETTINGS, Clock, SecurityEvents],
      useFactory: (
        local: GcraStorage,
        settings: ThrottlingSettings,
        clock: Clock,
        events: SecurityEvents,
      ): RequestCounter =>
        settings.storage ? new DistributedStorage(settings.storage, local, clock, events, settings) : local,
    },
    ThrottleStages,
    SourceLimitMiddleware,
    ThrottlingService,
    ThrottleMarksCheck,
    { provide: getStorageToken(), useExisting: GcraStorage },
    {
      provide: getOptionsToken(),
      inject: [THROTTLING_SETTINGS],
      useFactory: (settings: ThrottlingSettings): ThrottlerModuleOptions => ({
        throttlers: [{ limit: settings.routeRequests, ttl: settings.routeWindowSeconds * 1000 }],
        ipv6SubnetPrefix: settings.ipv6PrefixBits,
      }),
    },
  ],
  exports: [ThrottlingService, getStorageToken(), getOptionsToken()],
})
export class ThrottlingModule extends ConfigurableModuleClass {
  constructor(
    pipeline: Pipeline,
    stages: ThrottleStages,
    streams: OpenStreams,
    @Inject(THROTTLING_SETTINGS) { streamsPerCaller }: ThrottlingSettings,
  ) {
    super();
    streams.limitTo(streamsPerCaller);
    pipeline.register(stages.route);
    pipeline.register(stages.principal);
  }
}
