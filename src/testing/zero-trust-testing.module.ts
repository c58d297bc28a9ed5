import { Global, Module, type DynamicModule } from '@nestjs/common';
import type { AccessOptions } from '../access/access.options.js';
import { DECIDING_PROVIDERS } from '../access/access.providers.js';
import { AccessService } from '../access/access.service.js';
import { AccessSettings, resolveAccessOptions } from '../access/access.settings.js';
import { AuthoriseStage } from '../access/decision/authorise.stage.js';
import { GrantsService } from '../access/grants/grants.service.js';
import { GrantsStore } from '../access/grants/grants.store.js';
import { HeldPermissions } from '../access/decision/held-permissions.js';
import { RolesService } from '../access/grants/roles.service.js';
import { RolesStore } from '../access/grants/roles.store.js';
import { RouteInventory } from '../access/inventory/route-inventory.js';
import { RouteMatrix } from '../access/inventory/route-matrix.js';
import { Scopes } from '../access/grants/scopes.js';
import { Subjects } from '../access/grants/subjects.js';
import { Tenants } from '../access/tenants/tenants.js';
import { Clock } from '../core/clock.js';
import { Pipeline } from '../core/pipeline.js';
import { PipelineModule } from '../core/pipeline.module.js';
import { SecurityEvents } from '../core/security-events.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { FreshnessFeed } from '../freshness/freshness.feed.js';
import { HttpModule } from '../http/http.module.js';
import type { HttpOptions } from '../http/http.options.js';
import { ActedGrantsStore } from './acted.grants.store.js';
import { ActingAuthenticator } from './acting.authenticator.js';
import { AnyScope } from './any-scope.js';
import { DeclaredRolesStore } from './declared-roles.store.js';
import { collect } from './published-events.js';
import { assertTestEnvironment } from './test-environment.js';
import { ACTED_PERMISSIONS } from './test-principals.js';
import { UnstoredFeed } from './unstored.feed.js';
import { UnstoredUnitOfWork } from './unstored.unit-of-work.js';

/** What the application gives to `AccessModule` and `HttpModule`; the same defaults. */
export interface ZeroTrustTestingOptions extends AccessOptions {
  /** @default the strict edge, without a line of log for each request */
  readonly http?: HttpOptions;
}

/**
 * Everything that a feature module needs to be judged as in production, without a database: the edge, the pipeline, the
 * check of the start and `decide()` are the real ones; who asks and what they hold is what `actingAs` says. There are no
 * accounts, sessions, limits, audit or transactions, and lists cannot be filtered: these need PostgreSQL.
 *
 * Refuses to be made outside of tests.
 */
@Global()
@Module({})
export class ZeroTrustTestingModule {
  /** @throws BootError outside of tests (`NODE_ENV=test`); later, when an option is wrong. */
  static forRoot({ http, ...access }: ZeroTrustTestingOptions = {}): DynamicModule {
    assertTestEnvironment();
    return {
      module: ZeroTrustTestingModule,
      imports: [PipelineModule, HttpModule.forRoot({ requestLog: false, ...http })],
      providers: [
        { provide: AccessSettings, useFactory: (): AccessSettings => resolveAccessOptions(access) },
        { provide: UnitOfWork, useClass: UnstoredUnitOfWork },
        { provide: FreshnessFeed, useClass: UnstoredFeed },
        { provide: HeldPermissions, useFactory: ACTED_PERMISSIONS.factory, inject: ACTED_PERMISSIONS.inject },
        { provide: GrantsStore, useClass: ActedGrantsStore },
        { provide: RolesStore, useClass: DeclaredRolesStore },
        { provide: Scopes, useClass: AnyScope },
        ...DECIDING_PROVIDERS,
      ],
      exports: [
        ...[UnitOfWork, FreshnessFeed, AccessService, AccessSettings, RouteInventory, RouteMatrix],
        ...[RolesService, GrantsService, Scopes, Subjects, Tenants],
      ],
    };
  }

  constructor(pipeline: Pipeline, stage: AuthoriseStage, clock: Clock, events: SecurityEvents) {
    pipeline.useAuthenticator(new ActingAuthenticator(clock));
    pipeline.register(stage);
    collect(events);
  }
}
