import { Module } from '@nestjs/common';
import { HealthController } from './health.controller.js';
import { Readiness } from './readiness.js';

/** How it goes: liveness and readiness. Importable alone beside `PipelineModule` and `DatabaseModule`. */
@Module({ controllers: [HealthController], providers: [Readiness] })
export class MonitoringModule {}
