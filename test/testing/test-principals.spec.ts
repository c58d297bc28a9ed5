import { Controller, Get, type INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CurrentPrincipal } from '../../src/core/principal.decorator.js';
import type { Principal } from '../../src/core/principal.js';
import { Authenticated } from '../../src/core/route-policy.js';
import { HttpModule } from '../../src/http/http.module.js';
import { secureApplication } from '../../src/http/secure-application.js';
import { actingAs } from '../../src/testing/acting.credentials.js';
import type { Acting } from '../../src/testing/acting.js';
import { publishedEvents } from '../../src/testing/published-events.js';
import { withTestPrincipals } from '../../src/testing/test-principals.js';
import { ADAPTERS } from '../support/application.js';
import { createTestDatabase } from '../support/database.js';
import { hostileModule } from '../support/hostile.application.js';
import { startSample, type Answer, type Caller, type Sample } from '../support/sample.js';

interface DocumentBody {
  readonly id: string;
  readonly ownerId: string;
}

describe.each(ADAPTERS)('actingAs in the sample, with its database, on %s', (adapter) => {
  let sample: Sample;
  let editor: Caller;
  beforeAll(async () => {
    sample = await startSample({ adapter, overrides: withTestPrincipals });
    editor = await sample.signIn('editor');
  });
  afterAll(() => sample.close());

  const as = (who: Acting, method: string, path: string, body?: unknown): Promise<Answer> =>
    sample.anonymous.send(method, path, body, { ...actingAs(who) });

  test('is accepted beside real tokens, and neither is taken for the other', async () => {
    expect((await editor.get('/documents')).status).toBe(200);
    expect((await as({ roles: ['viewer'] }, 'GET', '/documents')).status).toBe(200);
    expect((await as({}, 'GET', '/documents')).status).toBe(403);
    expect((await sample.anonymous.get('/documents')).status).toBe(401);
    const forged = `${editor.token!.slice(0, -8)}AAAAAAAA`;
    for (const authorization of [`Bearer ${forged}`, 'Bearer zt-test.forged', 'Bearer  x']) {
      const refused = await sample.anonymous.send('GET', '/documents', undefined, { authorization });
      expect([refused.status, (refused.body as { code: string }).code]).toEqual([401, 'invalid-credentials']);
    }
  });

  test('reads, lists and changes what is theirs, in the rows of the database', async () => {
    const subject = await sample.accountId('viewer');
    const owner: Acting = { subject, roles: ['editor'] };
    const made = await as(owner, 'POST', '/documents', { title: 'Minutes', body: 'text' });
    const { id, ownerId } = made.body as DocumentBody;
    expect([made.status, ownerId]).toEqual([201, subject]);

    const listed = async (who: Acting): Promise<string[]> =>
      ((await as(who, 'GET', '/documents')).body as { items: DocumentBody[] }).items.map((each) => each.id);
    expect(await listed(owner)).toEqual([id]);
    expect(await listed({ roles: ['editor'] })).toEqual([]);
    expect(await listed({ permissions: ['documents:read', 'documents:read-any'] })).toContain(id);
    expect((await as({ roles: ['editor'] }, 'GET', `/documents/${id}`)).status).toBe(404);
    // The same subject with a real token holds what the database says, and owns it as well.
    const viewer = await sample.signIn('viewer');
    expect((await viewer.get(`/documents/${id}`)).status).toBe(200);
    expect((await viewer.delete(`/documents/${id}`)).status).toBe(403);
    expect((await as(owner, 'DELETE', `/documents/${id}`)).status).toBe(204);
    const events = publishedEvents(sample.app).filter(
      ({ action, target }) => action.startsWith('document.') && target?.id === id,
    );
    expect(events.map(({ action, actor }) => [action, actor])).toEqual([
      ['document.created', subject],
      ['document.deleted', subject],
    ]);
  });

  test('V8.2.1 what a test says is held is all that is held, whatever the account has in the database', async () => {
    const subject = await sample.accountId('admin');
    expect((await as({ subject, acr: 'aal2' }, 'GET', '/admin/roles')).status).toBe(403);
    const me = await as({ subject, roles: ['viewer'] }, 'GET', '/auth/me');
    expect(me.body).toMatchObject({
      email: 'admin@example.test',
      roles: ['viewer'],
      permissions: ['documents:read'],
      acr: 'aal1',
    });
  });

  test('V8.2.1 nobody else is changed by it: who acts is asked on each request, and accounts by the database', async () => {
    const subject = await sample.accountId('editor');
    await as({ subject, roles: ['approver'] }, 'GET', '/invoices');
    const { roles, permissions } = (await editor.get('/auth/me')).body as Record<string, unknown>;
    expect({ roles, permissions }).toEqual({
      roles: ['editor'],
      permissions: ['documents:read', 'documents:share', 'documents:write'],
    });
  });

  test('V8.4.2 the assurance is what is said, and the challenge is the real one', async () => {
    const role = { permissions: ['documents:read'] };
    const administrator = { permissions: ['roles:write'] } as const;
    const put = (who: Acting): Promise<Answer> => as(who, 'PUT', '/admin/roles/reader', role);
    const weak = await put(administrator);
    expect([weak.status, weak.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('acr_values="aal2"'),
    ]);
    // Let in, and then refused: what one may hand out is asked of the stored grants.
    expect((await put({ ...administrator, acr: 'aal2' })).status).toBe(403);
    expect(publishedEvents(sample.app).at(-1)?.reason).toBe(
      'the actor does not hold what the change conveys',
    );
  });

  test('what is refused is in the audit log as ever, with the subject that a test made up', async () => {
    const subject = '22222222-2222-4222-8222-222222222222';
    expect((await as({ subject }, 'GET', '/invoices')).status).toBe(403);
    const audit = await as(
      { permissions: ['audit:read'], acr: 'aal2' },
      'GET',
      `/admin/audit?actor=${subject}`,
    );
    expect(audit.status).toBe(200);
    expect(JSON.stringify(audit.body)).toContain(subject);
  });
});

