import { Body, Controller, Get, Patch, Post } from '@nestjs/common';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CurrentFilter, CurrentResource } from '../../../src/access/objects/call.findings.js';
import { ResourceResolver } from '../../../src/access/objects/resource.resolver.js';
import { RequireAssurance, RequirePermission } from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ADAPTERS, ask, startHostile, type HostileApplication } from '../../support/hostile.application.js';
import { permissions } from '../access.application.js';
import { newSubject, storeGrant, storeRoles } from '../access.fixtures.js';
import {
  loads,
  noteOf,
  notes,
  owned,
  ReadableNote,
  TROUBLE,
  WritableNote,
  type Note,
} from './resources.fixtures.js';

const alice = newSubject();
const bob = newSubject();
const auditor = newSubject();
const stranger = newSubject();
const [ofAlice, ofBob, missing] = [noteOf(alice), noteOf(bob), newSubject()];

class BrokenNote extends ReadableNote {
  override readonly rule = {
    ...owned,
    holds: () => {
      throw new Error('no');
    },
  };
}
/** The id in a parameter whose name every object has. */
class OddNote extends ReadableNote {
  override readonly parameter = 'constructor';
}
class PartNote extends ReadableNote {
  override readonly parameter = 'note';
}
/** The very objects that handlers were given. */
const given: unknown[] = [];

@Controller()
class NotesController {
  @Get('notes/:id')
  @RequirePermission('documents:read', { resource: ReadableNote })
  read(@CurrentResource() note: Note): Note {
    given.push(note);
    return note;
  }

  @Patch('notes/:id')
  @RequirePermission('documents:write', { resource: WritableNote })
  write(@CurrentResource() note: Note, @Body() body: unknown): unknown {
    return { note, body };
  }

  @Post('notes/:id/approval')
  @RequirePermission('documents:read', { resource: ReadableNote })
  @RequireAssurance({ acr: 'aal3' })
  approve(@CurrentResource() note: Note): Note {
    return note;
  }

  @Get('broken/:id')
  @RequirePermission('documents:read', { resource: BrokenNote })
  broken(@CurrentResource() note: Note): Note {
    return note;
  }

  @Get('odd/:constructor')
  @RequirePermission('documents:read', { resource: OddNote })
  odd(@CurrentResource() note: Note): Note {
    return note;
  }

  @Get('books/:id/notes/:note')
  @RequirePermission('documents:read', { resource: PartNote })
  part(@CurrentResource() note: Note): Note {
    return note;
  }

  @Get('loose')
  @RequirePermission('documents:read')
  loose(@CurrentResource() note: Note): Note {
    given.push(note);
    return note;
  }

  @Get('unfiltered')
  @RequirePermission('documents:read')
  unfiltered(@CurrentFilter() filter: unknown): unknown {
    given.push(filter);
    return filter;
  }
}

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await storeRoles(database, {
    reader: { permissions: ['documents:read'] },
    writer: { permissions: ['documents:write'] },
    auditor: { permissions: ['documents:read', 'documents:read-any'] },
    other: { permissions: ['invoices:read'] },
  });
  for (const subject of [alice, bob]) {
    await storeGrant(database, subject, 'reader');
    await storeGrant(database, subject, 'writer');
  }
  await storeGrant(database, auditor, 'auditor');
  await storeGrant(database, stranger, 'other');
});
afterAll(() => database.drop());
beforeEach(() => {
  loads.length = 0;
  given.length = 0;
});

