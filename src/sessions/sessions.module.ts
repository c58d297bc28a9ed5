import { ConfigurableModuleBuilder, Global, Module } from '@nestjs/common';
import { RouterModule } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { Pipeline } from '../core/pipeline.js';
import { AccessTokenAuthenticator } from './access-token.authenticator.js';
import { AccessTokenMinter } from './access-token.minter.js';
import { AccessTokenVerifier } from './access-token.verifier.js';
import { JwksController } from './jwks.controller.js';
import { LogoutModule } from './logout.controller.js';
import { SessionStore } from './session.store.js';
import { SESSIONS_OPTIONS, type SessionsExtras, type SessionsOptions } from './sessions.options.js';
import { SessionsService } from './sessions.service.js';
import { SessionsSettings } from './sessions.settings.js';
import { SigningKeyStore } from './signing-key.store.js';
import { SigningKeys } from './signing-keys.js';

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<SessionsOptions>({
  optionsInjectionToken: SESSIONS_OPTIONS,
})
  .setClassMethodName('forRoot')
  .setExtras<SessionsExtras>({ authPrefix: 'auth' }, (definition, { authPrefix = 'auth' }) => ({
    ...definition,
    imports: [
      ...(definition.imports ?? []),
      LogoutModule,
      RouterModule.register([{ path: authPrefix, module: LogoutModule }]),
    ],
  }))
  .build();

/**
 * Proof: access tokens and the sessions behind them. Importable alone beside `PipelineModule`, `DatabaseModule` and
 * `EncryptionModule`, for an application that has its own identity and calls `SessionsService.open`.
 */
@Global()
@Module({
  imports: [JwtModule.register({})],
  controllers: [JwksController],
  providers: [
    SessionsSettings,
    SigningKeyStore,
    SigningKeys,
    SessionStore,
    AccessTokenMinter,
    AccessTokenVerifier,
    AccessTokenAuthenticator,
    SessionsService,
  ],
  exports: [SessionsService],
})
export class SessionsModule extends ConfigurableModuleClass {
  constructor(pipeline: Pipeline, authenticator: AccessTokenAuthenticator) {
    super();
    pipeline.useAuthenticator(authenticator);
  }
}
