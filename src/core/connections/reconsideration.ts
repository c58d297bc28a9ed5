import type { LetIn } from './open-connection.js';
import type { Pipeline } from '../pipeline.js';
import { RequestContext } from '../request-context.js';
import { policyOf } from '../route-policy.js';
import { PASSED, refusalOf, refused, type Verdict } from '../verdict.js';
import { ZeroTrustError } from '../zero-trust-error.js';

const reconsidered = new WeakSet<RequestContext>();

/** Whether a judgement is one of what was let in before: its caller did nothing, so nothing may count as their doing. */
export function isReconsidered(context: RequestContext): boolean {
  return reconsidered.has(context);
}

/**
 * Judges calls that were let in, each with the credentials that it came with and in a context of its own. The first
 * refusal is the verdict, and whatever is thrown on the way is one; at once where no stage waits.
 *
 * @param counts whether a call is still of interest: it may end while it, or another, is being judged
 * @param begins hears of each call before it is judged: of the one that is refused last
 */
export function judgeAgain(
  pipeline: Pipeline,
  calls: readonly LetIn[],
  nowMs: number,
  counts: (call: LetIn) => boolean = () => true,
  begins: (call: LetIn) => void = () => undefined,
): Verdict | Promise<Verdict> {
  for (const [at, call] of calls.entries()) {
    if (!counts(call)) continue;
    begins(call);
    const verdict = verdictOf(pipeline, call, nowMs);
    if (verdict instanceof Promise) {
      const rest = calls.slice(at + 1);
      return verdict
        .catch(refusalOf)
        .then((settled) =>
          settled.passed || !counts(call) ? judgeAgain(pipeline, rest, nowMs, counts, begins) : settled,
        );
    }
    if (!verdict.passed) return verdict;
  }
  return PASSED;
}

function verdictOf(
  pipeline: Pipeline,
  { execution, context: before }: LetIn,
  receivedAtMs: number,
): Verdict | Promise<Verdict> {
  const { transport, sourceAddress, method, path, userAgent } = before;
  const context = new RequestContext({
    ...{ transport, receivedAtMs, sourceAddress, userAgent },
    ...(method !== undefined && { method }),
    ...(path !== undefined && { path }),
  });
  context.handler = before.handler;
  reconsidered.add(context);
  const handler = execution.getHandler();
  const call = { execution, context, policy: policyOf(handler), handler, controller: execution.getClass() };
  // Where nobody was judged (report-only), nobody's tenant was looked for.
  const settle = (verdict: Verdict): Verdict =>
    verdict.passed && context.principal && context.tenant !== before.tenant ? ofAnotherTenant() : verdict;
  try {
    const verdict = RequestContext.run(context, () => pipeline.judgeAgain(call));
    return verdict instanceof Promise ? verdict.then(settle) : settle(verdict);
  } catch (thrown) {
    return refusalOf(thrown);
  }
}

/** What is open goes on in the context that it was let in with, and that one keeps its tenant. */
function ofAnotherTenant(): Verdict {
  const detail = 'the caller is no longer of the tenant that the call was let in for';
  return refused(detail, new ZeroTrustError('permission-denied', { detail }));
}