describe.each(ADAPTERS)('objects on %s', (adapter) => {
  let app: HostileApplication;
  beforeAll(async () => {
    app = await startHostile({
      databaseUrl: database.appUrl,
      adapter,
      access: { permissions },
      controllers: [NotesController],
      providers: [ReadableNote, WritableNote, BrokenNote, OddNote, PartNote],
    });
  });
  afterAll(() => app.close());
  beforeEach(() => {
    app.events.length = 0;
  });
  const get = (path: string, as?: string): Promise<{ status: number; body: unknown }> =>
    ask(app, 'GET', path, { as });

  test('RBAC-21 the handler gets the very object that was decided on, loaded once', async () => {
    expect(await get(`/notes/${ofAlice}`, alice)).toEqual({
      status: 200,
      body: { id: ofAlice, owner: alice },
    });
    expect(given).toEqual([notes.get(ofAlice)]);
    expect(given[0]).toBe(notes.get(ofAlice));
    expect(loads).toEqual([ofAlice]);
    expect(app.events).toEqual([]);
    expect((await get(`/notes/${ofAlice}`, auditor)).status).toBe(200);
  });

  test('RBAC-21 somebody else and nothing at all are told apart by nobody: one answer, one load, one event', async () => {
    const answerTo = async (id: string): Promise<unknown> => {
      const response = await fetch(`${app.url}/notes/${id}`, { headers: { authorization: `Bearer ${bob}` } });
      const headers = Object.fromEntries(response.headers);
      delete headers['date'];
      return { status: response.status, headers, body: await response.text() };
    };
    const foreign = await answerTo(ofAlice);
    expect(foreign).toMatchObject({ status: 404, body: '{"code":"not-found"}' });
    for (const id of [missing, TROUBLE.isNull, TROUBLE.isUndefined])
      expect(await answerTo(id)).toEqual(foreign);
    expect(loads).toEqual([ofAlice, missing, TROUBLE.isNull, TROUBLE.isUndefined]);
    expect(given).toEqual([]);
    expect(app.events).toMatchObject(
      [ofAlice, missing, TROUBLE.isNull, TROUBLE.isUndefined].map((id, at) => ({
        action: 'access.refused',
        outcome: 'failure',
        delivery: 'detached',
        actor: bob,
        handler: 'NotesController.read',
        target: { type: 'note', id },
        detail: { permission: 'documents:read', code: 'not-found' },
        reason: at === 0 ? 'the object rule does not hold' : 'there is no such object',
      })),
    );
  });

  test('RBAC-28 nobody learns of an id before they are somebody and hold the permission', async () => {
    const ids = [ofAlice, missing, 'x', '%00', "'", TROUBLE.throws, TROUBLE.never, '%2e%2e%2f'];
    for (const id of ids) {
      expect([id, (await get(`/notes/${id}`)).status]).toEqual([id, 401]);
      expect([id, await get(`/notes/${id}`, stranger)]).toEqual([
        id,
        { status: 403, body: { code: 'permission-denied' } },
      ]);
    }
    expect(loads).toEqual([]);
    expect(app.events.every(({ target }) => target === undefined)).toBe(true);
    expect(app.events.at(-1)).toMatchObject({
      detail: { permission: 'documents:read', code: 'permission-denied' },
    });
  });

  test('RBAC-28 nor before they are proved as surely as is demanded', async () => {
    for (const id of [ofAlice, ofBob, missing, 'x']) {
      expect((await ask(app, 'POST', `/notes/${id}/approval`, { as: alice })).status).toBe(401);
    }
    expect(loads).toEqual([]);
    expect(app.events.at(-1)).toMatchObject({
      reason: 'the authentication is too weak or too old',
      detail: { permission: 'documents:read', code: 'insufficient-authentication' },
    });
  });

  test.each([
    ['x'],
    ['IDx'],
    ['ID%20'],
    ['%20ID'],
    ['ID%00'],
    ['ID%0a'],
    ['ID%2f'],
    ['ID%252f'],
    ['ID,ID'],
    ['%5B%22a%22%5D'],
    ['%F0%9F%A6%8A'],
    ['__proto__'],
    ['constructor'],
  ])('RBAC-28 the malformed id %j is 400, names the field, and is not looked for', async (id) => {
    expect(await get(`/notes/${id.replaceAll('ID', ofAlice)}`, alice)).toEqual({
      status: 400,
      body: { code: 'validation-failed', errors: [{ field: 'id', messages: ['must be an id'] }] },
    });
    expect(loads).toEqual([]);
    expect(app.events).toMatchObject([{ reason: 'the id of the resource is malformed', actor: alice }]);
  });

  test('RBAC-21 an id that is written otherwise is the same object, whoever asks', async () => {
    const encoded = ofAlice.replace('-', '%2D');
    for (const id of [encoded, ofAlice.toUpperCase()]) {
      expect((await get(`/notes/${id}`, alice)).status).toBe(200);
      expect((await get(`/notes/${id}`, bob)).status).toBe(404);
    }
  });

  test('RBAC-21 the path says which object, and nothing else of the request does', async () => {
    const own = ofBob;
    for (const query of [
      `?id=${own}`,
      `?id=${own}&id=${own}`,
      `?id[]=${own}`,
      `?owner=${bob}`,
      '?__proto__[id]=1',
    ]) {
      expect((await get(`/notes/${ofAlice}${query}`, bob)).status).toBe(404);
    }
    const headers = { id: own, 'x-id': own, 'x-user': alice };
    expect((await ask(app, 'GET', `/notes/${ofAlice}`, { as: bob, headers })).status).toBe(404);
    for (const body of [{ id: own }, { owner: bob, note: own }, [own]]) {
      expect((await ask(app, 'PATCH', `/notes/${missing}`, { as: bob, body })).status).toBe(404);
    }
    expect(new Set(loads)).toEqual(new Set([ofAlice, missing]));
  });

  test('RBAC-21 of two parameters the one counts that the resolver names', async () => {
    expect((await get(`/books/${ofAlice}/notes/${ofBob}`, alice)).status).toBe(404);
    expect((await get(`/books/${ofBob}/notes/${ofAlice}`, alice)).status).toBe(200);
    expect((await get(`/books/x/notes/${ofAlice}`, alice)).status).toBe(200);
    expect((await get(`/books/${ofAlice}/notes/x`, alice)).status).toBe(400);
  });

  test('a parameter may bear a name that every object has', async () => {
    expect((await get(`/odd/${ofAlice}`, alice)).status).toBe(200);
    expect((await get(`/odd/${ofBob}`, alice)).status).toBe(404);
    expect((await get('/odd/x', alice)).status).toBe(400);
  });

  test('RBAC-14 HEAD is judged like GET', async () => {
    const head = async (id: string, as?: string): Promise<number> =>
      (await ask(app, 'HEAD', `/notes/${id}`, { as })).status;
    expect(await head(ofAlice)).toBe(401);
    expect(await head(ofAlice, stranger)).toBe(403);
    expect(await head(ofAlice, bob)).toBe(404);
    expect(await head(ofAlice, alice)).toBe(200);
  });

  test('RBAC-21 what the caller may know of is refused with 403, what nobody has with 404', async () => {
    const write = (id: string, as: string): Promise<{ status: number }> =>
      ask(app, 'PATCH', `/notes/${id}`, { as, body: {} });
    expect((await write(ofAlice, alice)).status).toBe(200);
    expect((await write(ofAlice, bob)).status).toBe(403);
    expect((await write(missing, bob)).status).toBe(404);
    expect(app.events).toMatchObject([
      {
        target: { type: 'note', id: ofAlice },
        detail: { permission: 'documents:write', code: 'permission-denied' },
      },
      { target: { type: 'note', id: missing }, detail: { permission: 'documents:write', code: 'not-found' } },
    ]);
    const onlyWrites = newSubject();
    await storeGrant(database, onlyWrites, 'writer');
    expect((await write(ofAlice, onlyWrites)).status).toBe(404);
  });

  test.each(Object.entries(TROUBLE).filter(([name]) => /throws|rejects|never/.test(name)))(
    'RBAC-27 a resolver that %s is 503, tells nothing, and lets nobody in',
    async (_name, id) => {
      for (const who of [alice, auditor]) {
        expect(await get(`/notes/${id}`, who)).toEqual({
          status: 503,
          body: { code: 'temporarily-unavailable' },
        });
      }
      expect(given).toEqual([]);
      expect(loads).toEqual([id, id]);
    },
  );

  test('RBAC-27 a refusal of the resolver itself is answered as it is', async () => {
    expect(await get(`/notes/${TROUBLE.refuses}`, alice)).toEqual({
      status: 409,
      body: { code: 'conflict' },
    });
  });

  test('RBAC-27 a rule that throws refuses as if there were nothing', async () => {
    expect(await get(`/broken/${ofAlice}`, alice)).toEqual({ status: 404, body: { code: 'not-found' } });
    expect(app.events).toMatchObject([{ reason: 'the decision failed' }]);
  });

  test('RBAC-27 a parameter that asks for what the policy does not demand fails the call', async () => {
    for (const path of ['/loose', '/unfiltered']) expect((await get(path, alice)).status).toBe(500);
    expect(given).toEqual([]);
  });

  test('RBAC-21 two calls at one moment each get their own object', async () => {
    const pairs = Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? [ofAlice, alice] : [ofBob, bob]));
    const answers = await Promise.all(pairs.map(([id, who]) => get(`/notes/${id}`, who)));
    expect(answers.map(({ body }) => (body as Note).id)).toEqual(pairs.map(([id]) => id));
  });
});

