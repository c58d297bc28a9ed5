import { Logger } from '@nestjs/common';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { isDatabaseUnavailable } from '../../src/database/database.errors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startFaultProxy } from '../support/fault-proxy.js';
import { open, type Opened } from './opened.js';

let database: TestDatabase;
let opened: Opened;

beforeAll(async () => {
  database = await createTestDatabase();
  opened = await open(database.ownerUrl, { poolSize: 5, connectTimeoutMs: 1000 });
  await opened.dataSource.query('CREATE TABLE public.note (id int PRIMARY KEY, text text NOT NULL)');
  await opened.dataSource.query(
    'CREATE TABLE public.mark (id int REFERENCES public.note DEFERRABLE INITIALLY DEFERRED)',
  );
});
afterAll(async () => {
  await opened.close();
  await database.drop();
});
beforeEach(() => opened.dataSource.query('TRUNCATE public.note, public.mark'));

const write = (id: number): Promise<unknown> =>
  opened.unitOfWork.query('INSERT INTO public.note VALUES ($1, $2)', [id, 'x']);
const notes = async (): Promise<number[]> => {
  const rows = await opened.dataSource.query<{ id: number }[]>('SELECT id FROM public.note ORDER BY id');
  return rows.map(({ id }) => id);
};

describe('a unit of work', () => {
  test('commits everything that ran inside, and answers what the work answered', async () => {
    const { unitOfWork } = opened;
    const answer = await unitOfWork.run(async () => {
      await write(1);
      await unitOfWork.run(() => write(2));
      expect(await notes()).toEqual([]);
      return 'done';
    });
    expect(answer).toBe('done');
    expect(await notes()).toEqual([1, 2]);
  });

  test('rolls everything back when the work throws, and throws that very error', async () => {
    const fault = new Error('no');
    const { unitOfWork } = opened;
    const failing = unitOfWork.run(async () => {
      await unitOfWork.run(() => write(1));
      await write(2);
      throw fault;
    });
    await expect(failing).rejects.toBe(fault);
    expect(await notes()).toEqual([]);
  });

  test('does not commit when an inner run failed and the outer one swallowed it', async () => {
    const { unitOfWork } = opened;
    const failing = unitOfWork.run(async () => {
      await write(1);
      await unitOfWork
        .run(async () => {
          await write(2);
          throw new Error('a rule of the business');
        })
        .catch(() => undefined);
      await write(3);
    });
    await expect(failing).rejects.toMatchObject({
      code: 'internal-error',
      cause: { message: 'a rule of the business' },
    });
    expect(await notes()).toEqual([]);
  });

  test('does not pretend to have committed when a failed statement was swallowed', async () => {
    const failing = opened.unitOfWork.run(async () => {
      await write(1);
      // PostgreSQL answers the later COMMIT with ROLLBACK, and no error.
      await write(1).catch(() => undefined);
    });
    await expect(failing).rejects.toMatchObject({ code: 'internal-error' });
    expect(await notes()).toEqual([]);
  });

  test('a savepoint (TypeORM nested transaction) may fail and be swallowed', async () => {
    await opened.unitOfWork.run(async () => {
      await write(1);
      await opened.unitOfWork.manager.transaction(() => write(1)).catch(() => undefined);
      await write(2);
    });
    expect(await notes()).toEqual([1, 2]);
  });

  test('throws what COMMIT throws, and keeps nothing', async () => {
    const failing = opened.unitOfWork.run(async () => {
      await write(1);
      await opened.unitOfWork.query('INSERT INTO public.mark VALUES (77)');
    });
    await expect(failing).rejects.toThrow(/foreign key/);
    expect(await notes()).toEqual([]);
  });

  test('runs parallel work on its one connection, all of it or nothing', async () => {
    await opened.unitOfWork.run(() => Promise.all([1, 2, 3, 4, 5].map(write)));
    expect(await notes()).toEqual([1, 2, 3, 4, 5]);
  });

  test('a parallel branch that is still going on when the unit fails writes nothing outside of it', async () => {
    let straggler: Promise<unknown> = Promise.resolve();
    let release: () => void = () => undefined;
    const failed = new Promise<void>((resolve) => {
      release = resolve;
    });
    const failing = opened.unitOfWork.run(() => {
      const { manager } = opened.unitOfWork;
      straggler = write(1).then(async () => {
        await failed;
        // By the manager that it already holds, and by the ambient one.
        await expect(manager.query('INSERT INTO public.note VALUES (2)')).rejects.toThrow();
        await write(3);
      });
      straggler.catch(() => undefined);
      return Promise.reject(new Error('the other branch'));
    });
    await expect(failing).rejects.toThrow('the other branch');
    release();
    await expect(straggler).rejects.toMatchObject({ code: 'internal-error' });
    expect(await notes()).toEqual([]);
  });

  test('work that was not awaited is refused after the unit has ended', async () => {
    let release: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      release = resolve;
    });
    let late: Promise<unknown> = Promise.resolve();
    await opened.unitOfWork.run(async () => {
      late = ended.then(() => opened.unitOfWork.run(() => write(9)));
      late.catch(() => undefined);
      await write(1);
    });
    release();
    await expect(late).rejects.toMatchObject({ code: 'internal-error' });
    expect(await notes()).toEqual([1]);
  });

  test('two units at the same time do not see each other', async () => {
    const { unitOfWork } = opened;
    const failing = unitOfWork.run(async () => {
      await write(1);
      throw new Error('mine');
    });
    const passing = unitOfWork.run(() => write(2));
    await expect(failing).rejects.toThrow('mine');
    await passing;
    expect(await notes()).toEqual([2]);
  });

  test('gives its connection back, whatever happened', async () => {
    for (let round = 0; round < 20; round += 1) {
      await opened.unitOfWork.run(() => Promise.reject(new Error('no'))).catch(() => undefined);
      await opened.unitOfWork
        .run(async () => {
          await write(1);
          await write(1).catch(() => undefined);
        })
        .catch(() => undefined);
    }
    await opened.unitOfWork.run(() => write(1));
    expect(await notes()).toEqual([1]);
  });
});

