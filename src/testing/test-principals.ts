import { AccessSettings } from '../access/access.settings.js';
import { GrantsStore } from '../access/grants/grants.store.js';
import { HeldPermissions } from '../access/decision/held-permissions.js';
import type { Authenticator } from '../core/authenticator.js';
import { Clock } from '../core/clock.js';
import { Pipeline } from '../core/pipeline.js';
import { SecurityEvents } from '../core/security-events.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { FreshnessFeed } from '../freshness/freshness.feed.js';
import { ActedGrantsStore } from './acted.grants.store.js';
import { ActedPermissions } from './acted.permissions.js';
import { ActingAuthenticator } from './acting.authenticator.js';
import { collect } from './published-events.js';
import { assertTestEnvironment } from './test-environment.js';

/** What is needed of Nest's `TestingModuleBuilder`, so that `@nestjs/testing` stays the application's own. */
export interface ProviderOverrides {
  overrideProvider(token: unknown): {
    useFactory(options: {
      // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as Nest's own: what is injected decides
      factory: (...injected: any[]) => unknown;
      // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
      inject?: any[];
    }): unknown;
  };
}

/** How the provider of what everybody holds is made, in place of the one that knows the stored grants alone. */
export const ACTED_PERMISSIONS = {
  factory: (unitOfWork: UnitOfWork, settings: AccessSettings, feed: FreshnessFeed): ActedPermissions =>
    new ActedPermissions(new HeldPermissions(unitOfWork, settings, feed), settings),
  inject: [UnitOfWork, AccessSettings, FreshnessFeed],
};

/** Whatever proves identity in the application, `actingAs` is accepted beside it. */
class ActingPipeline extends Pipeline {
  constructor(private readonly clock: Clock) {
    super();
  }

  override useAuthenticator(own: Authenticator): void {
    super.useAuthenticator(new ActingAuthenticator(this.clock, own));
  }
}

/**
 * Lets `actingAs` into the whole application, beside its real tokens:
 *
 * ```ts
 * const module = await withTestPrincipals(Test.createTestingModule({ imports: [AppModule] })).compile();
 * ```
 *
 * What such a principal holds is what `actingAs` says, and nothing of the database; everybody else is judged as ever.
 *
 * @throws BootError outside of tests (`NODE_ENV=test`).
 */
export function withTestPrincipals<Builder extends ProviderOverrides>(builder: Builder): Builder {
  assertTestEnvironment();
  builder.overrideProvider(Pipeline).useFactory({
    factory: (clock: Clock, events: SecurityEvents) => {
      collect(events);
      return new ActingPipeline(clock);
    },
    inject: [Clock, SecurityEvents],
  });
  builder.overrideProvider(HeldPermissions).useFactory(ACTED_PERMISSIONS);
  builder.overrideProvider(GrantsStore).useFactory({
    factory: (unitOfWork: UnitOfWork) => new ActedGrantsStore(unitOfWork),
    inject: [UnitOfWork],
  });
  return builder;
}
