import { Module, type OnModuleInit } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { KitModule } from '../../core/kit-module.js';
import { QueueWorkers } from './queue-workers.js';

// Nest calls the hooks of one module after the other, by their distances: those of global modules first, at
// `Number.MAX_VALUE`, and that of the root last. It sorts them after all constructors have run.
const BEFORE_ALL = Number.POSITIVE_INFINITY;
const AFTER_ALL = Number.NEGATIVE_INFINITY;

/** Where workers begin: behind the last hook that could still refuse the start, the root module's own. */
@KitModule()
@Module({ providers: [QueueWorkers], exports: [QueueWorkers] })
class QueueWorkersStartModule {
  constructor(modules: ModulesContainer) {
    place(QueueWorkersStartModule, AFTER_ALL, modules);
  }
}

/** Where they are held: ahead of the hook in which BullMQ's module, a global one, makes them. */
@KitModule()
@Module({ imports: [QueueWorkersStartModule] })
export class QueueWorkersModule implements OnModuleInit {
  constructor(
    modules: ModulesContainer,
    private readonly workers: QueueWorkers,
  ) {
    place(QueueWorkersModule, BEFORE_ALL, modules);
  }

  onModuleInit(): void {
    this.workers.hold();
  }
}

function place(type: object, distance: number, modules: ModulesContainer): void {
  for (const module of modules.values()) {
    if (module.metatype === type) module.distance = distance;
  }
}
