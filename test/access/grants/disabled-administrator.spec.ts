import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { GrantsService } from '../../../src/access/grants/grants.service.js';
import { RolesService } from '../../../src/access/grants/roles.service.js';
import { IdentityDatabase, type IdentityServices } from '../../identity/identity.services.js';
import { as } from '../access.application.js';
import { newSubject } from '../access.fixtures.js';

/** The rules about the last administrator, where accounts are disabled: with the kit's own identity. */
describe('administrators and the accounts that they are', () => {
  let db: IdentityDatabase;
  let here: IdentityServices;
  let there: IdentityServices;
  let one: string;
  let two: string;
  beforeEach(async () => {
    db = await IdentityDatabase.create();
    [here, there] = [await db.start(), await db.start()];
    const administration = { permissions: ['grants:write', 'roles:write'] } as const;
    await here.app.get(RolesService).put('admin', administration, SYSTEM_PRINCIPAL);
    [one, two] = [(await here.create('one@example.test')).id, (await here.create('two@example.test')).id];
    for (const id of [one, two]) await give(id);
  });
  afterEach(() => db.close());

  const give = async (subject: string): Promise<string> =>
    (await here.app.get(GrantsService).grant({ subject, role: 'admin', reason: 'test' }, SYSTEM_PRINCIPAL))
      .id;
  const grantOf = async (subject: string): Promise<string> =>
    (await here.app.get(GrantsService).listOf(subject))[0]!.id;
  const active = async (): Promise<string[]> =>
    (await here.accounts.list({ limit: 10 })).items
      .filter(({ state }) => state === 'active')
      .map(({ id }) => id);

  test('two who can administer are disabled one after the other by a third: the second one stays', async () => {
    await here.accounts.disable(one, SYSTEM_PRINCIPAL);
    await expect(there.accounts.disable(two, SYSTEM_PRINCIPAL)).rejects.toMatchObject({ code: 'conflict' });
    await expect(
      there.app.get(GrantsService).revoke(await grantOf(two), SYSTEM_PRINCIPAL),
    ).rejects.toMatchObject({
      code: 'conflict',
    });
    await here.accounts.enable(one, SYSTEM_PRINCIPAL);
    await there.accounts.disable(two, SYSTEM_PRINCIPAL);
  });

  test('two who can administer are disabled at the same moment by a third: one of them stays', async () => {
    for (let round = 0; round < 5; round += 1) {
      const outcomes = await Promise.allSettled([
        here.accounts.disable(one, SYSTEM_PRINCIPAL),
        there.accounts.disable(two, SYSTEM_PRINCIPAL),
      ]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(await active()).toHaveLength(1);
      for (const id of [one, two]) await here.accounts.enable(id, SYSTEM_PRINCIPAL);
    }
  });

  test('one is disabled while the other is unseated: one of the two happens', async () => {
    for (let round = 0; round < 5; round += 1) {
      const grant = await grantOf(two);
      const outcomes = await Promise.allSettled([
        here.accounts.disable(one, SYSTEM_PRINCIPAL),
        there.app.get(GrantsService).revoke(grant, SYSTEM_PRINCIPAL),
      ]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      await here.accounts.enable(one, SYSTEM_PRINCIPAL);
      if ((await here.app.get(GrantsService).listOf(two)).length === 0) await give(two);
    }
  });

  test('RBAC-24 a disabled account gives and takes nothing, and nobody gives to an account that is none', async () => {
    await here.accounts.disable(one, SYSTEM_PRINCIPAL);
    const grants = here.app.get(GrantsService);
    const grant = (subject: string, actor: string): Promise<unknown> =>
      grants.grant({ subject, role: 'admin', reason: 'test' }, as(actor));
    const other = (await here.create('other@example.test')).id;
    await expect(grant(other, one)).rejects.toMatchObject({ code: 'permission-denied' });
    await expect(grants.revoke(await grantOf(two), as(one))).rejects.toMatchObject({
      code: 'permission-denied',
    });
    await expect(grant(newSubject(), two)).rejects.toMatchObject({ code: 'not-found' });
    await grant(other, two);
  });
});
