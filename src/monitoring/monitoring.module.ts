import { Module } from '@nestjs/common';
import { KitModule } from '../core/kit-module.js';
import { HealthController } from './health.controller.js';
import { Readiness } from './readiness.js';

/** How it goes: liveness and readiness. Importable alone beside `PipelineModule` and `DatabaseModule`. */
@KitModule()
@Module({ controllers: [HealthController], providers: [Readiness] })
export class MonitoringModule {}