test('what a wildcard makes a list of is no id, and a text of more than 256 characters is none either, whatever the resolver takes for one', async () => {
  class AnyText extends ReadableNote {
    override readonly parameter: string = 'path';
    override readonly idFormat = /^/g;
  }
  class OneText extends AnyText {
    override readonly parameter = 'id';
  }
  @Controller('files')
  class FilesController {
    @Get('one/:id')
    @RequirePermission('documents:read', { resource: OneText })
    one(@CurrentResource() note: Note): Note {
      return note;
    }
    @Get('*path')
    @RequirePermission('documents:read', { resource: AnyText })
    file(@CurrentResource() note: Note): Note {
      return note;
    }
  }
  const app = await startHostile({
    databaseUrl: database.appUrl,
    access: { permissions },
    controllers: [FilesController],
    providers: [AnyText, OneText],
  });
  try {
    const statusOf = async (path: string): Promise<number> =>
      (await ask(app, 'GET', path, { as: alice })).status;
    for (const path of ['x', `x/${ofAlice}`]) expect(await statusOf(`/files/${path}`)).toBe(400);
    expect(await statusOf(`/files/one/${'0'.repeat(257)}`)).toBe(400);
    expect(loads).toEqual([]);
    expect(await statusOf(`/files/one/${'0'.repeat(256)}`)).toBe(404);
    expect(await statusOf(`/files/one/${ofAlice}`)).toBe(200);
  } finally {
    await app.close();
  }
});

test('an id is matched from its beginning each time, also by an expression that remembers where it was', async () => {
  class Sticky extends ResourceResolver<Note> {
    readonly rule = owned;
    override readonly idFormat = /^[0-9a-f-]{36}$/g;
    load(id: string): Promise<Note | undefined> {
      return Promise.resolve(notes.get(id));
    }
  }
  @Controller('sticky')
  class StickyController {
    @Get(':id')
    @RequirePermission('documents:read', { resource: Sticky })
    read(@CurrentResource() note: Note): Note {
      return note;
    }
  }
  const app = await startHostile({
    databaseUrl: database.appUrl,
    access: { permissions },
    controllers: [StickyController],
    providers: [Sticky],
  });
  try {
    for (let call = 0; call < 3; call += 1)
      expect((await ask(app, 'GET', `/sticky/${ofAlice}`, { as: alice })).status).toBe(200);
  } finally {
    await app.close();
  }
});
