import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { BootError } from '../../core/zero-trust-error.js';
import { metadataOf } from './route-entry.js';
import { PROCESSOR_METADATA } from './task.handlers.js';

/** What `@Processor()` of `@nestjs/bullmq` was given for its worker. */
const WORKER_METADATA = 'bullmq:worker_metadata';

/** Of BullMQ's own, as much as is needed here. */
interface Worker {
  readonly opts: { readonly autorun?: boolean };
  run(): Promise<void>;
  emit(event: 'error', error: unknown): unknown;
}

interface Processor {
  readonly type: Type;
  /** Absent until it was registered. */
  readonly worker: Worker | undefined;
}

type Type = object & { readonly name: string };

/** By the class, which several applications of a process may share: what it was given, and how many hold it. */
const holds = new WeakMap<Type, { readonly given: unknown; by: number }>();

/**
 * Keeps the workers of BullMQ from their queues until the application was found in order. They would begin before any
 * check, and a start that is refused would have done the jobs that waited.
 */
@Injectable()
export class QueueWorkers implements OnModuleDestroy {
  readonly #held = new Set<Type>();

  /** In the constructor: BullMQ's module makes its workers in the first hook that there is. */
  constructor(private readonly modules: ModulesContainer) {
    for (const { type } of this.#processors()) this.#hold(type);
  }

  /** Lets them begin. @throws BootError for each that has begun before */
  start(): void {
    const processors = this.#processors();
    const faults = processors
      .filter(({ worker }) => worker?.opts.autorun === true)
      .map(
        ({ type: { name } }) =>
          `${name} took jobs before anything was checked, for a factory makes it: list the class itself among the ` +
          'providers, or give its @Processor() { autorun: false } and call worker.run() when the application has started',
      );
    if (faults.length > 0) throw new BootError('AccessModule', faults);
    for (const { type, worker } of processors) {
      // As BullMQ itself does it.
      if (worker && this.#held.has(type)) worker.run().catch((error: unknown) => worker.emit('error', error));
    }
    this.#release();
  }

  onModuleDestroy(): void {
    this.#release();
  }

  #processors(): readonly Processor[] {
    return [...this.modules.values()].flatMap(({ providers }) =>
      [...providers.values()].flatMap(({ isNotMetatype, metatype, instance }) => {
        const made = instance as { readonly constructor: unknown } | null | undefined;
        const type = isNotMetatype ? made?.constructor : metatype;
        return isType(type) && metadataOf(PROCESSOR_METADATA, type) !== undefined
          ? [{ type, worker: workerOf(made) }]
          : [];
      }),
    );
  }

  #hold(type: Type): void {
    const options = metadataOf(WORKER_METADATA, type) as Worker['opts'] | undefined;
    const known = holds.get(type);
    // Whoever starts it by hand goes on to.
    if (this.#held.has(type) || (!known && options?.autorun === false)) return;
    this.#held.add(type);
    if (known) {
      known.by += 1;
      return;
    }
    holds.set(type, { given: Reflect.getOwnMetadata(WORKER_METADATA, type), by: 1 });
    Reflect.defineMetadata(WORKER_METADATA, { ...options, autorun: false }, type);
  }

  /** One that is registered from here on begins by itself. */
  #release(): void {
    for (const type of this.#held) {
      const hold = holds.get(type);
      if (!hold || (hold.by -= 1) > 0) continue;
      holds.delete(type);
      if (hold.given === undefined) Reflect.deleteMetadata(WORKER_METADATA, type);
      else Reflect.defineMetadata(WORKER_METADATA, hold.given, type);
    }
    this.#held.clear();
  }
}

function isType(type: unknown): type is Type {
  return typeof type === 'function';
}

function workerOf(instance: unknown): Worker | undefined {
  try {
    return (instance as { readonly worker?: Worker } | null | undefined)?.worker;
  } catch {
    // It throws until there is one.
    return undefined;
  }
}
