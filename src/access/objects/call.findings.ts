import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { callOf } from './handler-arguments.js';
import type { ListFilter } from './list-filter.js';

/** What the authorize step found out for one call of a handler, which need not be found out twice. */
interface Findings {
  readonly resource?: { readonly object: unknown };
  readonly filter?: ListFilter<unknown>;
}

/** By the call, and by the handler: one message may be heard by several, each with an object of its own. */
const findings = new WeakMap<object, WeakMap<object, Findings>>();

/** @throws ZeroTrustError `validation-failed` for a message whose data is no object: there is nothing to keep it by. */
export function keep(execution: ExecutionContext, found: Findings): void {
  const call = callOf(execution);
  if (!call)
    throw new ZeroTrustError('validation-failed', { detail: 'the data of the message is no object' });
  const ofCall = findings.get(call) ?? new WeakMap<object, Findings>();
  findings.set(call, ofCall.set(execution.getHandler(), found));
}

/**
 * Parameter: the object that `{ resource: … }` of the handler's `@RequirePermission` loaded and decided on.
 *
 * @throws TypeError when the handler demands none: the parameter would be undefined, and nothing decided on.
 */
export const CurrentResource = createParamDecorator(
  (_data: unknown, execution: ExecutionContext): unknown => {
    const resource = foundFor(execution)?.resource;
    if (!resource) throw new TypeError('@CurrentResource() needs { resource: … } in @RequirePermission.');
    return resource.object;
  },
);

/**
 * Parameter: the filter of the rule that `{ list: … }` of the handler's `@RequirePermission` names.
 *
 * @throws TypeError when the handler demands none.
 */
export const CurrentFilter = createParamDecorator(
  (_data: unknown, execution: ExecutionContext): ListFilter<unknown> => {
    const filter = foundFor(execution)?.filter;
    if (!filter) throw new TypeError('@CurrentFilter() needs { list: … } in @RequirePermission.');
    return filter;
  },
);

function foundFor(execution: ExecutionContext): Findings | undefined {
  const call = callOf(execution);
  return call && findings.get(call)?.get(execution.getHandler());
}
