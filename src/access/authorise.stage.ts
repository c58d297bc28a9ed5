import { Injectable } from '@nestjs/common';
import { PASSED, refused, type JudgedCall, type Stage, type Verdict } from '../core/pipeline.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { decide } from './decide.js';
import { HeldPermissions } from './held-permissions.js';

/** The last stage of the pipeline: may they? Everything that is not a clear yes is a refusal (ASVS 8.2.1). */
@Injectable()
export class AuthoriseStage implements Stage {
  readonly name = 'authorize';

  constructor(private readonly held: HeldPermissions) {}

  judge({ policy, context }: JudgedCall): Verdict | Promise<Verdict> {
    const { principal } = context;
    // Anybody, by name.
    if (policy.kind === 'public') return PASSED;

    // Everything else asks for somebody; the authenticate stage has seen to it, unless there was none.
    if (!principal) return deny('nobody is authenticated', 'authentication-required');

    // Everybody who is somebody.
    if (policy.kind === 'authenticated') return PASSED;

    // Nobody said who may: nobody may.
    if (policy.kind !== 'permission') return deny('the handler has no readable policy');

    const { permissions } = policy;
    const judge = (held: ReadonlySet<string>): Verdict => {
      const decision = decide({ principal, permissions, held });
      if (!decision.granted) return deny(decision.reason);
      this.held.letIn(context, permissions);
      return PASSED;
    };
    // The way of nearly every request: nothing is waited for.
    const known = this.held.known(principal.subject);
    if (known) return judge(known);
    return this.held.ofRequest(context, principal).then(judge, (cause: unknown) => {
      // It cannot be known, so it is not allowed (ASVS 16.5.3).
      const detail = 'the grants could not be read';
      return refused(detail, new ZeroTrustError('temporarily-unavailable', { detail, cause }));
    });
  }
}

function deny(
  detail: string,
  code: 'permission-denied' | 'authentication-required' = 'permission-denied',
): Verdict {
  return refused(detail, new ZeroTrustError(code, { detail }));
}
