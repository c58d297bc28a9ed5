import { Controller, Get, Module } from '@nestjs/common';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { Pipeline } from '../../../src/core/pipeline.js';
import { RequirePermission } from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ADAPTERS, ask } from '../../support/hostile.application.js';
import { emptyAccess, hours, startAccess, stateOf, type AccessApplication } from '../access.application.js';
import { asOwner, newSubject, storeGrant } from '../access.fixtures.js';

@Controller('documents')
class DocumentsController {
  @Get()
  @RequirePermission('documents:read')
  read(): string {
    return 'read';
  }
}

describe.each(ADAPTERS)('administration over HTTP on %s', (adapter) => {
  let database: TestDatabase;
  let app: AccessApplication;
  let admin: string;
  beforeAll(async () => {
    database = await createTestDatabase();
    app = await startAccess(database, { adapter, controllers: [DocumentsController] });
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });
  beforeEach(async () => {
    await emptyAccess(database);
    await app.roles.sync(
      {
        admin: {
          permissions: [
            'access:read',
            'access:explain',
            'grants:read',
            'grants:write',
            'roles:read',
            'roles:write',
            'documents:read',
          ],
        },
        reader: { permissions: ['documents:read'] },
        editor: { permissions: ['documents:write'], inherits: ['reader'] },
        approver: { permissions: ['invoices:approve'] },
      },
      SYSTEM_PRINCIPAL,
    );
    admin = await app.somebody('admin');
  });

  const send = (method: string, path: string, body?: unknown, as = admin): ReturnType<typeof ask> =>
    ask(app, method, `/admin${path}`, { as, ...(body !== undefined && { body }) });
  const statusOf = async (...given: Parameters<typeof send>): Promise<number> =>
    (await send(...given)).status;

  /** Answered with 400, naming the field, and nothing written. */
  async function invalid(method: string, path: string, body: unknown): Promise<void> {
    const before = await stateOf(database);
    const answer = await send(method, path, body);
    expect([body, answer.status]).toEqual([body, 400]);
    expect(await stateOf(database)).toEqual(before);
  }

  test('roles: made and replaced with PUT, read, listed and deleted', async () => {
    const made = await send('PUT', '/roles/lead', { permissions: ['documents:read'], inherits: ['reader'] });
    const lead = { name: 'lead', permissions: ['documents:read'], inherits: ['reader'], mayGrant: [] };
    expect(made).toEqual({ status: 200, body: lead });
    expect(await send('GET', '/roles/lead')).toEqual({ status: 200, body: lead });
    const replaced = { name: 'lead', permissions: [], inherits: [], mayGrant: ['reader'] };
    expect(await send('PUT', '/roles/lead', { permissions: [], mayGrant: ['reader'] })).toEqual({
      status: 200,
      body: replaced,
    });
    const list = await send('GET', '/roles');
    expect(list.status).toBe(200);
    expect((list.body as { roles: { name: string }[] }).roles).toContainEqual(replaced);
    expect(await send('DELETE', '/roles/lead')).toEqual({ status: 204, body: '' });
    expect(await send('DELETE', '/roles/lead')).toMatchObject({ status: 404, body: { code: 'not-found' } });
    expect(await send('GET', '/roles/lead')).toMatchObject({ status: 404, body: { code: 'not-found' } });
  });

  test('roles: conflicts answer 409, what lies beyond the caller 403', async () => {
    await app.somebody('reader');
    expect(await send('DELETE', '/roles/reader')).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await send('PUT', '/roles/admin', { permissions: ['documents:read'] })).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    });
    for (const body of [
      { permissions: ['invoices:approve'] },
      { permissions: [], inherits: ['approver'] },
      { permissions: [], mayGrant: ['approver'] },
    ]) {
      expect(await send('PUT', '/roles/mine', body)).toMatchObject({
        status: 403,
        body: { code: 'permission-denied' },
      });
    }
    expect(await statusOf('DELETE', '/roles/approver')).toBe(403);
  });

  test.each<unknown>([
    {},
    { permissions: null },
    { permissions: 'documents:read' },
    { permissions: { 0: 'documents:read', length: 1 } },
    { permissions: [1] },
    { permissions: [null] },
    { permissions: [['documents:read']] },
    { permissions: ['documents:read', 'documents:read'] },
    { permissions: ['documents:erase'] },
    { permissions: ['Documents:read'] },
    { permissions: ['documents:read\u0000'] },
    { permissions: ['documents:read\n'] },
    { permissions: ['documents:*'] },
    { permissions: ['*'] },
    { permissions: [''] },
    { permissions: [`documents:${'x'.repeat(200)}`] },
    { permissions: Array.from({ length: 201 }, (_, at) => `documents:p${at}`) },
    { permissions: [], inherits: null },
    { permissions: [], inherits: 'reader' },
    { permissions: [], inherits: ['nobody'] },
    { permissions: [], inherits: ['Reader'] },
    { permissions: [], inherits: ['made'] },
    { permissions: [], inherits: ['reader', 'reader'] },
    { permissions: [], inherits: Array.from({ length: 51 }, (_, at) => `r${at}`) },
    { permissions: [], mayGrant: null },
    { permissions: [], mayGrant: [{}] },
    { permissions: [], mayGrant: ['reader\u200b'] },
    { permissions: [], mayGrant: Array.from({ length: 51 }, (_, at) => `r${at}`) },
    { permissions: [], name: 'admin' },
    { permissions: [], createdAt: '2020-01-01T00:00:00Z' },
  ])('VAL-26 roles: the body %j is refused with 400', async (body) => {
    await invalid('PUT', '/roles/made', body);
  });

  test.each([
    'Admin',
    'ADMIN',
    '%D0%B0dmin',
    'admin%00',
    'admin%20',
    'admin%0a',
    'a%2Fb',
    '-',
    '1a',
    'x'.repeat(65),
  ])('RBAC-24 roles: the name %s is refused with 400, and is no role', async (name) => {
    await invalid('PUT', `/roles/${name}`, { permissions: [] });
    expect(await statusOf('GET', `/roles/${name}`)).toBe(400);
    expect(await statusOf('DELETE', `/roles/${name}`)).toBe(400);
  });

  test('grants: made with POST, listed, and ended with DELETE', async () => {
    const subject = newSubject();
    const expiresAt = '2099-01-31T12:00:00.000Z';
    const made = await send('POST', `/accounts/${subject}/grants`, {
      role: 'reader',
      reason: 'covers for a colleague',
      expiresAt: '2099-01-31T14:00:00+02:00',
    });
    const grant = {
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      subject,
      role: 'reader',
      scope: null,
      reason: 'covers for a colleague',
      grantedBy: admin,
      createdAt: expect.stringMatching(/Z$/) as string,
      notBefore: null,
      expiresAt,
    };
    expect(made).toEqual({ status: 201, body: grant });
    expect(await send('GET', `/accounts/${subject}/grants`)).toEqual({
      status: 200,
      body: { grants: [grant] },
    });
    expect(await send('POST', `/accounts/${subject}/grants`, { role: 'reader', reason: 'x' })).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    });
    const { id } = made.body as { id: string };
    expect(await send('DELETE', `/grants/${id}`)).toEqual({ status: 204, body: '' });
    expect(await send('DELETE', `/grants/${id}`)).toMatchObject({ status: 404, body: { code: 'not-found' } });
    expect(await send('GET', `/accounts/${subject}/grants`)).toEqual({ status: 200, body: { grants: [] } });
  });

  test('VAL-14 grants: ids of somebody else or of nothing', async () => {
    const theirs = await app.give(newSubject(), 'approver');
    expect(await send('DELETE', `/grants/${theirs}`)).toMatchObject({ status: 403 });
    expect(await send('DELETE', `/grants/${newSubject()}`)).toMatchObject({ status: 404 });
    // An account's id is no grant's id.
    expect(await send('DELETE', `/grants/${admin}`)).toMatchObject({ status: 404 });
    for (const id of ['x', '1', 'null', `${theirs}x`, `{${theirs}}`, `%27%20OR%20true%20--`]) {
      expect([id, await statusOf('DELETE', `/grants/${id}`)]).toEqual([id, 400]);
      expect([id, await statusOf('GET', `/accounts/${id}/grants`)]).toEqual([id, 400]);
      expect([id, await statusOf('POST', `/accounts/${id}/grants`, { role: 'reader', reason: 'x' })]).toEqual(
        [id, 400],
      );
    }
  });

  test.each<unknown>([
    {},
    { role: 'reader' },
    { reason: 'x' },
    { role: null, reason: 'x' },
    { role: ['reader'], reason: 'x' },
    { role: 'Reader', reason: 'x' },
    { role: 'reader ', reason: 'x' },
    { role: 'nobody', reason: 'x' },
    { role: 'r'.repeat(65), reason: 'x' },
    { role: 'reader', reason: '' },
    { role: 'reader', reason: ' \n\t' },
    { role: 'reader', reason: 'a\u0000b' },
    { role: 'reader', reason: 'x'.repeat(501) },
    { role: 'reader', reason: 1 },
    { role: 'reader', reason: 'x', expiresAt: null },
    { role: 'reader', reason: 'x', expiresAt: 4102444800000 },
    { role: 'reader', reason: 'x', expiresAt: '2099-01-31' },
    { role: 'reader', reason: 'x', expiresAt: '2099-01-31T12:00:00' },
    { role: 'reader', reason: 'x', expiresAt: '2099-02-30T12:00:00Z' },
    { role: 'reader', reason: 'x', expiresAt: '2099-W05-1T12:00:00Z' },
    { role: 'reader', reason: 'x', expiresAt: '2099-01-31T23:59:60Z' },
    { role: 'reader', reason: 'x', expiresAt: '2001-01-31T12:00:00Z' },
    { role: 'reader', reason: 'x', expiresAt: '-0001-01-31T12:00:00Z' },
    { role: 'reader', reason: 'x', expiresAt: 'infinity' },
    { role: 'reader', reason: 'x', notBefore: null },
    { role: 'reader', reason: 'x', notBefore: 'now' },
    { role: 'reader', reason: 'x', notBefore: '2099-01-31T12:00:00Z', expiresAt: '2099-01-31T12:00:00Z' },
    { role: 'reader', reason: 'x', grantedBy: 'system' },
    { role: 'reader', reason: 'x', subject: '018f4d7e-0000-7000-8000-000000000001' },
    { role: 'reader', reason: 'x', id: '018f4d7e-0000-7000-8000-000000000001' },
    { role: 'reader', reason: 'x', scope: 'tenant:1' },
    { role: 'reader', reason: 'x', actor: { kind: 'system', subject: 'system' } },
  ])('VAL-26 grants: the body %j is refused with 400', async (body) => {
    await invalid('POST', `/accounts/${newSubject()}/grants`, body);
  });

  test('RBAC-24 grants: nobody gives to themselves or beyond themselves; the last administrator stays', async () => {
    for (const subject of [admin, admin.toUpperCase()]) {
      expect(
        await send('POST', `/accounts/${subject}/grants`, { role: 'reader', reason: 'me' }),
      ).toMatchObject({
        status: 403,
        body: { code: 'permission-denied' },
      });
    }
    expect(
      await statusOf('POST', `/accounts/${newSubject()}/grants`, { role: 'approver', reason: 'x' }),
    ).toBe(403);
    const [own] = await app.grants.listOf(admin);
    expect(await send('DELETE', `/grants/${own!.id}`)).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    });
  });

  test('explain: why, and why not, with the grants and roles that lead there', async () => {
    const subject = newSubject();
    const grantId = await app.give(subject, 'editor', { expiresAt: hours(1) });
    const explain = (permission: string, accountId: string = subject): ReturnType<typeof send> =>
      send('POST', '/access/explain', { accountId, permission });
    expect(await explain('documents:read')).toEqual({
      status: 200,
      body: {
        decision: { granted: true, by: ['documents:read'] },
        grants: [
          {
            grantId,
            roles: ['editor', 'reader'],
            scope: null,
            expiresAt: expect.stringMatching(/Z$/) as string,
          },
        ],
      },
    });
    const no = { decision: { granted: false, reason: 'a demanded permission is not held' }, grants: [] };
    expect(await explain('invoices:approve')).toEqual({ status: 200, body: no });
    expect(await explain('ghosts:read')).toMatchObject({ status: 400, body: { code: 'validation-failed' } });
    expect(await explain('documents:read', newSubject())).toEqual({ status: 200, body: no });
  });

  test.each<unknown>([
    {},
    { accountId: 'x', permission: 'documents:read' },
    { accountId: newSubject() },
    { accountId: newSubject(), permission: 'documents' },
    { accountId: newSubject(), permission: 'a:b:c' },
    { accountId: newSubject(), permission: ['documents:read'] },
    { accountId: newSubject(), permission: 'documents:read', as: 'admin' },
    { accountId: [newSubject()], permission: 'documents:read' },
  ])('explain: the body %j is refused with 400', async (body) => {
    await invalid('POST', '/access/explain', body);
  });

  test('routes: every way in with its policy and the roles that reach it', async () => {
    const { status, body } = await send('GET', '/access/routes');
    expect(status).toBe(200);
    const { routes } = body as { routes: { path: string; method: string }[] };
    expect(routes.find(({ path }) => path === '/documents')).toEqual({
      transport: 'http',
      method: 'GET',
      path: '/documents',
      handler: 'DocumentsController.read',
      policy: 'permission',
      permissions: ['documents:read'],
      roles: ['admin', 'editor', 'reader'],
    });
    // This one, ten of the room, and that of the audit log.
    expect(routes).toHaveLength(12);
  });

  const ENDPOINTS = [
    ['GET', '/roles', 'roles:read'],
    ['GET', '/roles/reader', 'roles:read'],
    ['PUT', '/roles/reader', 'roles:write'],
    ['DELETE', '/roles/reader', 'roles:write'],
    ['GET', `/accounts/${newSubject()}/grants`, 'grants:read'],
    ['POST', `/accounts/${newSubject()}/grants`, 'grants:write'],
    ['DELETE', `/grants/${newSubject()}`, 'grants:write'],
    ['GET', '/access/routes', 'access:read'],
    ['POST', '/access/explain', 'access:explain'],
  ] as const;

  test('RBAC-01 RBAC-28 every endpoint refuses a stranger with 401 and whoever lacks its own permission with 403', async () => {
    const all = [...new Set(ENDPOINTS.map(([, , permission]) => permission))];
    for (const [method, path, permission] of ENDPOINTS) {
      await app.roles.put(
        'others',
        { permissions: all.filter((each) => each !== permission) },
        SYSTEM_PRINCIPAL,
      );
      const other = await app.somebody('others');
      const before = await stateOf(database);
      for (const body of method === 'GET' || method === 'DELETE' ? [undefined] : [{}, { nonsense: true }]) {
        expect((await ask(app, method, `/admin${path}`, { ...(body && { body }) })).status).toBe(401);
        expect([path, await statusOf(method, path, body, other)]).toEqual([path, 403]);
      }
      expect(await stateOf(database)).toEqual(before);
    }
  });

  describe('permissions are looked up for each request', () => {
    const reads = async (subject: string): Promise<number> =>
      (await ask(app, 'GET', '/documents', { as: subject })).status;

    test('a grant, its end, and a change of its role count from the next request on, with the same proof', async () => {
      const subject = newSubject();
      expect(await reads(subject)).toBe(403);
      const id = await app.give(subject, 'editor');
      expect(await reads(subject)).toBe(200);
      await app.roles.put('editor', { permissions: ['documents:write'] }, SYSTEM_PRINCIPAL);
      expect(await reads(subject)).toBe(403);
      await app.roles.put('editor', { inherits: ['reader'] }, SYSTEM_PRINCIPAL);
      expect(await reads(subject)).toBe(200);
      await app.grants.revoke(id, SYSTEM_PRINCIPAL);
      expect(await reads(subject)).toBe(403);
    });

    test.each([
      ['expired', { expiresAt: "clock_timestamp() - interval '1 millisecond'" }, 403],
      ['to begin', { notBefore: "clock_timestamp() + interval '1 minute'" }, 403],
      ['revoked', { revoked: true }, 403],
      [
        'over before it was read',
        { notBefore: "now() - interval '2 hours'", expiresAt: "now() - interval '1 hour'" },
        403,
      ],
      ['running', { notBefore: "now() - interval '1 hour'", expiresAt: "now() + interval '1 hour'" }, 200],
    ])('a grant that is %s', async (_state, grant, status) => {
      const subject = newSubject();
      await storeGrant(database, subject, 'reader', grant);
      expect(await reads(subject)).toBe(status);
    });

    test('a grant ends and begins by the clock of the database, with nobody acting', async () => {
      const subject = newSubject();
      const id = await storeGrant(database, subject, 'reader', { expiresAt: "now() + interval '1 hour'" });
      const set = (column: string, at: string): Promise<unknown> =>
        asOwner(database, `UPDATE access."grant" SET ${column} = ${at} WHERE id = $1`, [id]);
      // Changed by hand, past the application: the database itself tells the replicas.
      const becomes = (status: number): Promise<unknown> =>
        vi.waitUntil(async () => (await reads(subject)) === status, { timeout: 1_000, interval: 5 });
      expect(await reads(subject)).toBe(200);
      await set('expires_at', 'clock_timestamp()');
      await becomes(403);
      await set('expires_at', 'NULL');
      await becomes(200);
      await set('not_before', "clock_timestamp() + interval '1 hour'");
      await becomes(403);
      await set('not_before', 'clock_timestamp()');
      await becomes(200);
    });
  });
});

