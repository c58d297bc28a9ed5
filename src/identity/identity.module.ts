import { Global, Module } from '@nestjs/common';
import { KitModule } from '../core/kit-module.js';
import { ACCOUNT_PROVIDERS } from './account.providers.js';
import { AccountsService } from './accounts.service.js';
import { AuthenticationFailure } from './authentication.failure.js';
import { CodeLimits } from './code.limits.js';
import { FactorChanges } from './factor.changes.js';
import { IDENTITY_SETTINGS, resolveIdentityOptions, type IdentityOptions } from './identity.options.js';
import { IDENTITY_OPTIONS, IdentityModuleBase } from './identity.routes.js';
import { KnownSourceStore } from './known-source.store.js';
import { PasswordChangeService } from './password-change.service.js';
import { PasswordVerifier } from './password.verifier.js';
import { RecoveryCodeStore } from './recovery-code.store.js';
import { SecondFactorVerifier } from './second-factor.verifier.js';
import { SecondFactorsService } from './second-factors.service.js';
import { SignInChallenges } from './sign-in-challenges.service.js';
import { SignInLimits } from './sign-in.limits.js';
import { SignInService } from './sign-in.service.js';
import { StepUpService } from './step-up.service.js';
import { TotpStore } from './totp.store.js';

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
