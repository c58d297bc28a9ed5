import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccessExplanation } from '../../../src/access/decision/access-explanation.js';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { hours, startAccess, type AccessApplication } from '../access.application.js';
import { asOwner, newSubject, storeRoles } from '../access.fixtures.js';

let database: TestDatabase;
let app: AccessApplication;
let explanation: AccessExplanation;
beforeAll(async () => {
  database = await createTestDatabase();
  app = await startAccess(database);
  explanation = app.app.get(AccessExplanation);
  await app.roles.sync(
    {
      reader: { permissions: ['documents:read'] },
      editor: { inherits: ['reader'], permissions: ['documents:write'] },
      lead: { inherits: ['editor'] },
      granter: { mayGrant: ['reader'] },
    },
    SYSTEM_PRINCIPAL,
  );
});
afterAll(async () => {
  await app.close();
  await database.drop();
});

const no = { decision: { granted: false, reason: 'a demanded permission is not held' }, grants: [] };

describe('an explanation', () => {
  test('names every grant that leads to the permission, each with its way', async () => {
    const subject = newSubject();
    const expiresAt = hours(1);
    const direct = await app.give(subject, 'reader');
    const inherited = await app.give(subject, 'lead', { expiresAt });
    await app.give(subject, 'granter');
    expect(await explanation.explain({ subject, permission: 'documents:read' })).toEqual({
      decision: { granted: true, by: ['documents:read'] },
      grants: [
        { grantId: direct, roles: ['reader'], scope: null, expiresAt: null },
        { grantId: inherited, roles: ['lead', 'editor', 'reader'], scope: null, expiresAt },
      ],
    });
  });

  test('does not count what ended, what begins later, and what one may only grant', async () => {
    const subject = newSubject();
    await app.give(subject, 'editor', { notBefore: hours(1) });
    await app.give(subject, 'granter');
    const ended = await app.give(subject, 'reader');
    await asOwner(database, 'UPDATE access."grant" SET expires_at = clock_timestamp() WHERE id = $1', [
      ended,
    ]);
    expect(await explanation.explain({ subject, permission: 'documents:read' })).toEqual(no);
  });

  test('refuses a permission that nobody declared, and says no of subjects that hold nothing', async () => {
    await storeRoles(database, { haunted: { permissions: ['ghosts:summon'] } });
    const subject = await app.somebody('haunted');
    await expect(explanation.explain({ subject, permission: 'ghosts:summon' })).rejects.toMatchObject({
      code: 'validation-failed',
    });
    for (const nobody of ['alice', '', newSubject()]) {
      expect(await explanation.explain({ subject: nobody, permission: 'documents:read' })).toEqual(no);
    }
  });

  test('ends on circles', async () => {
    await storeRoles(database, {
      'round-a': { inherits: ['round-b'] },
      'round-b': { inherits: ['round-a'], permissions: ['documents:share'] },
    });
    const subject = newSubject();
    const grantId = await app.give(subject, 'round-a');
    expect(await explanation.explain({ subject, permission: 'documents:share' })).toMatchObject({
      decision: { granted: true },
      grants: [{ grantId, roles: ['round-a', 'round-b'] }],
    });
    expect(await explanation.explain({ subject, permission: 'documents:read' })).toEqual(no);
  });
});
