import type { RoutePolicy } from '../../core/route-policy.js';
import type { TaskPolicy } from './task-policy.js';

const numbers = new WeakMap<object, number>();
let next = 1;

/**
 * A policy as text: two have the same one when they demand the same. Resolvers and rules count by who they are, for JSON
 * leaves functions out, and two rules may bear one name.
 */
export function policyKey(policy: RoutePolicy | TaskPolicy): string {
  return JSON.stringify(policy, (name: string, value: unknown) =>
    (name === 'resource' || name === 'list') && value instanceof Object ? numberOf(value) : value,
  );
}

function numberOf(value: object): number {
  const number = numbers.get(value) ?? next++;
  numbers.set(value, number);
  return number;
}
