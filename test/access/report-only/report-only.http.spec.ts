import { Body, Controller, Get, Module, Param, Post } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AccessReport } from '../../../src/access/report-only/access-report.js';
import { AccessReports } from '../../../src/access/report-only/access-reports.js';
import { ReportOnlyRecorder } from '../../../src/access/report-only/report-only.recorder.js';
import { ReportOnly } from '../../../src/core/report-only.js';
import { RequestContext } from '../../../src/core/request-context.js';
import {
  Authenticated,
  Public,
  RequireAssurance,
  RequirePermission,
} from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ADAPTERS, ask, startHostile, type HostileApplication } from '../../support/hostile.application.js';
import { permissions } from '../access.application.js';
import { asOwner, newSubject, storeGrant, storeRoles } from '../access.fixtures.js';

const reader = newSubject();
const admin = newSubject();

const answer = (what: string): object => ({ what, by: RequestContext.current()?.principal?.subject ?? null });

/** Not introduced yet: nothing is declared, or not what its callers hold. */
@Controller('cats')
class CatsController {
  @Get()
  undeclared(): object {
    return answer('undeclared');
  }

  @Post()
  @RequirePermission('documents:read', 'documents:write')
  write(@Body() body: object): object {
    return { ...answer('write'), ...body };
  }

  @Get('mine')
  @Authenticated()
  mine(): object {
    return answer('mine');
  }

  @Get('open')
  @Public()
  open(): object {
    return answer('open');
  }

  @Get('twice/:id')
  @Public()
  @Authenticated()
  twice(@Param('id') id: string): object {
    return answer(`twice ${id}`);
  }

  @Get('misspelt')
  @RequirePermission('cats:reed' as 'documents:read')
  misspelt(): object {
    return answer('misspelt');
  }
}

@Module({ controllers: [CatsController] })
class CatsModule {}

/** Introduced, but for one handler. */
@Controller('dogs')
class DogsController {
  @Get('enforced')
  @RequirePermission('documents:read')
  enforced(): object {
    return answer('enforced');
  }

  @ReportOnly()
  @Get('reported')
  @RequirePermission('documents:read')
  reported(): object {
    return answer('reported');
  }

  @Get('sure')
  @ReportOnly()
  @RequirePermission('documents:read')
  @RequireAssurance({ acr: 'aal3' })
  sure(): object {
    return answer('sure');
  }
}

@Module({ controllers: [DogsController] })
class DogsModule {}

