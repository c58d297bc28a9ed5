import { Global, Module } from '@nestjs/common';
import { ACCOUNT_PROVIDERS } from './account.providers.js';
import { AccountsService } from './accounts.service.js';
import { IDENTITY_SETTINGS, resolveIdentityOptions, type IdentityOptions } from './identity.options.js';
import { IDENTITY_OPTIONS, IdentityModuleBase } from './identity.routes.js';
import { KnownSourceStore } from './known-source.store.js';
import { SignInLimits } from './sign-in.limits.js';
import { SignInService } from './sign-in.service.js';

/** Who: accounts with passwords, sign-in, and their administration. */
@Global()
@Module({
  providers: [
    {
      provide: IDENTITY_SETTINGS,
      inject: [IDENTITY_OPTIONS],
      useFactory: (given: IdentityOptions) => resolveIdentityOptions(given),
    },
    ...ACCOUNT_PROVIDERS,
    KnownSourceStore,
    SignInLimits,
    SignInService,
  ],
  exports: [AccountsService, SignInService],
})
export class IdentityModule extends IdentityModuleBase {}