test('RBAC-30 what a proof claims about roles and permissions is not asked for', async () => {
  /** A host's own authenticator that believes everything, as one that reads them out of a token would. */
  @Module({})
  class BoastfulIdentityModule {
    constructor(pipeline: Pipeline) {
      pipeline.useAuthenticator({
        authenticate: (execution) => {
          const { headers } = execution.switchToHttp().getRequest<{ headers: Record<string, string> }>();
          const claims = {
            permissions: ['documents:read'],
            roles: ['admin', 'reader'],
            scope: 'documents:read',
          };
          return { kind: 'account' as const, subject: headers['x-subject'] ?? '', ...claims };
        },
      });
    }
  }
  const database = await createTestDatabase();
  const app = await startAccess(database, {
    withIdentity: false,
    imports: [BoastfulIdentityModule],
    controllers: [DocumentsController],
  });
  try {
    await app.roles.put('reader', { permissions: ['documents:read'] }, SYSTEM_PRINCIPAL);
    const holder = await app.somebody('reader');
    const reads = async (subject: string): Promise<number> =>
      (await ask(app, 'GET', '/documents', { headers: { 'x-subject': subject } })).status;
    expect([await reads(newSubject()), await reads('admin'), await reads('reader')]).toEqual([403, 403, 403]);
    expect(await reads(holder)).toBe(200);
  } finally {
    await app.close();
    await database.drop();
  }
});
