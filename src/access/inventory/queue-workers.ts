import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import type { ContainedModule } from '../../core/lazy-modules.js';
import { BootError } from '../../core/zero-trust-error.js';
import { unseenQueuesIn } from './queue-options.js';
import { metadataOf } from './route-entry.js';
import { PROCESSOR_METADATA } from './task.handlers.js';

/** What `@Processor()` of `@nestjs/bullmq` was given for its worker. */
const WORKER_METADATA = 'bullmq:worker_metadata';

interface WorkerOptions {
  readonly autorun?: boolean;
}

/** Of BullMQ's own, as much as is needed here. */
interface Worker {
  readonly opts: WorkerOptions;
  run(): Promise<void>;
  emit(event: 'error', error: unknown): unknown;
}

/** Whom the module of BullMQ asks for the options of each worker that it makes: one for each application. */
interface WorkerOptionsReader {
  getWorkerOptionsMetadata(type: unknown): WorkerOptions;
}

interface Processor {
  readonly type: Type;
  readonly worker: Worker;
}

type Type = object & { readonly name: string };
type Wrapper = ContainedModule['providers'] extends Map<unknown, infer Each> ? Each : never;

/**
 * Keeps the workers of BullMQ from their queues until the application was found in order, by the host as well. They would
 * begin before any check, and a start that is refused would have done the jobs that waited. Nothing is written on the
 * classes: subclasses inherit from them, and other applications of the process may share them.
 *
 * @see QueueWorkersModule which calls each method when its time has come
 */
@Injectable()
export class QueueWorkers implements OnApplicationBootstrap, OnModuleDestroy {
  #mayBegin = false;
  #isClosing = false;

  constructor(private readonly modules: ModulesContainer) {}

  /** Before the module of BullMQ makes its workers. @throws BootError for those of which nothing can be known */
  hold(): void {
    const unseen = [...this.modules.values()].flatMap(unseenQueuesIn);
    // They have begun. Whoever is refused may stay open, and they would go on.
    for (const { close } of unseen) close();
    if (unseen.length > 0) throw unseenError(unseen.map(({ name }) => name));
    for (const reader of this.#readers()) {
      const given = reader.getWorkerOptionsMetadata.bind(reader);
      reader.getWorkerOptionsMetadata = (type) =>
        this.#mayBegin ? given(type) : { ...given(type), autorun: false };
    }
  }

  /** Lets them begin, after the hooks of everybody else. @throws BootError for each that has begun before */
  onApplicationBootstrap(): void {
    // Nest goes through all hooks once more for a microservice that is initialised later.
    if (this.#mayBegin || this.#isClosing) return;
    const processors = this.#processors();
    const faults = processors
      .filter(({ worker }) => worker.opts.autorun === true)
      .map(
        ({ type: { name } }) =>
          `${name} took jobs before anything was checked: register its worker in onModuleInit() at the earliest, or ` +
          'give its @Processor() { autorun: false } and call worker.run() when the application has started',
      );
    if (faults.length > 0) throw new BootError('AccessModule', faults);
    this.#mayBegin = true;
    for (const { type, worker } of processors) {
      // Whoever starts it by hand goes on to.
      if ((metadataOf(WORKER_METADATA, type) as WorkerOptions | undefined)?.autorun === false) continue;
      // As BullMQ itself does it.
      worker.run().catch((error: unknown) => worker.emit('error', error));
    }
  }

  /** An application may be closed while it is still starting. */
  onModuleDestroy(): void {
    this.#isClosing = true;
  }

  /** Each worker once, under however many tokens its processor is provided. */
  #processors(): readonly Processor[] {
    const processors = this.#providers().flatMap(({ instance }): Processor[] => {
      const made = instance as { readonly constructor: unknown } | null | undefined;
      const type = made?.constructor;
      if (!isType(type) || metadataOf(PROCESSOR_METADATA, type) === undefined) return [];
      const worker = workerOf(made);
      return worker ? [{ type, worker }] : [];
    });
    return [...new Map(processors.map((processor) => [processor.worker, processor])).values()];
  }

  /** By what it can be asked, so that the package need not be installed. One that is missing lets workers begin: a fault. */
  #readers(): readonly WorkerOptionsReader[] {
    return this.#providers()
      .filter(({ metatype }) => {
        const { prototype } = (metatype ?? {}) as { readonly prototype?: Partial<WorkerOptionsReader> };
        return typeof prototype?.getWorkerOptionsMetadata === 'function';
      })
      .map(({ instance }) => instance as WorkerOptionsReader);
  }

  #providers(): readonly Wrapper[] {
    return [...this.modules.values()].flatMap(({ providers }) => [...providers.values()]);
  }
}

function unseenError(names: readonly string[]): BootError {
  return new BootError(
    'AccessModule',
    names.map(
      (name) =>
        `the queue "${name}" has "processors", which take jobs before anything is checked and declare no ` +
        `@SystemTask(): make each a class with @Processor('${name}') that extends WorkerHost`,
    ),
  );
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
