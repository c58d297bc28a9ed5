import type { QueryRunner } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { GrantsService } from '../../../src/access/grants/grants.service.js';
import { ADAPTERS, ask } from '../../support/hostile.application.js';
import type { TestDatabase } from '../../support/database.js';
import { newSubject } from '../access.fixtures.js';
import {
  ACME,
  asSuperuser,
  createTenantDatabase,
  everything,
  GLOBEX,
  Project,
  reseed,
  startTenants,
  Task,
  type TenantsApplication,
  type Work,
} from './tenants.application.js';

/** Every way to the database that a handler has and that forgets the WHERE; each answers the names that it saw. */
const FORGETFUL: Readonly<Record<string, (app: TenantsApplication) => Promise<unknown>>> = {
  'repository.find()': async ({ projects }) => (await projects.find()).map(({ name }) => name),
  'a query builder': async ({ projects }) =>
    (await projects.createQueryBuilder('p').getMany()).map(({ name }) => name),
  'raw SQL by the unit of work': async ({ unitOfWork }) =>
    (await unitOfWork.query<{ name: string }>('SELECT * FROM projects.project')).map(({ name }) => name),
  'raw SQL by the data source': async ({ projects }) =>
    names(await projects.manager.dataSource.query('SELECT * FROM projects.project')),
  'a subquery': async ({ unitOfWork }) =>
    names(
      await unitOfWork.query(
        'SELECT (SELECT p.name FROM projects.project p WHERE p.id = t.project_id) AS name FROM projects.task t',
      ),
    ),
  'a join': async ({ unitOfWork }) =>
    names(
      await unitOfWork.query(
        'SELECT p.name FROM projects.task t CROSS JOIN projects.project p WHERE p.id = t.project_id',
      ),
    ),
  'a common table expression': async ({ unitOfWork }) =>
    names(
      await unitOfWork.query(
        'WITH every AS MATERIALIZED (SELECT * FROM projects.project) SELECT name FROM every',
      ),
    ),
  'a condition that is always true': async ({ unitOfWork }) =>
    names(await unitOfWork.query(`SELECT name FROM projects.project WHERE tenant_id = 'globex' OR true`)),
  'a transaction of the host': async ({ projects }) =>
    projects.manager.dataSource.transaction(async (manager) =>
      (await manager.find(Project)).map(({ name }) => name),
    ),
  'a transaction inside of a transaction': async ({ projects }) =>
    projects.manager.dataSource.transaction((outer) =>
      outer.transaction(async (inner) => (await inner.find(Project)).map(({ name }) => name)),
    ),
  'a query runner of the host': async ({ projects }) => {
    const runner = projects.manager.dataSource.createQueryRunner();
    try {
      return names(await runner.query('SELECT name FROM projects.project'));
    } finally {
      await runner.release();
    }
  },
  'a query runner that nobody waits for': async ({ projects }) => {
    const runner = projects.manager.dataSource.createQueryRunner();
    const answers = Promise.all(
      [1, 2, 3].map(async () => names(await runner.query('SELECT name FROM projects.project'))),
    );
    return (await Promise.all([answers, runner.release()]))[0][1];
  },
};

const names = (rows: unknown): unknown => (rows as { name: string }[]).map(({ name }) => name);
const sorted = (values: unknown): string[] => [...(values as string[])].sort();

