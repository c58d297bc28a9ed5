import { Injectable } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Tenants } from '../../../src/access/tenants/tenants.js';
import { RequestContext } from '../../../src/core/request-context.js';
import { SystemTask } from '../../../src/core/system-task.js';
import type { TestDatabase } from '../../support/database.js';
import { ask, startHostile } from '../../support/hostile.application.js';
import { createTenantDatabase, startTenants, type TenantsApplication } from './tenants.application.js';

/** What a host schedules: one tenant after the other, as a system of its own. */
@Injectable()
class NightlyReport {
  constructor(private readonly tenants: Tenants) {}

  @SystemTask({ name: 'nightly-report', permissions: ['projects:read'] as never })
  async run(count: () => Promise<number>): Promise<unknown> {
    const counted: Record<string, unknown> = { none: await count() };
    for (const tenant of ['acme', 'globex']) {
      counted[tenant] = await this.tenants.run(tenant, async () => [
        await count(),
        RequestContext.current()?.principal?.subject,
      ]);
    }
    return { ...counted, after: await count() };
  }
}

describe('V8.4.1 work for one tenant outside of requests', () => {
  let database: TestDatabase;
  let app: TenantsApplication;
  let tenants: Tenants;
  beforeAll(async () => {
    database = await createTenantDatabase();
    app = await startTenants(database, { providers: [NightlyReport] });
    tenants = app.app.get(Tenants);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  test('V8.4.1 it sees the rows of that tenant, in a unit of work and outside of one, and none before and after', async () => {
    const count = (): Promise<number> => app.projects.count();
    const both = async (): Promise<number[]> => [await count(), await app.unitOfWork.run(count)];
    expect(await both()).toEqual([0, 0]);
    expect(await tenants.run('acme', both)).toEqual([3, 3]);
    expect(await tenants.run('globex', both)).toEqual([2, 2]);
    expect(await tenants.run('nobody', both)).toEqual([0, 0]);
    expect(await Promise.all([tenants.run('acme', both), tenants.run('globex', both), both()])).toEqual([
      [3, 3],
      [2, 2],
      [0, 0],
    ]);
  });

  test('V8.4.1 a system task does it for one tenant after the other, as itself', async () => {
    expect(await app.app.get(NightlyReport).run(() => app.projects.count())).toEqual({
      none: 0,
      acme: [3, 'system:nightly-report'],
      globex: [2, 'system:nightly-report'],
      after: 0,
    });
  });

  test('V8.4.1 inside of a request it is refused, whoever asks', async () => {
    const member = await app.member('tenant:acme');
    const reached: unknown[] = [];
    app.works.set('elsewhere', () => {
      try {
        return tenants.run('globex', () => reached.push('ran'));
      } catch (error) {
        reached.push((error as Error).message);
        throw error;
      }
    });
    for (const path of ['tenant', 'somebody', 'public']) {
      expect((await ask(app, 'POST', `/${path}/elsewhere`, { as: member })).status).toBe(500);
    }
    expect(reached).toEqual(
      Array.from({ length: 3 }, () => expect.stringMatching(/outside of requests/) as string),
    );
  });

  test('V8.4.1 it is refused inside of a unit of work, which keeps the tenant it began with, and of another tenant’s run', async () => {
    await expect(app.unitOfWork.run(() => Promise.resolve(tenants.run('acme', () => 1)))).rejects.toThrow(
      /unit of work inside/,
    );
    expect(() => tenants.run('acme', () => tenants.run('globex', () => 1))).toThrow(/another tenant/);
    expect(tenants.run('acme', () => tenants.run('acme', () => 1))).toBe(1);
  });

  test('V8.4.1 work of one tenant never joins the unit of work of another', async () => {
    const task = (tenant: string): RequestContext => {
      const context = new RequestContext({ transport: 'task', receivedAtMs: 0 });
      context.enterTenant(tenant);
      return context;
    };
    const joined = tenants.run('acme', () =>
      app.unitOfWork.run(() =>
        RequestContext.run(task('globex'), () => app.unitOfWork.run(() => app.projects.count())),
      ),
    );
    await expect(joined).rejects.toMatchObject({ code: 'internal-error' });
  });

  test.each(['', 'a b', "acme' OR true", 'acme\n', 'x'.repeat(200), '-acme', 7 as unknown as string])(
    'a malformed tenant is refused: %j',
    (tenant) => {
      expect(() => tenants.run(tenant, () => 1)).toThrow(/malformed/);
    },
  );

  test('without the option there are no tenants to run for', async () => {
    const without = await startHostile({ databaseUrl: database.appUrl });
    try {
      expect(() => without.app.get(Tenants).run('acme', () => 1)).toThrow(
        /declare AccessModule's option "tenants"/,
      );
    } finally {
      await without.close();
    }
  });
});
