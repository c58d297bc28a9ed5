import type { Principal } from '../../core/principal.js';
import { RequestContext } from '../../core/request-context.js';

/**
 * Changes roles and grants outside of any request: the command line, a seed. It is not bound by what it holds itself.
 * Only code of the application can name it; no request can become it.
 */
export const SYSTEM_PRINCIPAL: Principal = Object.freeze({ kind: 'system', subject: 'system' });

/** Who makes a change: `given`, or the caller of the request in hand. @throws TypeError when there is neither. */
export function actorOr(given: Principal | undefined): Principal {
  const actor = given ?? RequestContext.current()?.principal;
  if (!actor) {
    throw new TypeError('Outside of a request, say who makes the change, e.g. SYSTEM_PRINCIPAL.');
  }
  return actor;
}

/** Whether the rule applies that nobody hands out what they do not hold. */
export function isBound(actor: Principal): boolean {
  return actor !== SYSTEM_PRINCIPAL;
}
