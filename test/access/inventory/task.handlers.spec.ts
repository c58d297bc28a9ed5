import { OnWorkerEvent, Processor, WorkerHost } from '@nestjs/bullmq';
import { Get } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { Cron, Interval, Timeout } from '@nestjs/schedule';
import { SubscribeMessage } from '@nestjs/websockets';
import { describe, expect, test } from 'vitest';
import { AccessSettings } from '../../../src/access/access.settings.js';
import type { HandlerHost, RouteEntry } from '../../../src/access/inventory/route-entry.js';
import { namesakesOf, taskFaults, taskHandlersOf } from '../../../src/access/inventory/task.handlers.js';
import { SystemTask } from '../../../src/core/system-task.js';

type Class = (new () => object) & { readonly name: string };
const hostOf = (type: Class, instance?: object): HandlerHost => ({
  name: type.name,
  type,
  prototype: type.prototype as Readonly<Record<string, unknown>>,
  instance: instance as HandlerHost['instance'],
});
const UNDECLARED = {
  kind: 'undeclared',
  fault:
    "is called by nobody who asks, with rights that nobody gave: write @SystemTask({ name: '…', permissions: […] }) on the method",
};
const system = (...permissions: string[]): object => ({ kind: 'system', permissions });

class Tasks {
  @Cron('0 0 1 1 *')
  @SystemTask({ name: 'yearly-purge', permissions: ['documents:write'] })
  yearly(): void {
    return;
  }
  @SystemTask({ name: 'sweep' })
  @Interval('sweeping', 60_000)
  sweep(): void {
    return;
  }
  @Timeout('warm-up', 60_000)
  warm(): void {
    return;
  }
  @Interval(60_000)
  forgotten(): void {
    return;
  }
  @SystemTask({ name: 'by-hand', permissions: ['documents:read'] })
  byHand(): void {
    return;
  }
  notATask(): void {
    return;
  }
}

describe('the tasks of a class', () => {
  test('RBAC-01 are what a scheduler calls and what is declared, each with what it holds or a fault', () => {
    const of = { transport: 'task', className: 'Tasks' };
    expect(taskHandlersOf(hostOf(Tasks))).toStrictEqual([
      {
        ...of,
        method: 'CRON',
        path: 'yearly-purge',
        handlerName: 'yearly',
        policy: system('documents:write'),
      },
      { ...of, method: 'INTERVAL', path: 'sweep', handlerName: 'sweep', policy: system() },
      { ...of, method: 'TIMEOUT', path: 'warm-up', handlerName: 'warm', policy: UNDECLARED },
      { ...of, method: 'INTERVAL', path: 'forgotten', handlerName: 'forgotten', policy: UNDECLARED },
      { ...of, method: 'CALL', path: 'by-hand', handlerName: 'byHand', policy: system('documents:read') },
    ]);
  });

  test('RBAC-01 are those of a scheduler that nobody knows too', () => {
    class Odd {
      run(): void {
        return;
      }
    }
    Reflect.defineMetadata('SCHEDULER_TYPE', 9, Odd.prototype.run);
    expect(taskHandlersOf(hostOf(Odd))).toMatchObject([
      { method: 'SCHEDULE', path: 'run', policy: UNDECLARED },
    ]);
  });

  test('RBAC-01 of a queue are its one method that is called with jobs, and none that only hears of them', () => {
    @Processor('mails')
    class MailProcessor extends WorkerHost {
      process(): Promise<void> {
        return Promise.resolve();
      }
      @OnWorkerEvent('completed')
      onCompleted(): void {
        return;
      }
    }
    @Processor('letters')
    class LetterProcessor extends WorkerHost {
      @SystemTask({ name: 'letter-queue' })
      process(): Promise<void> {
        return Promise.resolve();
      }
    }
    class NoProcessor {
      process(): void {
        return;
      }
    }
    expect(taskHandlersOf(hostOf(MailProcessor))).toMatchObject([
      { method: 'QUEUE', path: 'mails', handlerName: 'process', policy: UNDECLARED },
    ]);
    expect(taskHandlersOf(hostOf(LetterProcessor))).toMatchObject([
      { method: 'QUEUE', path: 'letter-queue', handlerName: 'process', policy: system() },
    ]);
    expect(taskHandlersOf(hostOf(NoProcessor))).toEqual([]);
    // Its options need not name the queue.
    Reflect.defineMetadata('bullmq:processor_metadata', {}, NoProcessor);
    expect(taskHandlersOf(hostOf(NoProcessor))).toMatchObject([{ method: 'QUEUE', path: 'process' }]);
  });

  test('RBAC-01 are judged by what stands on the instance, which is what the scheduler calls', () => {
    const { byHand, notATask } = Tasks.prototype;
    const of = (instance: object, name: string): unknown =>
      taskHandlersOf(hostOf(Tasks, instance)).find(({ handlerName }) => handlerName === name);
    // What was put in the place of a task holds nothing, and is one still.
    expect(of({ yearly: notATask }, 'yearly')).toMatchObject({ method: 'CRON', policy: UNDECLARED });
    expect(of({ notATask: byHand }, 'notATask')).toMatchObject({ policy: system('documents:read') });
    // No function: what the class says is called.
    expect(of({ yearly: 'text' }, 'yearly')).toMatchObject({ policy: system('documents:write') });
    class Renamed {
      @Interval('other', 60_000)
      run(): void {
        return;
      }
    }
    expect(of({ notATask: Renamed.prototype.run }, 'notATask')).toMatchObject({
      method: 'INTERVAL',
      path: 'other',
    });
  });

  test.each<[string, MethodDecorator]>([
    ['HTTP', Get()],
    ['messages', MessagePattern('a')],
    ['a socket', SubscribeMessage('a')],
  ])('RBAC-01 answer no request as well: %s', (_name, mark) => {
    class Both {
      @SystemTask({ name: 'both' })
      run(): void {
        return;
      }
    }
    mark(Both.prototype, 'run', Object.getOwnPropertyDescriptor(Both.prototype, 'run')!);
    expect(taskHandlersOf(hostOf(Both)).map(({ policy }) => policy)).toEqual([
      { kind: 'undeclared', fault: 'is a task and answers requests: give each a method of its own' },
    ]);
  });
});

