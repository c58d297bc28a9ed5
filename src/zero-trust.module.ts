import { Global, Module, type DynamicModule, type ModuleMetadata, type Provider } from '@nestjs/common';
import { AccessModule } from './access/access.module.js';
import type { AccessOptions } from './access/access.options.js';
import { AuditModule } from './audit/audit.module.js';
import type { AuditOptions } from './audit/audit.options.js';
import { PipelineModule } from './core/pipeline.module.js';
import { DatabaseModule } from './database/database.module.js';
import type { DatabaseOptions } from './database/database.options.js';
import { EncryptionModule } from './encryption/encryption.module.js';
import type { EncryptionOptions } from './encryption/encryption.options.js';
import { HttpModule } from './http/http.module.js';
import type { HttpOptions } from './http/http.options.js';
import { IdentityModule } from './identity/identity.module.js';
import type { IdentityOptions } from './identity/identity.options.js';
import { MonitoringModule } from './monitoring/monitoring.module.js';
import { SessionsModule } from './sessions/sessions.module.js';
import type { SessionsOptions } from './sessions/sessions.options.js';
import { ThrottlingModule } from './throttler/throttling.module.js';
import type { ThrottlingOptions } from './throttler/throttling.options.js';

/** One entry a room; what is left out of each is the strict choice. */
export interface ZeroTrustOptions {
  readonly database: DatabaseOptions;
  readonly encryption: EncryptionOptions;
  readonly access: AccessOptions;
  readonly audit: AuditOptions;
  readonly sessions: SessionsOptions;
  readonly identity?: IdentityOptions;
  readonly http?: HttpOptions;
  readonly throttler?: ThrottlingOptions;
}

/** The same options from a factory, e.g. one that reads the environment when the application starts. */
export interface ZeroTrustAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  readonly inject?: Exclude<Extract<Provider, { useFactory: unknown }>['inject'], undefined>;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as Nest's own factories: what is injected decides
  readonly useFactory: (...injected: any[]) => ZeroTrustOptions | Promise<ZeroTrustOptions>;
}

const ZERO_TRUST_OPTIONS = Symbol('ZERO_TRUST_OPTIONS');

@Global()
@Module({})
class ZeroTrustOptionsModule {}

/**
 * Everything at once: from here on nothing in the application can be reached that nobody declared. Each room can
 * also be imported alone, beside `PipelineModule`.
 */
@Module({})
export class ZeroTrustModule {
  /** @throws BootError before anything listens, when an option is wrong; it names the option and the mend. */
  static forRoot(options: ZeroTrustOptions): DynamicModule {
    return this.forRootAsync({ useFactory: () => options });
  }

  static forRootAsync(options: ZeroTrustAsyncOptions): DynamicModule {
    const shared: DynamicModule = {
      module: ZeroTrustOptionsModule,
      imports: options.imports ?? [],
      providers: [
        { provide: ZERO_TRUST_OPTIONS, inject: options.inject ?? [], useFactory: options.useFactory },
      ],
      exports: [ZERO_TRUST_OPTIONS],
    };
    const from = <T>(
      pick: (all: ZeroTrustOptions) => T,
    ): { inject: symbol[]; useFactory: (all: ZeroTrustOptions) => T } => ({
      inject: [ZERO_TRUST_OPTIONS],
      useFactory: pick,
    });
    return {
      module: ZeroTrustModule,
      imports: [
        shared,
        PipelineModule,
        DatabaseModule.forRootAsync(from((all) => all.database)),
        EncryptionModule.forRootAsync(from((all) => all.encryption)),
        HttpModule.forRootAsync(from((all) => all.http ?? {})),
        ThrottlingModule.forRootAsync(from((all) => all.throttler ?? {})),
        AuditModule.forRootAsync(from((all) => all.audit)),
        MonitoringModule,
        AccessModule.forRootAsync(from((all) => all.access)),
        SessionsModule.forRootAsync(from((all) => all.sessions)),
        IdentityModule.forRootAsync(from((all) => all.identity ?? {})),
      ],
    };
  }
}
