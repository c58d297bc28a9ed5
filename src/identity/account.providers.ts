import type { Provider } from '@nestjs/common';
import { AccountStore } from './account.store.js';
import { AccountsService } from './accounts.service.js';
import { Argon2Engine } from './argon2.engine.js';
import { PasswordHasher } from './password.hasher.js';
import { PasswordPolicy } from './password.policy.js';
import { SignInChallengeStore } from './sign-in-challenge.store.js';

/** What accounts are made and changed with, without any way to sign in: the command line needs no more. */
export const ACCOUNT_PROVIDERS: readonly Provider[] = [
  Argon2Engine,
  PasswordHasher,
  PasswordPolicy,
  AccountStore,
  SignInChallengeStore,
  AccountsService,
];
