import { ConfigurableModuleBuilder, Global, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { HttpAdapterHost, RouterModule, type AbstractHttpAdapter } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { BrowserCredentials } from '../core/browser-credentials.js';
import { KitModule } from '../core/kit-module.js';
import { Pipeline } from '../core/pipeline.js';
import { BootError } from '../core/zero-trust-error.js';
import { FreshnessFeed } from '../freshness/freshness.feed.js';
import { FreshnessModule } from '../freshness/freshness.module.js';
import { AccessTokenAuthenticator } from './access-tokens/access-token.authenticator.js';
import { AccessTokenMinter } from './access-tokens/access-token.minter.js';
import { AccessTokenVerifier } from './access-tokens/access-token.verifier.js';
import { JwksController } from './signing-keys/jwks.controller.js';
import { LogoutController } from './logout.controller.js';
import { OwnSessionsController } from './own-sessions.controller.js';
import { ProofRefusals } from './access-tokens/proof-refusals.js';
import { RefreshController } from './refresh/refresh.controller.js';
import { RefreshService } from './refresh/refresh.service.js';
import { RefreshStore } from './refresh/refresh.store.js';
import { SessionActivity } from './session-activity.js';
import { SessionClients } from './session-client.js';
import { SessionHandover } from './session-handover.js';
import { SessionIssuer } from './session.issuer.js';
import { SessionStore } from './session.store.js';
import { SupersededSession } from './refresh/superseded-session.js';
import { SESSIONS_OPTIONS, type SessionsExtras, type SessionsOptions } from './sessions.options.js';
import { SessionsService } from './sessions.service.js';
import { SessionsSettings } from './sessions.settings.js';
import { SigningKeyStore } from './signing-keys/signing-key.store.js';
import { SigningKeys } from './signing-keys/signing-keys.js';

/** A module of its own, because a path prefix in Nest belongs to a module. */
@KitModule()
@Module({ controllers: [RefreshController, LogoutController, OwnSessionsController] })
class SessionRoutes {}

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<SessionsOptions>({
  optionsInjectionToken: SESSIONS_OPTIONS,
})
  .setClassMethodName('forRoot')
  .setExtras<SessionsExtras>({ authPrefix: 'auth' }, (definition, { authPrefix = 'auth' }) => ({
    ...definition,
    imports: [
      ...(definition.imports ?? []),
      SessionRoutes,
      RouterModule.register([{ path: authPrefix, module: SessionRoutes }]),
    ],
  }))
  .build();

/**
 * Proof: access tokens and the sessions behind them. Importable alone beside `PipelineModule`, `DatabaseModule` and
 * `EncryptionModule`, for an application that has its own identity and calls `SessionsService.open`.
 */
@Global()
@KitModule()
@Module({
  imports: [JwtModule.register({}), FreshnessModule],
  controllers: [JwksController],
  providers: [
    SessionsSettings,
    SigningKeyStore,
    SigningKeys,
    SessionStore,
    RefreshStore,
    SessionClients,
    SessionActivity,
    SessionIssuer,
    SessionHandover,
    ProofRefusals,
    RefreshService,
    SupersededSession,
    AccessTokenMinter,
    AccessTokenVerifier,
    AccessTokenAuthenticator,
    SessionsService,
  ],
  exports: [
    SessionsService,
    SessionHandover,
    SessionsSettings,
    AccessTokenAuthenticator,
    RefreshService,
    ProofRefusals,
    SupersededSession,
  ],
})
export class SessionsModule extends ConfigurableModuleClass implements OnApplicationBootstrap {
  constructor(
    private readonly credentials: BrowserCredentials,
    private readonly host: HttpAdapterHost,
    pipeline: Pipeline,
    authenticator: AccessTokenAuthenticator,
    settings: SessionsSettings,
    feed: FreshnessFeed,
    keys: SigningKeys,
  ) {
    super();
    pipeline.useAuthenticator(authenticator);
    credentials.cookiesInUse ||= settings.cookies;
    feed.on('keys', () => void keys.reload().catch(() => undefined));
  }

  /** A cookie goes along with whatever request a browser is made to send: without the edge's check nothing serves. */
  onApplicationBootstrap(): void {
    const adapter = this.host.httpAdapter as AbstractHttpAdapter | null | undefined;
    if (!adapter || !this.credentials.cookiesInUse || this.credentials.crossSiteRefused) return;
    throw new BootError('SessionsModule', [
      'cookies: requests that other sites make a browser send are not refused: import HttpModule and call ' +
        '`await secureApplication(app)`, or set cookies to false',
    ]);
  }
}
