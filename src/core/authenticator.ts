import type { ExecutionContext } from '@nestjs/common';
import type { Principal } from './principal.js';
import type { RequestContext } from './request-context.js';

/**
 * Port: turns the proof that a request carries into a principal. The kit's own is in `sessions/`; a host that
 * has its own identity extends this class and hands it to `Pipeline.useAuthenticator`. A `@UseGuards` of the
 * host would run too late, after the pipeline.
 */
export abstract class Authenticator {
  /**
   * Proves who is asking, on this very request, whatever the transport. May answer at once, without a promise.
   *
   * @returns undefined when the request carries no proof at all.
   * @throws ZeroTrustError `invalid-credentials` when it carries one that does not hold,
   * `ambiguous-credentials` when it carries two, `temporarily-unavailable` when it cannot be checked.
   */
  abstract authenticate(
    execution: ExecutionContext,
    context: RequestContext,
  ): Principal | undefined | Promise<Principal | undefined>;
}
