// The door of `nestjs-zero-trust/testing`: what an application's own tests need, and nothing that may leave them.
export { type AccessMatrixRow } from '../access/inventory/access-matrix.js';
export { type Scope } from '../access/grants/scope.js';
export {
  accessMatrixOf,
  expectMatrix,
  type ExpectedAccess,
  type ExpectedMatrix,
  type MatrixOptions,
  type Reach,
} from './access-matrix.expectation.js';
export { type Acting, type Holdings } from './acting.js';
export { actingAs, type ActingHeaders } from './acting.credentials.js';
export { expectEveryRouteDeclared, type DeclaredRoutesOptions } from './declared-routes.expectation.js';
export { FrozenClock } from './frozen.clock.js';
export { type TestedApplication } from './kit-provider.js';
export { publishedEvents } from './published-events.js';
export { withTestPrincipals, type ProviderOverrides } from './test-principals.js';
export { ZeroTrustTestingModule, type ZeroTrustTestingOptions } from './zero-trust-testing.module.js';