describe('two tasks of one name', () => {
  const task = (
    className: string,
    handlerName: string,
    policy: RouteEntry['policy'] = { kind: 'system', permissions: ['documents:read'] },
    path = 'nightly',
  ): RouteEntry => ({ transport: 'task', method: 'CRON', path, className, handlerName, policy });

  test('RBAC-01 are found: they would be one to the log', () => {
    const other = task('B', 'another');
    const more = task('C', 'run', { kind: 'system', permissions: [] });
    expect(namesakesOf([task('A', 'run'), other, more])).toEqual([other, more]);
    // Compared with the first of them, however often another one comes between.
    expect(namesakesOf([task('A', 'run'), other, task('A', 'run'), other])).toEqual([other, other]);
  });

  test('are none where one class inherits it from the other, under two names, or where nobody declared one', () => {
    expect(namesakesOf([task('A', 'run'), task('B', 'run')])).toEqual([]);
    expect(namesakesOf([task('A', 'run'), task('B', 'run', undefined, 'weekly')])).toEqual([]);
    const forgotten = { kind: 'undeclared', fault: '' } as const;
    expect(namesakesOf([task('A', 'run', forgotten), task('B', 'other', forgotten)])).toEqual([]);
    expect(namesakesOf([task('A', 'run', { kind: 'public' }), task('B', 'other')])).toEqual([]);
  });
});

test('RBAC-01 a task that holds what nobody declared is told which, and the mend', () => {
  const settings = new AccessSettings(new Set(['documents:read']), new Map(), []);
  expect(taskFaults({ permissions: ['documents:read'] }, settings)).toEqual([]);
  expect(taskFaults({ permissions: ['documents:raed', 'documents:read', 'b:c'] }, settings)).toEqual([
    'holds "documents:raed", which nobody declared: add it to AccessModule\'s "permissions" or correct it',
    'holds "b:c", which nobody declared: add it to AccessModule\'s "permissions" or correct it',
  ]);
});
