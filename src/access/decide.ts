import type { Permission } from '../core/permission.js';
import type { Principal } from '../core/principal.js';
import type { ObjectRule } from './object-rule.js';

/** One question: may this principal do that, to this object? */
export interface AccessQuestion<T = unknown> {
  readonly principal: Principal | undefined;
  /** All of them must be held. */
  readonly permissions: readonly Permission[];
  /** What the principal holds now, looked up for this very request. */
  readonly held: Pick<ReadonlySet<string>, 'has'>;
  /** The object, where one is decided on. `subject: null` is an object that does not exist. */
  readonly object?: { readonly rule: ObjectRule<T>; readonly subject: T | null | undefined };
}

/** Why not: a closed list of fixed phrases, for log and audit. */
export type RefusalReason =
  | 'nothing was demanded'
  | 'nobody is authenticated'
  | 'a demanded permission is not held'
  | 'there is no such object'
  | 'the object rule does not hold'
  | 'the decision failed';

/** Two-valued: there is neither "perhaps" nor "not my business". */
export type Decision =
  /** `by`: everything that had to hold, and did. */
  | { readonly granted: true; readonly by: readonly string[] }
  | { readonly granted: false; readonly reason: RefusalReason };

/**
 * The policy decision point (NIST SP 800-207): pure, total, without I/O. Everything that is asked must hold; nothing
 * takes away and nothing abstains. Whatever is empty, unknown or throws is refused.
 */
export function decide<T>(question: AccessQuestion<T>): Decision {
  try {
    return judge(question);
  } catch {
    return refuse('the decision failed');
  }
}

function judge<T>({ principal, permissions, held, object }: AccessQuestion<T>): Decision {
  // An empty demand would be met by everybody.
  if (permissions.length === 0) return refuse('nothing was demanded');

  if (principal === undefined) return refuse('nobody is authenticated');

  // Naming two permissions is AND.
  const by: string[] = [];
  for (const permission of permissions) {
    if (!isTrue(held.has(permission))) return refuse('a demanded permission is not held');
    by.push(permission);
  }
  if (object === undefined) return { granted: true, by };

  const { rule, subject } = object;
  if (subject === undefined || subject === null) return refuse('there is no such object');

  // Asked first: who reaches every object of the kind need not satisfy the rule.
  if (rule.overriddenBy !== undefined && isTrue(held.has(rule.overriddenBy))) {
    return { granted: true, by: [...by, rule.overriddenBy] };
  }
  for (const permission of permissions) {
    if (!isTrue(rule.holds(subject, principal, permission))) return refuse('the object rule does not hold');
  }
  return { granted: true, by: [...by, `${rule.type}: ${rule.name}`] };
}

/** The types promise a boolean; a rule written in JavaScript may still return a promise, which is truthy. */
function isTrue(answer: unknown): boolean {
  return answer === true;
}

function refuse(reason: RefusalReason): Decision {
  return { granted: false, reason };
}
