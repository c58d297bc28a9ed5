import { Controller, Get, Module, Param } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccessService } from '../../../src/access/access.service.js';
import { AccessReports } from '../../../src/access/report-only/access-reports.js';
import { is, SUBJECT } from '../../../src/access/objects/condition.js';
import { fieldRules } from '../../../src/access/objects/field-rules.js';
import { objectRule } from '../../../src/access/objects/object-rule.js';
import { ReportOnlyRecorder } from '../../../src/access/report-only/report-only.recorder.js';
import { ResourceResolver } from '../../../src/access/objects/resource.resolver.js';
import { ReportOnly } from '../../../src/core/report-only.js';
import { RequirePermission } from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import {
  ADAPTERS,
  ask,
  refusalOf,
  startHostile,
  type HostileApplication,
} from '../../support/hostile.application.js';
import { permissions } from '../access.application.js';
import { newSubject, storeGrant, storeRoles } from '../access.fixtures.js';

interface Note {
  readonly id: string;
  readonly ownerId: string;
}

const [alice, bob] = [newSubject(), newSubject()];
const notes: readonly Note[] = [
  { id: '1', ownerId: alice },
  { id: '2', ownerId: bob },
];
const owned = objectRule<Note>({ type: 'note', name: 'owned', when: is('ownerId', SUBJECT) });
const fields = fieldRules<Note>({ type: 'note', fields: { id: { read: true, write: 'documents:share' } } });

@Controller('notes')
class NotesController {
  constructor(private readonly access: AccessService) {}

  @Get('reported/:id')
  @ReportOnly()
  @RequirePermission('documents:read')
  async reported(@Param('id') id: string): Promise<Note> {
    const object = notes.find((note) => note.id === id);
    await this.access.requireWritable(fields, { id });
    return this.access.require('documents:read', { rule: owned, id, object });
  }

  @Get('without-object')
  @ReportOnly()
  @RequirePermission('documents:read')
  async withoutObject(): Promise<string> {
    await this.access.require('documents:share');
    return 'let through';
  }

  @Get('enforced/:id')
  @RequirePermission('documents:read')
  enforced(@Param('id') id: string): Promise<Note> {
    const object = notes.find((note) => note.id === id);
    return this.access.require('documents:read', { rule: owned, id, object });
  }
}

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await storeRoles(database, { reader: { permissions: ['documents:read'] } });
  await storeGrant(database, alice, 'reader');
});
afterAll(() => database.drop());

describe.each(ADAPTERS)('what a report-only handler asks itself, on %s', (adapter) => {
  let app: HostileApplication;
  beforeAll(async () => {
    app = await startHostile({
      databaseUrl: database.appUrl,
      adapter,
      controllers: [NotesController],
      access: { permissions },
    });
  });
  afterAll(() => app.close());

  test('an object that the rule refuses is handed out and reported; a sibling refuses it', async () => {
    expect((await ask(app, 'GET', '/notes/reported/2', { as: alice })).status).toBe(200);
    expect((await ask(app, 'GET', '/notes/enforced/2', { as: alice })).status).toBe(404);
    expect((await ask(app, 'GET', '/notes/enforced/1', { as: alice })).status).toBe(200);
    await app.app.get(ReportOnlyRecorder).flush();
    const text = JSON.stringify(await app.app.get(AccessReports).read());
    expect(text).toContain('the object is beyond the caller');
    expect(text).toContain('documents:share');
    expect(text).not.toContain('NotesController.enforced');
  });

  test('a permission that is demanded without an object is let through and reported', async () => {
    expect((await ask(app, 'GET', '/notes/without-object', { as: alice })).status).toBe(200);
    await app.app.get(ReportOnlyRecorder).flush();
    const { ways } = await app.app.get(AccessReports).read();
    const own = ways.find(({ handler }) => handler === 'NotesController.withoutObject');
    expect(own?.findings).toMatchObject([
      { reason: 'a demanded permission is not held', permissions: ['documents:share'] },
    ]);
  });

  test('an object that is not there is refused all the same: there is nothing to hand out', async () => {
    expect((await ask(app, 'GET', '/notes/reported/3', { as: alice })).status).toBe(404);
  });
});

test('a handler that takes its object from its policy cannot be report-only: it would have none', async () => {
  class OwnedNote extends ResourceResolver<Note> {
    readonly rule = owned;
    override readonly idFormat = /^\d$/;
    load(id: string): Promise<Note | undefined> {
      return Promise.resolve(notes.find((note) => note.id === id));
    }
  }
  @Controller('notes')
  class ResolvedController {
    @Get(':id')
    @RequirePermission('documents:read', { resource: OwnedNote })
    read(): string {
      return 'a note';
    }

    @Get()
    @RequirePermission('documents:read', { list: owned })
    list(): string {
      return 'notes';
    }
  }
  @Module({ controllers: [ResolvedController], providers: [OwnedNote] })
  class NotesModule {}

  const message = await refusalOf({
    databaseUrl: database.appUrl,
    imports: [NotesModule],
    access: { permissions, reportOnly: { modules: [NotesModule] } },
  });
  for (const handler of ['read (http GET /notes/:id)', 'list (http GET /notes)']) {
    expect(message).toContain(
      `ResolvedController.${handler} takes its object or filter from its policy and is report-only: enforce it`,
    );
  }
});