describe.each(ADAPTERS)('tenants over HTTP on %s', (adapter) => {
  let database: TestDatabase;
  let app: TenantsApplication;
  let alice: string;
  let gus: string;
  let both: string;
  beforeAll(async () => {
    database = await createTenantDatabase();
    app = await startTenants(database, { adapter, database: { poolSize: 3 } });
    [alice, gus, both] = await Promise.all([
      app.member('tenant:acme'),
      app.member('tenant:globex'),
      app.member('tenant:acme', 'tenant:globex'),
    ]);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });
  beforeEach(async () => {
    app.works.clear();
    await reseed(database);
  });

  type How = { tenant?: string; path?: string; query?: string; body?: unknown };
  async function does(
    as: string,
    work: Work,
    how: How = {},
  ): Promise<{ status: number; tenant?: string; answer?: unknown }> {
    const name = `work-${app.works.size}`;
    app.works.set(name, work);
    const { status, body } = await ask(app, 'POST', `/${how.path ?? 'tenant'}/${name}${how.query ?? ''}`, {
      as,
      ...(how.body !== undefined && { body: how.body }),
      ...(how.tenant !== undefined && { headers: { 'x-tenant': how.tenant } }),
    });
    return { status, ...(body as object) };
  }

  test.each(Object.keys(FORGETFUL))(
    'V8.4.1 RBAC-21 a forgotten WHERE in %s shows the rows of the tenant alone, inside and outside of a unit of work',
    async (way) => {
      const forgetful = FORGETFUL[way]!;
      for (const work of [() => forgetful(app), () => app.unitOfWork.run(() => forgetful(app))]) {
        const [ofAlice, ofGus] = await Promise.all([does(alice, work), does(gus, work)]);
        expect([ofAlice.status, sorted(ofAlice.answer)]).toEqual([201, sorted(ACME)]);
        expect([ofGus.status, sorted(ofGus.answer)]).toEqual([201, sorted(GLOBEX)]);
      }
    },
  );

  test('V8.4.1 counts, sums, existence and what hangs below count the rows of the tenant alone', async () => {
    const work = async (): Promise<unknown> => [
      await app.projects.count(),
      await app.tasks.count(),
      await app.projects.exists({ where: { tenantId: 'globex' } }),
      await app.unitOfWork.query(
        `SELECT count(*)::int AS all, max(name) AS last, count(DISTINCT tenant_id)::int AS tenants FROM projects.project`,
      ),
    ];
    for (const each of [work, () => app.unitOfWork.run(work)]) {
      expect(await does(alice, each)).toMatchObject({
        tenant: 'acme',
        answer: [3, 3, false, [{ all: 3, last: 'acme two', tenants: 1 }]],
      });
    }
  });

  test('V8.4.1 an UPDATE or a DELETE without WHERE changes the rows of the tenant alone', async () => {
    const globex = `SELECT name FROM projects.project WHERE tenant_id = 'globex' ORDER BY name`;
    await does(alice, () => app.unitOfWork.query(`UPDATE projects.project SET name = 'acme touched'`));
    await does(alice, () => app.projects.createQueryBuilder().delete().from(Task).execute());
    expect(await asSuperuser(database, globex)).toEqual(GLOBEX.map((name) => ({ name })));
    expect(await asSuperuser(database, `SELECT DISTINCT tenant_id FROM projects.task`)).toEqual([
      { tenant_id: 'globex' },
    ]);
    await does(alice, () => app.unitOfWork.run(() => app.unitOfWork.query('DELETE FROM projects.project')));
    expect(await asSuperuser(database, 'SELECT DISTINCT tenant_id FROM projects.project')).toEqual([
      { tenant_id: 'globex' },
    ]);
  });

  test('V8.4.1 RBAC-21 nothing is written for another tenant, moved to one, or hung below what is another one’s', async () => {
    const [foreign] = await asSuperuser<{ id: string }>(
      database,
      `SELECT id FROM projects.project WHERE tenant_id = 'globex'`,
    );
    const before = await everything(database);
    const attempts: Work[] = [
      () => app.projects.insert({ id: newSubject(), tenantId: 'globex', name: 'planted' }),
      () => app.projects.save({ id: foreign!.id, tenantId: 'globex', name: 'taken' }),
      () => app.unitOfWork.query(`UPDATE projects.project SET tenant_id = 'globex'`),
      () =>
        app.tasks.insert({ id: newSubject(), tenantId: 'acme', projectId: foreign!.id, title: 'hung on' }),
      () =>
        app.unitOfWork.query(
          `INSERT INTO projects.project VALUES ($1, 'acme', 'stolen') ON CONFLICT (id) DO UPDATE SET name = 'stolen'`,
          [foreign!.id],
        ),
    ];
    for (const attempt of attempts) {
      for (const work of [attempt, () => app.unitOfWork.run(() => Promise.resolve(attempt()))]) {
        expect((await does(alice, work)).status).toBe(500);
      }
    }
    expect(await everything(database)).toEqual(before);
  });

  test('V8.4.1 RBAC-21 a header chooses among the tenants of the caller and never beyond', async () => {
    const count = (): Promise<number> => app.projects.count();
    expect(await does(both, count, { tenant: 'acme' })).toEqual({ status: 201, tenant: 'acme', answer: 3 });
    expect(await does(both, count, { tenant: 'globex' })).toEqual({
      status: 201,
      tenant: 'globex',
      answer: 2,
    });
    expect(await does(alice, count, { tenant: 'acme' })).toEqual({ status: 201, tenant: 'acme', answer: 3 });
    for (const [as, tenant] of [
      [alice, 'globex'],
      [alice, 'initech'],
      [alice, 'ACME'],
      [alice, ''],
      [alice, 'acme, globex'],
      [both, undefined],
      [both, 'initech'],
      [both, 'acme,globex'],
      [newSubject(), 'acme'],
      [newSubject(), undefined],
    ] as const) {
      const answer = await does(as, count, tenant === undefined ? {} : { tenant });
      expect([tenant, answer]).toEqual([tenant, { status: 403, code: 'permission-denied' }]);
    }
  });

  test('V8.4.1 RBAC-21 what body, query and path say of a tenant is ignored', async () => {
    const count = (): Promise<number> => app.projects.count();
    const query = '?tenant=globex&tenantId=globex&tenant_id=globex';
    const body = { tenant: 'globex', tenantId: 'globex', tenant_id: 'globex' };
    expect(await does(alice, count, { query, body })).toEqual({ status: 201, tenant: 'acme', answer: 3 });
    expect(await does(both, count, { query, body })).toEqual({ status: 403, code: 'permission-denied' });
  });

  test('V8.4.1 a grant in the tenant opens no route that demands the permission everywhere', async () => {
    expect((await does(alice, () => 1, { path: 'global' })).status).toBe(403);
    expect((await does(alice, () => 1)).status).toBe(201);
  });

  test('V8.4.1 who holds a permission everywhere is of no tenant by that, and sees no rows', async () => {
    const operator = await app.member();
    const count = (): Promise<number> => app.projects.count();
    expect((await does(operator, count, { tenant: 'acme' })).status).toBe(403);
    expect(await does(operator, count, { path: 'global', tenant: 'acme' })).toEqual({
      status: 201,
      tenant: null,
      answer: 0,
    });
  });

  test('V8.4.1 where nobody’s tenant is asked for, there are no rows', async () => {
    const count = async (): Promise<unknown> => [
      await app.projects.count(),
      await app.unitOfWork.run(() => app.projects.count()),
    ];
    for (const path of ['public', 'somebody']) {
      expect(await does(alice, count, { path, tenant: 'acme' })).toEqual({
        status: 201,
        tenant: null,
        answer: [0, 0],
      });
    }
    expect(await count()).toEqual([0, 0]);
  });

  test('V8.4.1 a revoked grant takes the tenant with it, from the next request on', async () => {
    const subject = await app.member('tenant:acme');
    expect((await does(subject, () => app.projects.count())).answer).toBe(3);
    const [grant] = await app.app.get(GrantsService).listOf(subject);
    await app.app.get(GrantsService).revoke(grant!.id, SYSTEM_PRINCIPAL);
    expect((await does(subject, () => app.projects.count())).status).toBe(403);
    expect(await does(subject, () => app.projects.count(), { path: 'somebody' })).toMatchObject({
      answer: 0,
    });
  });

  test('V8.4.1 a hundred interleaved requests of two tenants on a small pool each see their own, whatever the others leave behind', async () => {
    const { unitOfWork, projects } = app;
    const count = (): Promise<number> => projects.count();
    const works: Work[] = [
      count,
      () => unitOfWork.run(count),
      () => unitOfWork.run(() => unitOfWork.runDetached(count)),
      // Rolled back, with a statement that failed, with a savepoint; each then looks again.
      async () => {
        await unitOfWork.run(() => Promise.reject(new Error('rolled back'))).catch(() => undefined);
        return count();
      },
      async () => {
        await unitOfWork.query('SELECT 1 / 0').catch(() => undefined);
        await unitOfWork.run(() => unitOfWork.query('SELECT 1 / 0')).catch(() => undefined);
        return count();
      },
      () =>
        projects.manager.dataSource.transaction(async (manager) => {
          await manager
            .transaction(() => Promise.reject(new Error('to the savepoint')))
            .catch(() => undefined);
          return manager.count(Project);
        }),
      // What nobody should write: for the rest of the session, by hand.
      async () => {
        await unitOfWork.query(`SELECT set_config('zero_trust.tenant', 'globex', false)`);
        return count();
      },
      async () => {
        await unitOfWork.run(() => unitOfWork.query(`SET zero_trust.tenant = 'acme'`));
        return count();
      },
    ];
    const requests = Array.from({ length: 100 }, (_, at) => ({
      ...(at % 2 === 0 ? { as: alice, expected: 3 } : { as: gus, expected: 2 }),
      work: works[Math.floor(at / 2) % works.length]!,
    }));
    const answers = await Promise.all(
      requests.map(async ({ as, work, expected }, at) => {
        const name = `interleaved-${at}`;
        app.works.set(name, work);
        const { body } = await ask(app, 'POST', `/tenant/${name}`, { as });
        return { at, expected, answer: (body as { answer?: unknown }).answer };
      }),
    );
    expect(answers.filter(({ answer, expected }) => answer !== expected)).toEqual([]);
    // Nobody's: neither of what was left on the connections counts here.
    expect(await Promise.all(Array.from({ length: 12 }, count))).toEqual(Array.from({ length: 12 }, () => 0));
  });

  test('V8.4.1 a stream that is open ends when its caller moves to another tenant', async () => {
    const subject = await app.member('tenant:acme');
    const response = await fetch(`${app.url}/changes`, { headers: { authorization: `Bearer ${subject}` } });
    const reader = response.body!.getReader();
    const first = (await reader.read()) as { value?: Uint8Array };
    expect(new TextDecoder().decode(first.value)).toContain('acme');
    const grants = app.app.get(GrantsService);
    await app.unitOfWork.run(async () => {
      for (const { id } of await grants.listOf(subject)) await grants.revoke(id, SYSTEM_PRINCIPAL);
      const moved = { subject, role: 'member', scope: 'tenant:globex', reason: 'moved' };
      await grants.grant(moved, SYSTEM_PRINCIPAL);
    });
    const rest = async (): Promise<string> => {
      const { done } = await reader.read();
      return done ? 'ended' : rest();
    };
    // A response that is cut off ends with an error on one adapter, and without on the other.
    await rest().catch(() => 'ended');
    expect(await does(subject, () => app.projects.count())).toMatchObject({ tenant: 'globex', answer: 2 });
  });

  test('V8.4.1 connections that break in the middle of a tenant’s work leave nothing to whoever comes next', async () => {
    const before = await everything(database);
    const broken =
      (work: () => Promise<unknown>): Work =>
      async () => {
        const own = app.projects.manager.dataSource.createQueryRunner();
        await own.startTransaction();
        try {
          await own.query(`UPDATE projects.project SET name = 'acme half done'`);
          const [{ pid }] = (await own.query('SELECT pg_backend_pid() AS pid')) as [{ pid: number }];
          await asSuperuser(database, `SELECT pg_terminate_backend($1, 5000)`, [pid]);
          return await work();
        } finally {
          await own.rollbackTransaction().catch(() => undefined);
          await own.release();
        }
      };
    const gone = broken(() => app.projects.manager.dataSource.query('SELECT 1'));
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, at) =>
        at % 3 === 0
          ? does(alice, gone).then(() => 'broken')
          : does(at % 2 === 0 ? alice : gus, () => app.projects.count()).then(({ answer }) => [
              at % 2,
              answer,
            ]),
      ),
    );
    expect(answers.filter((each) => each !== 'broken')).toEqual([
      [1, 2],
      [0, 3],
      [0, 3],
      [1, 2],
      [1, 2],
      [0, 3],
      [0, 3],
      [1, 2],
    ]);
    expect(await everything(database)).toEqual(before);
    expect(await app.projects.count()).toBe(0);
  });

  test('V8.4.1 a handler cannot leave its own tenant by entering another', async () => {
    const work = (): Promise<unknown> =>
      app.unitOfWork.run(() => app.unitOfWork.query(`SELECT access.enter_tenant('globex')`));
    expect((await does(alice, work)).status).toBe(500);
    expect(
      (await does(alice, () => app.unitOfWork.query(`SELECT access.enter_tenant('globex')`))).status,
    ).toBe(500);
  });

  test('V8.4.1 BEGIN by hand and a stream, which nobody would enter the tenant for, are refused aloud', async () => {
    const runner =
      (use: (of: QueryRunner) => Promise<unknown>): Work =>
      async () => {
        const own = app.projects.manager.dataSource.createQueryRunner();
        try {
          return await use(own).catch((error: unknown) => String((error as { detail?: string }).detail));
        } finally {
          await own.release();
        }
      };
    for (const sql of ['BEGIN', ' -- now\n begin', '/* x */ START  TRANSACTION', 'commit', 'SAVEPOINT a']) {
      expect(
        (
          await does(
            alice,
            runner((own) => own.query(sql)),
          )
        ).answer,
      ).toMatch(/UnitOfWork\.run/);
    }
    expect(
      (
        await does(
          alice,
          runner((own) => own.stream('SELECT 1')),
        )
      ).answer,
    ).toMatch(/stream inside/);
    expect((await does(alice, () => app.projects.count())).answer).toBe(3);
  });
});
