import { BootError } from '../core/zero-trust-error.js';

/**
 * Credentials that prove nothing belong into tests alone. Anything but `NODE_ENV=test` is none, and an unset one is
 * production.
 *
 * @throws BootError
 */
export function assertTestEnvironment(): void {
  const environment = process.env.NODE_ENV;
  if (environment === 'test') return;
  const found = environment ? `"${environment}"` : 'not set, which is production';
  throw new BootError('nestjs-zero-trust/testing', [
    `NODE_ENV is ${found}: run tests with NODE_ENV=test (vitest and jest set it), and import this from tests alone`,
  ]);
}
