import { PATH_METADATA } from '@nestjs/common/constants.js';
import { MetadataScanner } from '@nestjs/core';
import { PATTERN_HANDLER_METADATA, SUBSCRIPTION_METADATA } from '../../core/message-handlers.js';
import { systemTaskOf } from '../../core/system-task.js';
import type { AccessSettings } from '../access.settings.js';
import { metadataOf, type HandlerHost, type RouteEntry } from './route-entry.js';
import type { TaskPolicy } from './task-policy.js';

// The metadata keys of @nestjs/schedule and @nestjs/bullmq, so that neither has to be installed.
const SCHEDULER_TYPE = 'SCHEDULER_TYPE';
const SCHEDULER_NAME = 'SCHEDULER_NAME';
/** `@Processor()` of `@nestjs/bullmq`, on the class. */
export const PROCESSOR_METADATA = 'bullmq:processor_metadata';
/** The one method of a `WorkerHost` that is called with jobs; its `@OnWorkerEvent()` methods only hear of them. */
const PROCESS = 'process';

/** `SchedulerType` of `@nestjs/schedule`. */
const SCHEDULERS: ReadonlyMap<unknown, string> = new Map([
  [1, 'CRON'],
  [2, 'TIMEOUT'],
  [3, 'INTERVAL'],
]);

const scanner = new MetadataScanner();
const MEND = "write @SystemTask({ name: '…', permissions: […] }) on the method";

/** Methods that a scheduler or a queue calls, and whatever else is declared as a task. */
export function taskHandlersOf(host: HandlerHost): readonly RouteEntry[] {
  const queue = metadataOf(PROCESSOR_METADATA, host.type) as { readonly name?: unknown } | undefined;
  return scanner.getAllMethodNames(host.prototype).flatMap((handlerName): RouteEntry[] => {
    const declared = host.prototype[handlerName];
    // Schedulers read and call what stands on the instance.
    const replaced = host.instance?.[handlerName];
    const called = typeof replaced === 'function' ? replaced : declared;
    const scheduler = metadataOf(SCHEDULER_TYPE, called) ?? metadataOf(SCHEDULER_TYPE, declared);
    const isProcess = queue !== undefined && handlerName === PROCESS;
    const task = systemTaskOf(called);
    if (scheduler === undefined && !isProcess && !task) return [];
    const named = isProcess ? queue.name : metadataOf(SCHEDULER_NAME, called);
    return [
      {
        transport: 'task',
        // An unknown scheduler is one all the same; what none calls is called by code, outside of requests.
        method: isProcess ? 'QUEUE' : (SCHEDULERS.get(scheduler) ?? (scheduler ? 'SCHEDULE' : 'CALL')),
        path: task?.name ?? (typeof named === 'string' ? named : handlerName),
        className: host.name,
        handlerName,
        policy: policyOfTask(called),
      },
    ];
  });
}

function policyOfTask(method: unknown): TaskPolicy {
  const task = systemTaskOf(method);
  if (!task) {
    return {
      kind: 'undeclared',
      fault: `is called by nobody who asks, with rights that nobody gave: ${MEND}`,
    };
  }
  const isHandler = [PATH_METADATA, PATTERN_HANDLER_METADATA, SUBSCRIPTION_METADATA].some(
    (key) => metadataOf(key, method) !== undefined,
  );
  if (isHandler) {
    return { kind: 'undeclared', fault: 'is a task and answers requests: give each a method of its own' };
  }
  return { kind: 'system', permissions: task.permissions };
}

/** Tasks that would be one and the same to the log, and hold what the other holds to whoever reads it. */
export function namesakesOf(entries: readonly RouteEntry[]): readonly RouteEntry[] {
  const first = new Map<string, string>();
  return entries.filter(({ policy, path, handlerName }) => {
    if (policy.kind !== 'system') return false;
    // Inherited, it is the same one in each class.
    const held = JSON.stringify([handlerName, policy.permissions]);
    const known = first.get(path);
    first.set(path, known ?? held);
    return known !== undefined && known !== held;
  });
}

/** What is wrong with what a task holds: it was meant for something that is not there. */
export function taskFaults(
  { permissions }: { readonly permissions: readonly string[] },
  settings: AccessSettings,
): readonly string[] {
  return permissions
    .filter((permission) => !settings.catalogue.has(permission))
    .map(
      (permission) =>
        `holds "${permission}", which nobody declared: add it to AccessModule's "permissions" or correct it`,
    );
}
