import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { Clock } from './clock.js';
import { SecurityEvents } from './security-events.js';
import { ZeroTrustError } from './zero-trust-error.js';

/** What a task needs of the application that it runs in. */
export interface TaskHost {
  nowMs(): number;
  /** Publishes that a run has failed. Never throws: the fault of the task is the one to be told. */
  failed(task: string, error: unknown): Promise<void>;
}

const logger = new Logger('SystemTask');
const byInstance = new WeakMap<object, TaskHost>();
/** For what is made anew for each job; of two applications in one process, the one that booted last. */
const byClass = new WeakMap<object, TaskHost>();

/** Where no container with the kit has made an object (a test): nothing but the log. */
const WITHOUT_HOST: TaskHost = {
  nowMs: () => Date.now(),
  failed(task) {
    logger.error(`the task "${task}" failed, and there is no application to record it`);
    return Promise.resolve();
  },
};

/** The application whose container made this object: two in one process share classes, not instances. */
export function taskHostOf(instance: object): TaskHost {
  return byInstance.get(instance) ?? byClass.get(instance.constructor) ?? WITHOUT_HOST;
}

/** Tells the objects of this application to whom their tasks report. Before any scheduler starts: those do on bootstrap. */
@Injectable()
export class TaskHosts implements OnModuleInit, TaskHost {
  constructor(
    private readonly modules: ModulesContainer,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    for (const module of this.modules.values()) {
      for (const { instance } of [...module.providers.values(), ...module.controllers.values()]) {
        const made: unknown = instance;
        if (typeof made !== 'object' || made === null) continue;
        byInstance.set(made, this);
        if (typeof made.constructor === 'function') byClass.set(made.constructor, this);
      }
    }
  }

  nowMs(): number {
    return this.clock.nowMs();
  }

  async failed(task: string, error: unknown): Promise<void> {
    try {
      await this.events.publish({
        action: 'task.failed',
        outcome: 'failure',
        delivery: 'detached',
        target: { type: 'task', id: task },
        reason: 'a task failed',
        ...(error instanceof ZeroTrustError && { detail: { code: error.code } }),
      });
    } catch {
      logger.error(`the task "${task}" failed, and that could not be recorded`);
    }
  }
}