describe('withTestPrincipals', () => {
  test('stands beside whatever proves identity in an application, and takes nothing from it', async () => {
    @Controller()
    class WhoController {
      @Get('who')
      @Authenticated()
      who(@CurrentPrincipal() { subject }: Principal): object {
        return { subject };
      }
    }
    const database = await createTestDatabase();
    const host = hostileModule({ databaseUrl: database.appUrl, controllers: [WhoController] });
    const builder = withTestPrincipals(
      Test.createTestingModule({ imports: [HttpModule.forRoot({ requestLog: false }), host] }),
    );
    const compiled = await builder.setLogger(false as never).compile();
    const app = compiled.createNestApplication<INestApplication<Server>>();
    await secureApplication(app);
    await app.init();
    try {
      const who = (authorization: string): request.Test =>
        request(app.getHttpServer()).get('/who').set({ authorization });
      const [own, acted] = [randomUUID(), randomUUID()];
      await who(`Bearer ${own}`).expect(200, { subject: own });
      await who(actingAs({ subject: acted }).authorization).expect(200, { subject: acted });
      // Its own authenticator knows neither, and takes what it does not know for nothing.
      await who('Bearer neither').expect(401);
      await who('Bearer zt-test.forged').expect(401);
      expect(publishedEvents(app).map(({ reason }) => reason)).toEqual([
        'no credentials were presented',
        'the credential was not made in this process',
      ]);
    } finally {
      await app.close();
      await database.drop();
    }
  });

  test('is refused outside of tests', () => {
    const before = process.env.NODE_ENV;
    process.env.NODE_ENV = 'production';
    try {
      expect(() => withTestPrincipals(Test.createTestingModule({}))).toThrow('NODE_ENV is "production"');
    } finally {
      process.env.NODE_ENV = before;
    }
  });
});