describe.each(ADAPTERS)('report-only on %s', (adapter) => {
  let database: TestDatabase;
  let app: HostileApplication;
  beforeAll(async () => {
    database = await createTestDatabase();
    await storeRoles(database, {
      reader: { permissions: ['documents:read'] },
      admin: { permissions: ['access:read'] },
    });
    await storeGrant(database, reader, 'reader');
    await storeGrant(database, admin, 'admin');
  });
  afterAll(() => database.drop());
  beforeEach(async () => {
    app = await startHostile({
      databaseUrl: database.appUrl,
      auditUrl: database.auditUrl,
      adapter,
      imports: [CatsModule, DogsModule],
      access: { permissions, reportOnly: { modules: [CatsModule] } },
    });
  });
  afterEach(async () => {
    await app.close();
    await asOwner(database, 'TRUNCATE access.report');
  });

  const report = async (): Promise<AccessReport> => {
    await app.app.get(ReportOnlyRecorder).flush();
    return app.app.get(AccessReports).read();
  };
  const findingsOf = async (handler: string): Promise<unknown> =>
    (await report()).ways
      .find((way) => way.handler === handler)
      ?.findings.map(({ reason, permissions: lacked, times, subjects }) => [reason, lacked, times, subjects]);

  test('every call of a listed module is answered as before, to whoever asks', async () => {
    for (const as of [undefined, reader, 'not-a-uuid-at-all']) {
      for (const [method, path] of [
        ['GET', '/cats'],
        ['POST', '/cats'],
        ['GET', '/cats/mine'],
        ['GET', '/cats/open'],
        ['GET', '/cats/twice/1'],
        ['GET', '/cats/misspelt'],
        ['HEAD', '/cats/mine'],
      ] as const) {
        const { status } = await ask(app, method, path, {
          as,
          ...(method === 'POST' && { body: {} }),
        });
        expect([as, method, path, status]).toEqual([as, method, path, method === 'POST' ? 201 : 200]);
      }
    }
    expect(app.events.filter(({ action }) => action.endsWith('.refused'))).toEqual([]);
  });

  test('who is proved stands before the handler, also where nothing is declared', async () => {
    expect((await ask(app, 'GET', '/cats', { as: reader })).body).toMatchObject({ by: reader });
  });

  test('what would have been refused is recorded with its reason, the permission that is lacking, and some of whom', async () => {
    await ask(app, 'GET', '/cats');
    await ask(app, 'GET', '/cats', { as: reader });
    await ask(app, 'POST', '/cats', { body: {} });
    await ask(app, 'POST', '/cats', { as: reader, body: {} });
    await ask(app, 'POST', '/cats', { as: reader, body: {} });
    await ask(app, 'POST', '/cats', { as: admin, body: {} });
    await ask(app, 'GET', '/cats/twice/1', { as: reader });
    await ask(app, 'GET', '/cats/misspelt', { as: reader });
    expect(await findingsOf('CatsController.undeclared')).toEqual([
      ['the handler has no policy', [], 2, [reader]],
    ]);
    const written = (await findingsOf('CatsController.write')) as unknown[];
    expect(written).toHaveLength(3);
    expect(written).toEqual(
      expect.arrayContaining([
        ['no credentials were presented', [], 1, []],
        ['a demanded permission is not held', ['documents:write'], 2, [reader]],
        ['a demanded permission is not held', ['documents:read', 'documents:write'], 1, [admin]],
      ]),
    );
    expect(await findingsOf('CatsController.twice')).toEqual([
      ['the handler has no policy', [], 1, [reader]],
    ]);
    expect(await findingsOf('CatsController.misspelt')).toEqual([
      ['a demanded permission is not held', ['cats:reed'], 1, [reader]],
    ]);
  });

  test('a call that would pass is counted, and of one that was never called it is said that nothing is known', async () => {
    await ask(app, 'GET', '/cats/mine', { as: reader });
    await ask(app, 'GET', '/cats/mine', { as: reader });
    const { ways } = await report();
    expect(ways.map(({ handler, state, passed }) => [handler, state, passed])).toEqual([
      ['CatsController.undeclared', 'refuses-start', 0],
      ['CatsController.misspelt', 'refuses-start', 0],
      ['CatsController.twice', 'refuses-start', 0],
      ['CatsController.open', 'never-called', 0],
      ['DogsController.reported', 'never-called', 0],
      ['DogsController.sure', 'never-called', 0],
      ['CatsController.write', 'never-called', 0],
      ['CatsController.mine', 'would-pass', 2],
    ]);
    expect(app.app.get(ReportOnlyRecorder).counts()).toEqual({ wouldRefuse: 0, wouldPass: 2, unrecorded: 0 });
  });

  test('RBAC-03 a mark softens its own handler alone: the one beside it refuses as ever', async () => {
    expect((await ask(app, 'GET', '/dogs/reported')).status).toBe(200);
    expect((await ask(app, 'GET', '/dogs/reported', { as: admin })).status).toBe(200);
    expect((await ask(app, 'GET', '/dogs/enforced')).status).toBe(401);
    expect((await ask(app, 'GET', '/dogs/enforced', { as: admin })).status).toBe(403);
    expect((await ask(app, 'GET', '/dogs/enforced', { as: reader })).status).toBe(200);
    expect(await findingsOf('DogsController.reported')).toEqual(
      expect.arrayContaining([
        ['no credentials were presented', [], 1, []],
        ['a demanded permission is not held', ['documents:read'], 1, [admin]],
      ]),
    );
  });

  test('a caller who is not authenticated surely enough is let through and counted once', async () => {
    expect((await ask(app, 'GET', '/dogs/sure', { as: reader })).status).toBe(200);
    expect(await findingsOf('DogsController.sure')).toEqual([
      ['not authenticated as surely or as lately as demanded', [], 1, [reader]],
    ]);
  });

  test("the kit's own routes refuse as ever, and GET /admin/access/report asks for access:read", async () => {
    await ask(app, 'GET', '/cats');
    await app.app.get(ReportOnlyRecorder).flush();
    expect((await ask(app, 'GET', '/admin/access/report')).status).toBe(401);
    expect((await ask(app, 'GET', '/admin/access/report', { as: reader })).status).toBe(403);
    const { status, body } = await ask(app, 'GET', '/admin/access/report', { as: admin });
    expect(status).toBe(200);
    expect(body).toEqual(JSON.parse(JSON.stringify(await report())));
    expect((body as AccessReport).ways[0]).toMatchObject({
      ways: ['GET /cats'],
      handler: 'CatsController.undeclared',
      policy: 'undeclared',
      state: 'refuses-start',
      faults: [
        'CatsController.undeclared (http GET /cats) has no policy: write @RequirePermission(…), @Authenticated() or @Public() on the method',
      ],
    });
  });

  test('the first of its kind in an hour is a security event, without whom it concerns; the rest is counted', async () => {
    await ask(app, 'GET', '/cats', { as: reader });
    await ask(app, 'GET', '/cats', { as: admin });
    await app.app.get(ReportOnlyRecorder).flush();
    await ask(app, 'GET', '/cats', { as: reader });
    await app.app.get(ReportOnlyRecorder).flush();
    const published = app.events.filter(({ action }) => action === 'access.would-refuse');
    expect(published).toMatchObject([
      {
        outcome: 'failure',
        target: { type: 'handler', id: 'CatsController.undeclared' },
        reason: 'the handler has no policy',
        detail: { count: 2 },
      },
    ]);
    expect(published[0]?.actor).toBeUndefined();
    expect((await report()).ways[0]?.findings[0]?.times).toBe(3);
  });
});
