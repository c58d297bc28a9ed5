import { ConfigurableModuleBuilder, Module } from '@nestjs/common';
import { RouterModule } from '@nestjs/core';
import { AccountsController } from './accounts/accounts.controller.js';
import type { IdentityOptions } from './identity.options.js';
import { MeController } from './accounts/me.controller.js';
import { PasswordController } from './passwords/password.controller.js';
import { SecondFactorsController } from './second-factors/second-factors.controller.js';
import { SignInController } from './sign-in/sign-in.controller.js';
import { StepUpController } from './sign-in/step-up.controller.js';

/** Fixed when the module is declared, also with `forRootAsync`: routes exist before any factory has run. */
export interface IdentityExtras {
  /** Where `…/login`, `…/me`, `…/password`, `…/mfa` and `…/step-up` mount. @default 'auth' */
  readonly authPrefix?: string;
  /** Where `…/accounts` mounts. @default 'admin' */
  readonly adminPrefix?: string;
}

/** Modules of their own, because a path prefix in Nest belongs to a module. */
@Module({
  controllers: [
    SignInController,
    StepUpController,
    MeController,
    PasswordController,
    SecondFactorsController,
  ],
})
class SignInRoutes {}

@Module({ controllers: [AccountsController] })
class AccountRoutes {}

export const { ConfigurableModuleClass: IdentityModuleBase, MODULE_OPTIONS_TOKEN: IDENTITY_OPTIONS } =
  new ConfigurableModuleBuilder<IdentityOptions>({ moduleName: 'Identity' })
    .setClassMethodName('forRoot')
    .setExtras<IdentityExtras>({}, (definition, { authPrefix = 'auth', adminPrefix = 'admin' }) => ({
      ...definition,
      imports: [
        ...(definition.imports ?? []),
        SignInRoutes,
        AccountRoutes,
        RouterModule.register([
          { path: authPrefix, module: SignInRoutes },
          { path: adminPrefix, module: AccountRoutes },
        ]),
      ],
    }))
    .build();
