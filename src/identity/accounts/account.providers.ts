import type { Provider } from '@nestjs/common';
import { AccountStore } from './account.store.js';
import { AccountsService } from './accounts.service.js';
import { Argon2Engine } from '../passwords/argon2.engine.js';
import { PasswordHasher } from '../passwords/password.hasher.js';
import { PasswordPolicy } from '../passwords/password.policy.js';
import { SignInChallengeStore } from '../sign-in/sign-in-challenge.store.js';

/** What accounts are made and changed with, without any way to sign in: the command line needs no more. */
export const ACCOUNT_PROVIDERS: readonly Provider[] = [
  Argon2Engine,
  PasswordHasher,
  PasswordPolicy,
  AccountStore,
  SignInChallengeStore,
  AccountsService,
];