describe('detached work', () => {
  test('stays although the surrounding unit rolls back', async () => {
    const failing = opened.unitOfWork.run(async () => {
      await write(1);
      await opened.unitOfWork.runDetached(() => write(2));
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await notes()).toEqual([2]);
  });

  test('that fails does not break the surrounding unit', async () => {
    await opened.unitOfWork.run(async () => {
      await write(1);
      await opened.unitOfWork.runDetached(() => Promise.reject(new Error('no'))).catch(() => undefined);
    });
    expect(await notes()).toEqual([1]);
  });

  test('inside of many units at once finds a connection: units never hold the whole pool', async () => {
    const units = Array.from({ length: 20 }, (_, id) =>
      opened.unitOfWork.run(async () => {
        await write(id);
        await opened.unitOfWork.runDetached(() => write(100 + id));
      }),
    );
    await Promise.all(units);
    expect(await notes()).toHaveLength(40);
  });

  test('a unit that waits too long for its turn is refused as unavailable', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const holding = Array.from({ length: 4 }, () => opened.unitOfWork.run(() => held));
    const error: unknown = await opened.unitOfWork.run(() => write(1)).catch((each: unknown) => each);
    expect(isDatabaseUnavailable(error)).toBe(true);
    release();
    await Promise.all(holding);
    await opened.unitOfWork.run(() => write(2));
    expect(await notes()).toEqual([2]);
  });
});

describe('a hook before the commit', () => {
  test('is the last work of the outermost unit, inside of it, in order', async () => {
    const { unitOfWork } = opened;
    const seen: string[] = [];
    await unitOfWork.run(async () => {
      await unitOfWork.run(() => {
        unitOfWork.beforeCommit(async () => {
          seen.push(`active: ${unitOfWork.active}`, `committed: ${(await notes()).length}`);
          await write(2);
        });
        return Promise.resolve();
      });
      await write(1);
      unitOfWork.beforeCommit(() => {
        seen.push('second');
      });
      expect(seen).toEqual([]);
    });
    expect(seen).toEqual(['active: true', 'committed: 0', 'second']);
    expect(await notes()).toEqual([1, 2]);
  });

  test('that fails rolls everything back, also when the failure was swallowed inside', async () => {
    const { unitOfWork } = opened;
    const hooks = [
      () => Promise.reject(new Error('the feed is down')),
      () => unitOfWork.run(() => Promise.reject(new Error('swallowed'))).catch(() => undefined),
    ];
    for (const hook of hooks) {
      const unit = unitOfWork.run(async () => {
        await write(1);
        unitOfWork.beforeCommit(hook);
      });
      await expect(unit).rejects.toThrow();
    }
    expect(await notes()).toEqual([]);
  });

  test('needs a unit', () => {
    expect(() => {
      opened.unitOfWork.beforeCommit(() => undefined);
    }).toThrow(/run\(\)/);
  });
});

