import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { SecurityEvents } from '../../../src/core/security-events.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ask } from '../../support/hostile.application.js';
import {
  as,
  hours,
  recordedChanges,
  startAccess,
  stateOf,
  type AccessApplication,
} from '../access.application.js';
import { asOwner, newSubject } from '../access.fixtures.js';

let database: TestDatabase;
let app: AccessApplication;
let unsubscribe: (() => void) | undefined;
beforeAll(async () => {
  database = await createTestDatabase();
  app = await startAccess(database);
  await app.roles.sync(
    {
      admin: { permissions: ['grants:write', 'roles:write', 'roles:read', 'documents:read'] },
      reader: { permissions: ['documents:read'] },
      spare: { permissions: ['documents:read'] },
    },
    SYSTEM_PRINCIPAL,
  );
});
afterEach(() => {
  unsubscribe?.();
});
afterAll(async () => {
  await app.close();
  await database.drop();
});

describe('the record of a change', () => {
  test('RBAC-24 each change leaves one entry with who, what, before and after, in the transaction of the change', async () => {
    const admin = await app.somebody('admin');
    const subject = newSubject();
    const before = (await recordedChanges(database)).length;
    app.events.length = 0;
    const expiresAt = hours(1);
    const request = { subject, role: 'reader', reason: 'Alice is on holiday', expiresAt };
    const { id } = await app.grants.grant(request, as(admin));
    await app.grants.revoke(id, as(admin));
    await app.roles.put('draft', { permissions: ['documents:read'], mayGrant: ['reader'] }, as(admin));
    await app.roles.put('draft', { inherits: ['reader'] }, as(admin));
    await app.roles.delete('draft', as(admin));

    const shared = { outcome: 'success', delivery: 'same-transaction', actor: admin };
    const grant = { ...shared, target: { type: 'grant', id } };
    const role = { ...shared, target: { type: 'role', id: 'draft' } };
    expect(app.events).toMatchObject([
      {
        ...grant,
        action: 'grant.created',
        detail: { subject, role: 'reader', expiresAt: expiresAt.toISOString() },
      },
      {
        ...grant,
        action: 'grant.revoked',
        detail: { subject, role: 'reader', expiresAt: expiresAt.toISOString() },
      },
      {
        ...role,
        action: 'role.changed',
        detail: { role: 'draft', before: null, after: 'documents:read >reader' },
      },
      {
        ...role,
        action: 'role.changed',
        detail: { role: 'draft', before: 'documents:read >reader', after: '+reader' },
      },
      { ...role, action: 'role.deleted', detail: { role: 'draft', before: '+reader', after: null } },
    ]);
    expect((await recordedChanges(database)).slice(before)).toEqual([
      'grant.created',
      'grant.revoked',
      'role.changed',
      'role.changed',
      'role.deleted',
    ]);
    // The reason may hold personal data: it stays with the grant.
    const [{ told } = { told: -1 }] = await asOwner<{ told: number }>(
      database,
      `SELECT count(*)::int AS told FROM audit.pending WHERE convert_from(entry, 'UTF8') LIKE '%holiday%'`,
    );
    expect(told).toBe(0);
  });

  test('when a listener fails after the audit log has written, no change stays and no entry either', async () => {
    const admin = await app.somebody('admin');
    const held = await app.give(newSubject(), 'reader');
    unsubscribe = app.app.get(SecurityEvents).subscribe(() => {
      throw new Error('the recorder is down');
    });
    const before = await stateOf(database);
    const changes: (() => Promise<unknown>)[] = [
      () => app.grants.grant({ subject: newSubject(), role: 'reader', reason: 'x' }, as(admin)),
      () => app.grants.revoke(held, as(admin)),
      () => app.roles.put('fresh', { permissions: ['documents:read'] }, as(admin)),
      () => app.roles.put('reader', {}, as(admin)),
      () => app.roles.delete('spare', as(admin)),
      () => app.roles.sync({ fresh: {}, fresher: {} }, SYSTEM_PRINCIPAL),
    ];
    for (const change of changes) await expect(change()).rejects.toThrow('the recorder is down');
    expect(await stateOf(database)).toEqual(before);
  });

  test('when the audit log cannot be written, no change stays, and the caller gets 503', async () => {
    const admin = await app.somebody('admin');
    const target = newSubject();
    const before = await stateOf(database);
    await asOwner(database, 'REVOKE INSERT ON audit.pending FROM zt_app');
    try {
      for (const [method, path, body] of [
        ['POST', `/admin/accounts/${target}/grants`, { role: 'reader', reason: 'x' }],
        ['PUT', '/admin/roles/fresh', { permissions: ['documents:read'] }],
        ['DELETE', '/admin/roles/spare', undefined],
      ] as const) {
        const answer = await ask(app, method, path, { as: admin, ...(body && { body }) });
        expect([path, answer]).toMatchObject([
          path,
          { status: 503, body: { code: 'temporarily-unavailable' } },
        ]);
      }
    } finally {
      await asOwner(database, 'GRANT INSERT ON audit.pending TO zt_app');
    }
    expect(await stateOf(database)).toEqual(before);
    expect(await app.access.permissionsOf(target)).toEqual([]);
  });

  test('RBAC-24 a refused change is recorded with its actor and reason, although it was rolled back', async () => {
    const admin = await app.somebody('admin');
    app.events.length = 0;
    expect(
      (
        await ask(app, 'PUT', '/admin/roles/admin', {
          as: admin,
          body: { permissions: ['invoices:approve'] },
        })
      ).status,
    ).toBe(403);
    expect(app.events).toMatchObject([
      {
        action: 'access.refused',
        actor: admin,
        handler: 'RolesController.put',
        target: { type: 'role', id: 'admin' },
        reason: 'the actor does not hold what the change conveys',
      },
    ]);
    const [{ told } = { told: -1 }] = await asOwner<{ told: number }>(
      database,
      `SELECT count(*)::int AS told FROM audit.pending
       WHERE convert_from(entry, 'UTF8') LIKE ALL (ARRAY['%access.refused%', '%does not hold what the change conveys%', $1])`,
      [`%${admin}%`],
    );
    expect(told).toBe(1);
  });

  test('looking at roles, grants, routes and explanations leaves no entry', async () => {
    const admin = await app.somebody('admin');
    const before = await stateOf(database);
    expect((await ask(app, 'GET', '/admin/roles', { as: admin })).status).toBe(200);
    expect((await ask(app, 'GET', '/admin/roles/reader', { as: admin })).status).toBe(200);
    expect(await stateOf(database)).toEqual(before);
  });
});
