import { Global, Module } from '@nestjs/common';
import { KitModule } from '../core/kit-module.js';
import { AuditController } from './audit.controller.js';
import { AuditModuleBase } from './audit.options.js';
import { AuditReader } from './audit.reader.js';
import { AuditRecorder } from './audit.recorder.js';
import { AuditSettings } from './audit.settings.js';
import { PendingStore } from './pending.store.js';

/**
 * Records what was done. Listens to `SecurityEvents`; nobody imports anything of it. Importable alone beside
 * `PipelineModule` and `DatabaseModule`:
 *
 * ```ts
 * AuditModule.forRoot({ readerUrl: process.env.DATABASE_AUDIT_URL })
 * ```
 */
@Global()
@KitModule()
@Module({
  controllers: [AuditController],
  providers: [AuditSettings, PendingStore, AuditRecorder, AuditReader],
})
export class AuditModule extends AuditModuleBase {}