describe('a hook after the commit', () => {
  test('runs once the outermost unit has committed, outside of it, in order', async () => {
    const { unitOfWork } = opened;
    const seen: string[] = [];
    await unitOfWork.run(async () => {
      await unitOfWork.run(async () => {
        await write(1);
        await unitOfWork.afterCommit(async () => {
          seen.push(`active: ${unitOfWork.active}`, `committed: ${(await notes()).length}`);
        });
      });
      await unitOfWork.afterCommit(() => {
        seen.push('second');
      });
      expect(seen).toEqual([]);
    });
    expect(seen).toEqual(['active: false', 'committed: 1', 'second']);
  });

  test('never runs after a rollback', async () => {
    const hook = vi.fn();
    const { unitOfWork } = opened;
    await unitOfWork
      .run(async () => {
        await unitOfWork.afterCommit(hook);
        throw new Error('no');
      })
      .catch(() => undefined);
    await unitOfWork
      .run(async () => {
        await unitOfWork.afterCommit(hook);
        await unitOfWork.run(() => Promise.reject(new Error('no'))).catch(() => undefined);
      })
      .catch(() => undefined);
    expect(hook).not.toHaveBeenCalled();
  });

  test('that fails is logged, and does not make the committed change look undone', async () => {
    const logged = vi.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const after = vi.fn();
    try {
      await opened.unitOfWork.run(async () => {
        await write(1);
        await opened.unitOfWork.afterCommit(() => {
          throw new Error('a full disk');
        });
        await opened.unitOfWork.afterCommit(after);
      });
      expect(logged).toHaveBeenCalledOnce();
    } finally {
      logged.mockRestore();
    }
    expect(after).toHaveBeenCalledOnce();
    expect(await notes()).toEqual([1]);
  });

  test('runs at once outside of a unit', async () => {
    const hook = vi.fn();
    await opened.unitOfWork.afterCommit(hook);
    expect(hook).toHaveBeenCalledOnce();
  });
});

test('FLT-06 a connection lost during COMMIT is told as unknown, never as committed', async () => {
  const proxy = await startFaultProxy(database.ownerUrl);
  const through = await open(proxy.through(database.ownerUrl));
  try {
    const unsure = through.unitOfWork.run(async () => {
      await through.unitOfWork.query(`INSERT INTO public.note VALUES (1, 'x')`);
      proxy.cut();
    });
    const error: unknown = await unsure.catch((each: unknown) => each);
    expect(error).toMatchObject({ code: 'temporarily-unavailable' });
    expect(isDatabaseUnavailable(error)).toBe(true);
    proxy.pass();
    await through.unitOfWork.run(() => through.unitOfWork.query('SELECT 1'));
  } finally {
    await through.close();
    await proxy.close();
  }
});

/** What a tree of nested work must leave behind. */
type Step =
  | { readonly kind: 'write' }
  | { readonly kind: 'fail' }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'run' | 'detached'; readonly swallow: boolean; readonly steps: readonly Step[] };

const step: fc.Arbitrary<Step> = fc.letrec<{ step: Step }>((tie) => ({
  step: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.constant<Step>({ kind: 'write' }),
    fc.constant<Step>({ kind: 'fail' }),
    fc.constant<Step>({ kind: 'duplicate' }),
    fc.record({
      kind: fc.constantFrom('run' as const, 'detached' as const),
      swallow: fc.boolean(),
      steps: fc.array(tie('step'), { maxLength: 3 }),
    }),
  ),
})).step;

test('for every nesting of work, failures and swallowed failures, exactly the committed units remain', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 4 }), async (steps) => {
      await opened.dataSource.query('TRUNCATE public.note, public.mark');
      let next = 1;
      const expected = new Set<number>();
      /** Performs the steps; what they write becomes expected only when the model says that their unit commits. */
      const perform = async (
        each: readonly Step[],
        unit: { written: number[]; doomed: boolean },
      ): Promise<void> => {
        for (const one of each) {
          if (one.kind === 'write') {
            // In a doomed unit the statement may fail as well; the unit is lost anyway.
            const id = next++;
            unit.written.push(id);
            await write(id);
          } else if (one.kind === 'fail') {
            throw new Error('fail');
          } else if (one.kind === 'duplicate') {
            unit.doomed = true;
            await opened.unitOfWork.query('SELECT 1 / 0').catch(() => undefined);
          } else if (one.kind === 'run') {
            const inner = opened.unitOfWork
              .run(() => perform(one.steps, unit))
              .catch((error: unknown) => {
                unit.doomed = true;
                throw error;
              });
            await (one.swallow ? inner.catch(() => undefined) : inner);
          } else {
            const own = performUnit(one.steps);
            await (one.swallow ? own.catch(() => undefined) : own);
          }
        }
      };
      const performUnit = async (each: readonly Step[]): Promise<void> => {
        const unit = { written: [] as number[], doomed: false, failed: false };
        try {
          await opened.unitOfWork.runDetached(() =>
            perform(each, unit).catch((error: unknown) => {
              unit.failed = true;
              throw error;
            }),
          );
          expect(unit.doomed || unit.failed).toBe(false);
          for (const id of unit.written) expected.add(id);
        } catch (error) {
          if (!unit.doomed && !unit.failed)
            throw new Error('the unit failed for no reason', { cause: error });
          throw error;
        }
      };
      await performUnit(steps).catch((error: unknown) => {
        if (error instanceof Error && error.message === 'the unit failed for no reason') throw error;
      });
      expect(await notes()).toEqual([...expected].sort((a, b) => a - b));
    }),
    { numRuns: 60 },
  );
});
