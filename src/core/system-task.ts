import { isPermissionName, type Permission } from './permission.js';
import type { Principal } from './principal.js';
import { RequestContext } from './request-context.js';
import { wrapped } from './wrapped-method.js';
import { taskHostOf, type TaskHost } from './task-hosts.js';

/** What a scheduled or queue handler says of itself. */
export interface SystemTaskOptions {
  /** Lower-case words joined by `-`, one task's own: the subject is `system:` and this, in log and audit. */
  readonly name: string;
  /** What the task holds while it runs, and nothing beside it. @default nothing */
  readonly permissions?: readonly Permission[];
}

/** A declared task, with the one principal that runs it. */
export interface SystemTaskDeclaration {
  readonly name: string;
  readonly permissions: readonly Permission[];
  readonly principal: Principal;
}

type Method = (this: object, ...given: unknown[]) => unknown;
type MethodOnly = <T>(target: object, key: string | symbol, descriptor: TypedPropertyDescriptor<T>) => void;

const TASK_MARK = Symbol('nestjs-zero-trust:system-task');
const NAME = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
const MAX_NAME_LENGTH = 64;

/** By the object itself: whatever looks like a task's principal and is not made here holds nothing. */
const held = new WeakMap<Principal, ReadonlySet<string>>();

/** What a task's principal holds; undefined of everybody else, whatever they call themselves. */
export function systemPermissionsOf(principal: Principal): ReadonlySet<string> | undefined {
  // First what is cheap: nearly everybody is asked who is no system.
  return principal.kind === 'system' ? held.get(principal) : undefined;
}

/** The task that a method was declared as; read from the method itself. */
export function systemTaskOf(handler: unknown): SystemTaskDeclaration | undefined {
  if (typeof handler !== 'function') return undefined;
  return Reflect.getOwnMetadata(TASK_MARK, handler) as SystemTaskDeclaration | undefined;
}

/**
 * Declares a scheduled or queue handler (`@Cron`, `@Interval`, `@Timeout`, `process` of a BullMQ `WorkerHost`) as a system
 * principal of its own, which holds exactly the named permissions (ASVS 8.2.1, NIST SP 800-207: a subject without a
 * user). Above or below the scheduler's own decorator. Each run has a request context with an id; one that fails is
 * published as `task.failed`.
 *
 * A request can't become it: called inside of one, or of another task, the method throws a TypeError and does not run.
 *
 * @throws TypeError when a name is malformed, or the method was declared before.
 */
export function SystemTask({ name, permissions = [] }: SystemTaskOptions): MethodOnly {
  if (typeof name !== 'string' || name.length > MAX_NAME_LENGTH || !NAME.test(name)) {
    throw new TypeError(
      `@SystemTask(): name is at most ${MAX_NAME_LENGTH} characters, lower-case words joined by "-", e.g. "nightly-report".`,
    );
  }
  // The compiler says so too; JavaScript knows none.
  if (!Array.isArray(permissions) || !(permissions as string[]).every((each) => isPermissionName(each))) {
    throw new TypeError(`@SystemTask(): permissions of "${name}" are names like "documents:read-any".`);
  }
  const principal: Principal = Object.freeze({ kind: 'system', subject: `system:${name}` });
  const task: SystemTaskDeclaration = Object.freeze({
    name,
    permissions: Object.freeze([...new Set(permissions)].sort()),
    principal,
  });
  held.set(principal, new Set(task.permissions));

  return (_target, key, descriptor) => {
    if ((descriptor as unknown) === undefined || typeof descriptor.value !== 'function') {
      throw new TypeError(`@SystemTask() belongs on a method, not on a class or property (${String(key)}).`);
    }
    if (systemTaskOf(descriptor.value)) throw new TypeError(`@SystemTask() stands twice on ${String(key)}.`);
    descriptor.value = runAs(task, descriptor.value as Method) as typeof descriptor.value;
  };
}

/** The method as the scheduler will call it, with all that others have written on it. */
function runAs(task: SystemTaskDeclaration, method: Method): Method {
  const run: Method = function (...given) {
    const ambient = RequestContext.current();
    // What overrides a task may call the one that it overrides, as itself.
    if (ambient?.principal === task.principal) return method.apply(this, given);
    if (ambient) {
      throw new TypeError(
        `The task "${task.name}" was called inside of a request or of another task, whose rights are not its own: ` +
          'put the work into a method of its own and call that, or add a job to the queue.',
      );
    }
    const host = taskHostOf(this);
    const context = new RequestContext({ transport: 'task', receivedAtMs: host.nowMs(), method: task.name });
    context.handler = `${this.constructor.name}.${method.name}`;
    context.authenticateAs(task.principal);
    return RequestContext.run(context, () => attempt(host, task.name, () => method.apply(this, given)));
  };
  wrapped(method, run);
  Reflect.defineMetadata(TASK_MARK, task, run);
  return run;
}

/** Runs it and tells of its failure, whichever way it fails; the failure goes on to the scheduler. */
function attempt(host: TaskHost, name: string, work: () => unknown): unknown {
  try {
    const result = work();
    if (typeof (result as { then?: unknown } | null | undefined)?.then !== 'function') return result;
    return Promise.resolve(result).catch(async (error: unknown) => {
      await host.failed(name, error);
      throw error;
    });
  } catch (error) {
    void host.failed(name, error);
    throw error;
  }
}
