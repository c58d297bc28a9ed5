import type { ContainedModule } from '../../core/lazy-modules.js';

// The tokens of @nestjs/bullmq, so that it need not be installed.
const OPTIONS_TOKEN = 'BullMQQueueOptions_';
const QUEUE_TOKEN = 'BullQueue_';

/** A queue whose options bring workers that belong to no class. */
export interface UnseenQueue {
  readonly name: string;
  /** Ends its workers with the hook that closes them; nobody waits for the jobs that they have begun. */
  readonly close: () => void;
}

/** The queues of a module with `processors` in their options: functions and files that no inventory can tell of. */
export function unseenQueuesIn({ providers }: ContainedModule): readonly UnseenQueue[] {
  return [...providers].flatMap(([token, { instance }]): UnseenQueue[] => {
    if (typeof token !== 'string' || !token.startsWith(OPTIONS_TOKEN)) return [];
    const { name, processors } = (instance ?? {}) as {
      readonly name?: string;
      readonly processors?: readonly unknown[];
    };
    if (!processors?.length) return [];
    const registered = token.slice(OPTIONS_TOKEN.length);
    const queue = providers.get(`${QUEUE_TOKEN}${registered}`)?.instance as
      { onApplicationShutdown?(): Promise<void> } | undefined;
    return [
      {
        name: name ?? registered,
        close: () => void queue?.onApplicationShutdown?.().catch(() => undefined),
      },
    ];
  });
}
