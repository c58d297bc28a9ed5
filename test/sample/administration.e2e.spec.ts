import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSample, type Caller, type Sample } from '../support/sample.js';

interface Row {
  method: string;
  path: string;
  policy: string;
  assurance?: string;
}

interface Entry {
  [key: string]: unknown;
}

describe('administration', () => {
  let sample: Sample;
  let admin: Caller;
  beforeAll(async () => {
    sample = await startSample();
    admin = await sample.signIn('admin');
  });
  afterAll(() => sample.close());

  test('a grant is felt on the next request, and so is its end, with the same token', async () => {
    const viewer = await sample.signIn('viewer');
    const id = await sample.accountId('viewer');
    expect((await viewer.get('/invoices')).status).toBe(403);
    const made = await admin.post(`/admin/accounts/${id}/grants`, {
      role: 'clerk',
      reason: 'covers for a colleague',
    });
    // An administrator has no standing right to invoices, so cannot give what it does not hold.
    expect(made.status).toBe(403);
    const own = await admin.post(`/admin/accounts/${id}/grants`, {
      role: 'admin',
      reason: 'second administrator',
    });
    expect(own.status).toBe(201);
    expect((await viewer.get('/admin/access/routes')).status).toBe(200);
    expect((await admin.delete(`/admin/grants/${(own.body as { id: string }).id}`)).status).toBe(204);
    expect((await viewer.get('/admin/access/routes')).status).toBe(403);
  });

  test('RBAC-24 nobody gives more than they hold, to others or to themselves', async () => {
    const id = await sample.accountId('admin');
    for (const role of ['clerk', 'approver', 'editor']) {
      expect((await admin.post(`/admin/accounts/${id}/grants`, { role, reason: 'more' })).status, role).toBe(
        403,
      );
    }
    const raised = await admin.put('/admin/roles/admin', {
      permissions: ['audit:read', 'invoices:approve'],
      inherits: [],
    });
    expect([400, 403, 409]).toContain(raised.status);
    expect(
      (await admin.put('/admin/roles/helper', { permissions: ['invoices:read'], inherits: [] })).status,
    ).toBe(403);
  });

  test('the access matrix names every route with its policy and who reaches it', async () => {
    const answer = await admin.get('/admin/access/routes');
    expect(answer.status).toBe(200);
    const text = JSON.stringify(answer.body);
    for (const path of [
      '/auth/login',
      '/documents/:id',
      '/invoices',
      '/admin/audit',
      '/health/ready',
      '/.well-known/jwks.json',
    ]) {
      expect(text).toContain(path);
    }
  });

  test('the public routes are exactly these', async () => {
    const { routes } = (await admin.get('/admin/access/routes')).body as { routes: Row[] };
    const open = routes
      .filter(({ policy }) => policy === 'public')
      .map(({ method, path }) => `${method} ${path}`);
    expect(open.sort()).toEqual([
      'GET /.well-known/jwks.json',
      'GET /health/live',
      'GET /health/ready',
      'POST /auth/login',
      'POST /auth/login/mfa',
      'POST /auth/logout',
      'POST /auth/refresh',
    ]);
  });

  test('a disabled account is out at once, and its sessions stay dead when it is enabled again', async () => {
    const clerk = await sample.signIn('clerk');
    const id = await sample.accountId('clerk');
    expect((await admin.post(`/admin/accounts/${id}/disable`)).status).toBe(204);
    expect((await clerk.get('/invoices')).status).toBe(401);
    await expect(sample.signIn('clerk')).rejects.toThrow('401');
    expect((await admin.post(`/admin/accounts/${id}/enable`)).status).toBe(204);
    expect((await clerk.get('/invoices')).status).toBe(401);
    expect((await (await sample.signIn('clerk')).get('/invoices')).status).toBe(200);
  });

  test('RBAC-22 no answer about accounts holds a hash, a token or an internal flag', async () => {
    for (const path of ['/admin/accounts', '/auth/me']) {
      const { status, text } = await admin.get(path);
      expect(status).toBe(200);
      expect(text).not.toMatch(/argon2|hash|secret|canonical|token/i);
    }
    for (const query of [
      'sort=passwordHash',
      'select=*',
      'fields=password_hash',
      'expand=grants',
      'relations=sessions',
    ]) {
      expect((await admin.get(`/admin/accounts?${query}`)).status, query).toBe(400);
    }
  });

  test('sign-ins, refusals, grants and changes are in the audit log, without personal data', async () => {
    const viewer = await sample.signIn('viewer');
    await viewer.get('/invoices');
    await sample.anonymous.post('/auth/login', {
      email: 'viewer@example.test',
      password: 'wrong password entirely',
      delivery: 'token',
    });
    const entries: Entry[] = [];
    let next: string | null = '';
    while (next !== null) {
      const answer = await admin.get(
        `/admin/audit?limit=100${next ? `&after=${encodeURIComponent(next)}` : ''}`,
      );
      expect(answer.status).toBe(200);
      const page = answer.body as { entries: Entry[]; next: string | null };
      entries.push(...page.entries);
      next = page.entries.length === 0 ? null : page.next;
    }
    const text = JSON.stringify(entries);
    for (const action of [
      'session.opened',
      'access.refused',
      'authentication.failed',
      'grant.created',
      'account.created',
      'role.changed',
    ]) {
      expect(text, action).toContain(action);
    }
    expect(text).not.toMatch(/example\.test|127\.0\.0\.1|::1|wrong password/);
    for (const { password } of sample.accounts) expect(text).not.toContain(password);
  });

  test('AUD-25 only who holds audit:read reads the log', async () => {
    const viewer = await sample.signIn('viewer');
    expect((await viewer.get('/admin/audit')).status).toBe(403);
    expect((await sample.anonymous.get('/admin/audit')).status).toBe(401);
    for (const query of [
      'limit=0',
      'limit=101',
      'after=zzz',
      'actor=two%20words',
      'from=yesterday',
      'unknown=1',
    ]) {
      expect((await admin.get(`/admin/audit?${query}`)).status, query).toBe(400);
    }
  });

  test('MFA-20 every administrative change asks for a second factor of the last ten minutes; so does an approval', async () => {
    const { routes } = (await admin.get('/admin/access/routes')).body as { routes: Row[] };
    const changing = routes.filter(
      ({ method, path }) => path.startsWith('/admin') && method !== 'GET' && path !== '/admin/access/explain',
    );
    expect(changing.length).toBeGreaterThanOrEqual(7);
    for (const { method, path, assurance } of changing) {
      expect([method, path, assurance]).toEqual([method, path, 'aal2/600s']);
    }
    expect(routes.find(({ path }) => path === '/invoices/:id/approve')?.assurance).toBe('aal2/300s');
  });

  test('every administrative route refuses a stranger with 401 and an ordinary account with 403', async () => {
    const viewer = await sample.signIn('viewer');
    const { routes } = (await admin.get('/admin/access/routes')).body as { routes: Row[] };
    const guarded = routes.filter(({ path, policy }) => path.startsWith('/admin') && policy === 'permission');
    expect(guarded.length).toBeGreaterThan(10);
    for (const { method, path } of guarded) {
      const concrete = path.replaceAll(/:(\w+)/g, () => randomUUID());
      expect((await sample.anonymous.send(method, concrete)).status, `${method} ${path}`).toBe(401);
      expect((await viewer.send(method, concrete)).status, `${method} ${path}`).toBe(403);
    }
  });
});
