import { Controller, Get, Patch } from '@nestjs/common';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AccessExplanation } from '../../../src/access/decision/access-explanation.js';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { objectRule } from '../../../src/access/objects/object-rule.js';
import { RequirePermission } from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { startAccess, type AccessApplication } from '../access.application.js';
import { newSubject } from '../access.fixtures.js';
import { loads, noteOf, ReadableNote, TROUBLE, type Note } from '../objects/resources.fixtures.js';

class FrozenNote extends ReadableNote {
  override readonly rule = objectRule<Note>({ type: 'note', name: 'frozen', holds: () => false });
}
class WritableNote extends ReadableNote {}

@Controller('notes')
class NotesController {
  @Get(':id')
  @RequirePermission('documents:read', { resource: ReadableNote })
  read(): string {
    return '';
  }
  @Get(':id/again')
  @RequirePermission('documents:read', { resource: ReadableNote })
  again(): string {
    return '';
  }
  @Patch(':id')
  @RequirePermission('documents:write', { resource: WritableNote })
  write(): string {
    return '';
  }
  @Patch(':id/frozen')
  @RequirePermission('documents:write', { resource: FrozenNote })
  frozen(): string {
    return '';
  }
}

let database: TestDatabase;
let app: AccessApplication;
let explanation: AccessExplanation;
let alice: string;
let auditor: string;
let ofAlice: string;
beforeAll(async () => {
  database = await createTestDatabase();
  app = await startAccess(database, {
    controllers: [NotesController],
    providers: [ReadableNote, WritableNote, FrozenNote],
  });
  explanation = app.app.get(AccessExplanation);
  await app.roles.sync(
    {
      editor: { permissions: ['documents:read', 'documents:write'] },
      auditor: { permissions: ['documents:read', 'documents:read-any'] },
    },
    SYSTEM_PRINCIPAL,
  );
  [alice, auditor] = [await app.somebody('editor'), await app.somebody('auditor')];
  ofAlice = noteOf(alice);
});
afterAll(async () => {
  await app.close();
  await database.drop();
});
beforeEach(() => {
  loads.length = 0;
});

const explained = (subject: string, permission: string, resource: string): Promise<unknown> =>
  explanation.explain({ subject, permission, resource });
const notHeld = { granted: false, reason: 'a demanded permission is not held' };

describe('an explanation of an object', () => {
  test('says what each rule says of it that some handler demands with the permission, loaded once for each', async () => {
    const granted = { granted: true, by: ['documents:read', 'note: owned'] };
    expect(await explained(alice, 'documents:read', `note:${ofAlice}`)).toMatchObject({
      decision: granted,
      grants: [{ roles: ['editor'], scope: null }],
      rules: [{ rule: 'note: owned', decision: granted }],
    });
    expect(loads).toEqual([ofAlice]);
    expect(await explained(auditor, 'documents:read', `note:${ofAlice}`)).toMatchObject({
      decision: { granted: true, by: ['documents:read', 'documents:read-any'] },
    });
  });

  test('is refused when one of several rules refuses, and names each', async () => {
    const refused = { granted: false, reason: 'the object rule does not hold' };
    const answer = (await explained(alice, 'documents:write', `note:${ofAlice}`)) as { rules: unknown[] };
    expect(answer).toMatchObject({ decision: refused });
    expect(answer.rules).toHaveLength(2);
    expect(answer.rules).toEqual(
      expect.arrayContaining([
        { rule: 'note: owned', decision: { granted: true, by: ['documents:write', 'note: owned'] } },
        { rule: 'note: frozen', decision: refused },
      ]),
    );
  });

  test('says of somebody who holds nothing just that, and of nothing that it is not there', async () => {
    expect(await explained(newSubject(), 'documents:read', `note:${ofAlice}`)).toMatchObject({
      decision: notHeld,
      grants: [],
    });
    const missing = { decision: { granted: false, reason: 'there is no such object' } };
    expect(await explained(alice, 'documents:read', `note:${newSubject()}`)).toMatchObject(missing);
    loads.length = 0;
    // Malformed for the resolver: not looked for.
    for (const id of ['x', `${ofAlice}:7`, 'x'.repeat(300)]) {
      expect(await explained(alice, 'documents:read', `note:${id}`)).toMatchObject(missing);
    }
    expect(loads).toEqual([]);
  });

  test.each([[''], ['note'], ['note:'], [':7'], [':']])(
    'refuses the malformed resource %j',
    async (resource) => {
      await expect(explained(alice, 'documents:read', resource)).rejects.toMatchObject({
        code: 'validation-failed',
        errors: [{ field: 'resource', messages: ['must be type:id, e.g. document:7'] }],
      });
    },
  );

  test('refuses a type that no handler demands with the permission', async () => {
    for (const [permission, resource] of [
      ['documents:read', 'invoice:7'],
      ['documents:share', `note:${ofAlice}`],
      ['documents:read', 'toString:7'],
    ] as const) {
      await expect(explained(alice, permission, resource)).rejects.toMatchObject({
        code: 'validation-failed',
        errors: [{ field: 'resource', messages: ['must be of a type that is demanded with the permission'] }],
      });
    }
  });

  test('RBAC-27 of what cannot be loaded is none', async () => {
    for (const id of [TROUBLE.throws, TROUBLE.never]) {
      await expect(explained(alice, 'documents:read', `note:${id}`)).rejects.toMatchObject({
        code: 'temporarily-unavailable',
      });
    }
  });
});
