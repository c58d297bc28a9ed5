import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { callOf } from './handler-arguments.js';
import type { ListFilter } from './list-filter.js';

/** What the authorize step found out for one call of a handler, which need not be found out twice. */
interface Findings {
  readonly resource?: { readonly object: unknown };
  readonly filter?: ListFilter<unknown>;
}

const findings = new WeakMap<object, Findings>();

/** @throws TypeError for a message whose data is no object: there is nothing to keep it by. */
export function keep(execution: ExecutionContext, found: Findings): void {
  const call = callOf(execution);
  if (!call) throw new TypeError('A message that asks for a resource carries an object.');
  findings.set(call, found);
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
  return call && findings.get(call);
}
