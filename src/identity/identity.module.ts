import { Global, Module } from '@nestjs/common';
import { KitModule } from '../core/kit-module.js';
import { ACCOUNT_PROVIDERS } from './accounts/account.providers.js';
import { AccountsService } from './accounts/accounts.service.js';
import { AuthenticationFailure } from './sign-in/authentication.failure.js';
import { CodeLimits } from './second-factors/code.limits.js';
import { FactorChanges } from './second-factors/factor.changes.js';
import { IDENTITY_SETTINGS, resolveIdentityOptions, type IdentityOptions } from './identity.options.js';
import { IDENTITY_OPTIONS, IdentityModuleBase } from './identity.routes.js';
import { KnownSourceStore } from './sign-in/known-source.store.js';
import { PasswordChangeService } from './passwords/password-change.service.js';
import { PasswordVerifier } from './passwords/password.verifier.js';
import { RecoveryCodeStore } from './second-factors/recovery-code.store.js';
import { SecondFactorVerifier } from './second-factors/second-factor.verifier.js';
import { SecondFactorsService } from './second-factors/second-factors.service.js';
import { SignInChallenges } from './sign-in/sign-in-challenges.service.js';
import { SignInLimits } from './sign-in/sign-in.limits.js';
import { SignInService } from './sign-in/sign-in.service.js';
import { StepUpService } from './sign-in/step-up.service.js';
import { TotpStore } from './second-factors/totp.store.js';

/** Who: accounts with passwords and second factors, sign-in, and their administration. */
@Global()
@KitModule()
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
    CodeLimits,
    AuthenticationFailure,
    PasswordVerifier,
    TotpStore,
    RecoveryCodeStore,
    SecondFactorVerifier,
    FactorChanges,
    SecondFactorsService,
    SignInService,
    SignInChallenges,
    StepUpService,
    PasswordChangeService,
  ],
  exports: [
    AccountsService,
    PasswordChangeService,
    SecondFactorsService,
    SignInService,
    SignInChallenges,
    StepUpService,
  ],
})
export class IdentityModule extends IdentityModuleBase {}
