import { Module, type ExecutionContext } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Authenticator } from '../../../src/core/authenticator.js';
import { Pipeline } from '../../../src/core/pipeline.js';
import type { Principal } from '../../../src/core/principal.js';
import type { TestDatabase } from '../../support/database.js';
import { ask } from '../../support/hostile.application.js';
import { createTenantDatabase, startTenants, type TenantsApplication } from './tenants.application.js';

/** The tenant that the proof fixes; whatever a careless authenticator may find in a claim. */
let fixed: unknown;

class TenantAuthenticator extends Authenticator {
  override authenticate(execution: ExecutionContext): Principal | undefined {
    const { headers } = execution.getArgByIndex<{ headers: { authorization?: string } }>(0);
    const subject = /^Bearer ([0-9a-f-]{36})$/.exec(headers.authorization ?? '')?.[1];
    return subject === undefined ? undefined : { kind: 'account', subject, tenant: fixed as string };
  }
}

@Module({})
class TenantIdentityModule {
  constructor(pipeline: Pipeline) {
    pipeline.useAuthenticator(new TenantAuthenticator());
  }
}

describe('V8.4.1 a tenant that the proof fixes', () => {
  let database: TestDatabase;
  let app: TenantsApplication;
  beforeAll(async () => {
    database = await createTenantDatabase();
    app = await startTenants(database, { withIdentity: false, imports: [TenantIdentityModule] });
    app.works.set('count', () => app.projects.count());
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });
  const asked = async (as: string, path: string, headers = {}): Promise<unknown> =>
    (await ask(app, 'POST', `/${path}/count`, { as, headers })).body;

  test('V8.4.1 it is the tenant, whatever header and grants say, also where no permission is demanded', async () => {
    fixed = 'acme';
    const operator = await app.member();
    for (const path of ['tenant', 'global', 'somebody']) {
      expect(await asked(operator, path, { 'x-tenant': 'globex' })).toEqual({ tenant: 'acme', answer: 3 });
    }
    const elsewhere = await app.member('tenant:globex');
    expect(await asked(elsewhere, 'tenant')).toEqual({ code: 'permission-denied' });
    expect(await asked(elsewhere, 'tenant', { 'x-tenant': 'globex' })).toEqual({ code: 'permission-denied' });
    const both = await app.member('tenant:acme', 'tenant:globex');
    expect(await asked(both, 'tenant', { 'x-tenant': 'globex' })).toEqual({ tenant: 'acme', answer: 3 });
  });

  test.each([
    '',
    ' ',
    'acme ',
    'acme globex',
    "acme'",
    'acme\n',
    '*',
    null,
    7,
    ['acme'],
    { id: 'acme' },
    true,
  ])('V8.4.1 %j is no tenant: a grant does not stand in for it', async (claim) => {
    fixed = claim;
    const member = await app.member('tenant:acme');
    expect(await asked(member, 'tenant')).toEqual({ code: 'permission-denied' });
    expect(await asked(member, 'somebody')).toEqual({ tenant: null, answer: 0 });
  });
});
