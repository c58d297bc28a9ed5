import { Module, type DynamicModule } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { AccessModule } from '../access/access.module.js';
import { AuditModule } from '../audit/audit.module.js';
import { PipelineModule } from '../core/pipeline.module.js';
import { readSetting, requireSetting, type Environment } from '../core/setting.js';
import { DatabaseModule } from '../database/database.module.js';
import { buildDataSource } from '../database/open-data-source.js';
import { EncryptionModule } from '../encryption/encryption.module.js';
import { ACCOUNT_PROVIDERS } from '../identity/accounts/account.providers.js';
import { IDENTITY_SETTINGS, resolveIdentityOptions } from '../identity/identity.options.js';
import { SessionsModule } from '../sessions/sessions.module.js';

@Module({})
class AccountsContext {}

/**
 * What it takes to change accounts, with the service's own logins and key: no controller of identity, no sign-in.
 * The caller closes the data source, also when the modules refuse to start: an open one would keep the process waiting.
 */
export function accountsContext(environment: Environment): {
  readonly module: DynamicModule;
  readonly dataSource: DataSource;
} {
  const url = requireSetting('DATABASE_URL', environment);
  const readerUrl = requireSetting('DATABASE_AUDIT_URL', environment);
  const masterKey = requireSetting('ZERO_TRUST_MASTER_KEY', environment);
  const tlsCa = readSetting('DATABASE_CA', environment);
  const tls = tlsCa === undefined ? {} : { tlsCa };
  // Unset is production.
  const production = !['development', 'test'].includes(environment['NODE_ENV'] ?? '');
  const dataSource = buildDataSource(url, tls, [], production);
  const module = {
    module: AccountsContext,
    imports: [
      PipelineModule,
      DatabaseModule.forRoot({ dataSource }),
      EncryptionModule.forRoot({ masterKey }),
      AuditModule.forRoot({ readerUrl, ...tls }),
      AccessModule.forRoot({}),
      // No token is issued here and none is accepted: nobody bears this name.
      SessionsModule.forRoot({
        issuer: 'https://command-line.invalid',
        audience: 'command-line',
        signingKeyRotation: 'manual',
      }),
    ],
    providers: [
      { provide: IDENTITY_SETTINGS, useFactory: () => resolveIdentityOptions({}) },
      ...ACCOUNT_PROVIDERS,
    ],
  };
  return { module, dataSource };
}
