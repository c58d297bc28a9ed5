import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { is, SUBJECT } from '../../../src/access/objects/condition.js';
import { objectRule } from '../../../src/access/objects/object-rule.js';
import { ResourceResolver } from '../../../src/access/objects/resource.resolver.js';
import { Scopes } from '../../../src/access/grants/scopes.js';
import { RequirePermission } from '../../../src/core/route-policy.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { ADAPTERS, ask, refusalOf, startHostile } from '../../support/hostile.application.js';
import {
  as,
  assertRefused,
  emptyAccess,
  hours,
  startAccess,
  type AccessApplication,
} from '../access.application.js';
import { asOwner, newSubject } from '../access.fixtures.js';

/** What the directory of projects says; a function may also throw. */
let exists: (id: string) => unknown = () => true;

@Module({})
class ProjectsModule {
  constructor(scopes: Scopes) {
    scopes.knownBy('project', { exists: (id) => Promise.resolve(exists(id) as boolean) });
  }
}

interface Note {
  readonly id: string;
  readonly ownerId: string;
  readonly projectId: string;
}
const notes = new Map<string, Note>();
const inProject = objectRule<Note>({
  type: 'note',
  name: 'of a project',
  when: is('ownerId', SUBJECT),
  scopes: { project: 'projectId' },
  overriddenBy: 'documents:read-any' as never,
});

@Injectable()
class ReadableNote extends ResourceResolver<Note> {
  readonly rule = inProject;
  load(id: string): Promise<Note | undefined> {
    return Promise.resolve(notes.get(id));
  }
}

@Controller()
class NotesController {
  @Get('everywhere')
  @RequirePermission('documents:read')
  everywhere(): string {
    return 'everywhere';
  }

  @Get('notes/:id')
  @RequirePermission('documents:read', { resource: ReadableNote })
  note(): string {
    return 'note';
  }
}

const ROLES = {
  reader: { permissions: ['documents:read'] },
  'any-reader': { permissions: ['documents:read', 'documents:read-any'] },
  writer: { permissions: ['documents:write'] },
  granter: { permissions: ['grants:write', 'documents:read'] },
  issuer: { permissions: ['grants:write'], mayGrant: ['writer'] },
  admin: { permissions: ['grants:read', 'grants:write', 'roles:read', 'roles:write', 'documents:read'] },
} as const;

describe.each(ADAPTERS)('grants with a scope on %s', (adapter) => {
  let database: TestDatabase;
  let app: AccessApplication;
  beforeAll(async () => {
    database = await createTestDatabase();
    app = await startAccess(database, {
      adapter,
      controllers: [NotesController],
      providers: [ReadableNote],
      imports: [ProjectsModule],
      access: { scopes: ['project'] },
    });
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });
  beforeEach(async () => {
    exists = () => true;
    notes.clear();
    await emptyAccess(database);
    await app.roles.sync(ROLES, SYSTEM_PRINCIPAL);
    app.events.length = 0;
  });

  type How = { scope?: string; actor?: string; expiresAt?: Date; notBefore?: Date };
  const grant = async (subject: string, role: string, { actor, ...how }: How = {}): Promise<string> => {
    const by = actor === undefined ? SYSTEM_PRINCIPAL : as(actor);
    return (await app.grants.grant({ subject, role, reason: 'test', ...how }, by)).id;
  };
  const refused = (change: () => Promise<unknown>, code: string, field?: string): Promise<void> =>
    assertRefused(app, database, change, code, field);
  const statusOf = async (subject: string, path: string): Promise<number> =>
    (await ask(app, 'GET', path, { as: subject })).status;
  function noteIn(projectId: string, ownerId: string): string {
    const id = newSubject();
    notes.set(id, { id, ownerId, projectId });
    return `/notes/${id}`;
  }

  test('RBAC-21 one opens the objects of its scope and no other, and no route that asks for no object', async () => {
    const subject = newSubject();
    await grant(subject, 'reader', { scope: 'project:7' });
    expect(await statusOf(subject, '/everywhere')).toBe(403);
    expect(await statusOf(subject, noteIn('7', subject))).toBe(200);
    expect(await statusOf(subject, noteIn('8', subject))).toBe(404);
    expect(await statusOf(subject, noteIn('77', subject))).toBe(404);
    expect(await statusOf(subject, noteIn('7', newSubject()))).toBe(404);
    expect(await statusOf(subject, `/notes/${newSubject()}`)).toBe(404);
  });

  test('one role may be held in two scopes, each revoked by itself, and what overrides a rule does so in its scope', async () => {
    const subject = newSubject();
    const seven = await grant(subject, 'any-reader', { scope: 'project:7' });
    await grant(subject, 'any-reader', { scope: 'project:8' });
    await refused(() => grant(subject, 'any-reader', { scope: 'project:8' }), 'conflict');
    const paths = ['7', '8', '9'].map((project) => noteIn(project, newSubject()));
    const statuses = async (): Promise<number[]> => Promise.all(paths.map((path) => statusOf(subject, path)));
    expect(await statuses()).toEqual([200, 200, 404]);
    await app.grants.revoke(seven, SYSTEM_PRINCIPAL);
    expect(await statuses()).toEqual([404, 200, 404]);
    await grant(subject, 'any-reader');
    expect(await statuses()).toEqual([200, 200, 200]);
  });

  test('one ends and begins by the clock of the database, and a change by hand is felt through the feed', async () => {
    const subject = newSubject();
    const path = noteIn('7', subject);
    await grant(subject, 'reader', { scope: 'project:7', notBefore: hours(1) });
    expect(await statusOf(subject, path)).toBe(403);
    const felt = (status: number): Promise<void> =>
      vi.waitFor(async () => {
        expect(await statusOf(subject, path)).toBe(status);
      }, 2_000);
    const set = (change: string): Promise<unknown> =>
      asOwner(database, `UPDATE access."grant" SET ${change} WHERE subject = $1`, [subject]);
    await set(`created_at = now() - interval '1 day', not_before = NULL`);
    await felt(200);
    await set(`scope = 'project:8'`);
    await felt(404);
    await set(`scope = NULL`);
    await felt(200);
    expect(await statusOf(subject, '/everywhere')).toBe(200);
    await set(`scope = 'project:7', expires_at = clock_timestamp()`);
    await felt(403);
  });

  test.each([
    ['of a kind that nobody declares', 'team:7'],
    ['without an id', 'project:'],
    ['without a kind', ':7'],
    ['without a colon', 'project'],
    ['in another case', 'Project:7'],
    ['with a blank', 'project: 7'],
    ['with a line end', 'project:7\n'],
    ['that goes up', 'project:../8'],
    ['with two ids', 'project:7,8'],
    ['for all', 'project:*'],
    ['without end', `project:${'7'.repeat(121)}`],
    ['empty', ''],
    ['with a zero', 'project:7\0'],
  ])('a scope %s is refused', async (_what, scope) => {
    await refused(() => grant(newSubject(), 'reader', { scope }), 'validation-failed', 'scope');
    const admin = await app.somebody('admin');
    const answer = await ask(app, 'POST', `/admin/accounts/${newSubject()}/grants`, {
      as: admin,
      body: { role: 'reader', scope, reason: 'test' },
    });
    expect(answer.status).toBe(400);
  });

  test('a scope of nothing is refused, and so is one of which nobody can say: nothing is written', async () => {
    exists = (id) => id === '7';
    await grant(newSubject(), 'reader', { scope: 'project:7' });
    await refused(() => grant(newSubject(), 'reader', { scope: 'project:8' }), 'validation-failed', 'scope');
    for (const answer of ['yes', 1, undefined, null, {}]) {
      exists = () => answer;
      await refused(
        () => grant(newSubject(), 'reader', { scope: 'project:7' }),
        'validation-failed',
        'scope',
      );
    }
    exists = () => {
      throw new Error('the directory is gone');
    };
    await refused(() => grant(newSubject(), 'reader', { scope: 'project:7' }), 'temporarily-unavailable');
  });

  test('over HTTP one is made, listed and told of with its scope', async () => {
    const admin = await app.somebody('admin');
    const subject = newSubject();
    app.events.length = 0;
    const body = { role: 'reader', scope: 'project:7', reason: 'covers' };
    const made = await ask(app, 'POST', `/admin/accounts/${subject}/grants`, { as: admin, body });
    expect(made).toMatchObject({ status: 201, body: { subject, role: 'reader', scope: 'project:7' } });
    expect(await ask(app, 'GET', `/admin/accounts/${subject}/grants`, { as: admin })).toEqual({
      status: 200,
      body: { grants: [made.body] },
    });
    const { id } = made.body as { id: string };
    expect((await ask(app, 'DELETE', `/admin/grants/${id}`, { as: admin })).status).toBe(204);
    expect(app.changesSeen()).toMatchObject(
      ['grant.created', 'grant.revoked'].map((action) => ({
        action,
        actor: admin,
        detail: { subject, role: 'reader', scope: 'project:7' },
      })),
    );
    const recorded = await asOwner(
      database,
      `SELECT FROM audit.pending
        WHERE convert_from(entry, 'UTF8') LIKE '%project:7%' AND convert_from(entry, 'UTF8') LIKE $1`,
      [`%${subject}%`],
    );
    expect(recorded).toHaveLength(2);
  });

  test('one of an undeclared kind conveys nothing, nor the right to change what is there, and is reported once', async () => {
    const warn = vi.spyOn((await import('@nestjs/common')).Logger.prototype, 'warn');
    const [subject, other] = [newSubject(), newSubject()];
    for (const who of [subject, other]) await grant(who, 'granter', { scope: 'project:7' });
    await asOwner(database, `UPDATE access."grant" SET scope = 'team:7'`);
    const notice = (): number => warn.mock.calls.filter(([line]) => String(line).includes('"team"')).length;
    for (let round = 0; round < 3; round += 1) {
      expect(await app.access.permissionsOf(subject)).toEqual([]);
    }
    expect(notice()).toBe(1);
    warn.mockRestore();
    const [foreign] = await app.grants.listOf(other);
    await refused(() => app.grants.revoke(foreign!.id, as(subject)), 'permission-denied');
  });

  test('a subject has a thousand grants at most, whatever their scopes', async () => {
    const subject = newSubject();
    await asOwner(
      database,
      `INSERT INTO access."grant" (id, subject, role, reason, granted_by, scope)
       SELECT gen_random_uuid(), $1, 'reader', 'test', 'test', 'project:' || n FROM generate_series(1, 999) n`,
      [subject],
    );
    const last = await grant(subject, 'reader', { scope: 'project:1000' });
    await refused(() => grant(subject, 'reader', { scope: 'project:1001' }), 'conflict');
    await app.grants.revoke(last, SYSTEM_PRINCIPAL);
    await grant(subject, 'reader', { scope: 'project:1001' });
  });

  describe('RBAC-24 nobody goes beyond where they hold a right', () => {
    test('RBAC-24 who holds a right in one scope grants and revokes it there, and neither elsewhere nor everywhere', async () => {
      const actor = newSubject();
      await grant(actor, 'granter', { scope: 'project:7' });
      const subject = newSubject();
      const given = await grant(subject, 'reader', { scope: 'project:7', actor });
      for (const scope of ['project:8', 'project:77', undefined]) {
        const how = { actor, ...(scope !== undefined && { scope }) };
        await refused(() => grant(newSubject(), 'reader', how), 'permission-denied');
        const theirs = await grant(newSubject(), 'reader', scope === undefined ? {} : { scope });
        await refused(() => app.grants.revoke(theirs, as(actor)), 'permission-denied');
      }
      await app.grants.revoke(given, as(actor));
      await refused(() => grant(subject, 'writer', { scope: 'project:7', actor }), 'permission-denied');
      await refused(() => grant(actor, 'reader', { scope: 'project:7', actor }), 'permission-denied');
    });

    test('RBAC-24 what one may hand out in a scope is handed out there alone, and no longer than it is held', async () => {
      const actor = newSubject();
      await grant(actor, 'issuer', { scope: 'project:7', expiresAt: hours(1) });
      await grant(newSubject(), 'writer', { scope: 'project:7', actor, expiresAt: hours(0.5) });
      await refused(() => grant(newSubject(), 'writer', { scope: 'project:7', actor }), 'permission-denied');
      await refused(
        () => grant(newSubject(), 'writer', { scope: 'project:8', actor, expiresAt: hours(0.5) }),
        'permission-denied',
      );
    });

    test('RBAC-24 rights of different scopes do not add up', async () => {
      const actor = newSubject();
      await grant(actor, 'reader', { scope: 'project:7' });
      await grant(actor, 'writer', { scope: 'project:8' });
      await app.roles.sync({ both: { inherits: ['reader', 'writer'] } }, SYSTEM_PRINCIPAL);
      for (const scope of ['project:7', 'project:8']) {
        await refused(() => grant(newSubject(), 'both', { scope, actor }), 'permission-denied');
      }
      await grant(actor, 'reader');
      await grant(newSubject(), 'both', { scope: 'project:8', actor });
    });

    test('RBAC-24 a right in a scope changes no role, since roles count everywhere', async () => {
      const actor = newSubject();
      await grant(actor, 'admin', { scope: 'project:7' });
      for (const change of [
        () => app.roles.put('mine', { permissions: ['documents:read'] as never }, as(actor)),
        () => app.roles.put('reader', { permissions: [] }, as(actor)),
        () => app.roles.delete('reader', as(actor)),
      ]) {
        await refused(change, 'permission-denied');
      }
      for (const [method, path] of [
        ['PUT', '/admin/roles/mine'],
        ['DELETE', '/admin/roles/reader'],
        ['GET', '/admin/roles'],
        ['POST', `/admin/accounts/${newSubject()}/grants`],
        ['GET', `/admin/accounts/${newSubject()}/grants`],
      ] as const) {
        const body =
          method === 'PUT' ? { permissions: [] } : { role: 'reader', reason: 'x', scope: 'project:7' };
        const sent = method === 'PUT' || method === 'POST' ? { body } : {};
        expect((await ask(app, method, path, { as: actor, ...sent })).status).toBe(403);
      }
    });

    test('RBAC-24 nobody writes what they hold in one scope into a role that they hold everywhere', async () => {
      const actor = newSubject();
      await app.roles.sync(
        { manager: { permissions: ['roles:write'], mayGrant: ['writer'] }, mine: {} } as never,
        SYSTEM_PRINCIPAL,
      );
      await grant(actor, 'manager');
      await grant(actor, 'mine');
      await grant(actor, 'writer', { scope: 'project:7' });
      const raise = (): Promise<unknown> =>
        app.roles.put('mine', { permissions: ['documents:write'] as never }, as(actor));
      await refused(raise, 'permission-denied');
      await grant(actor, 'writer');
      await raise();
    });

    test('RBAC-24 nobody writes what they hold for an hour, or not yet, into a role that they hold for good', async () => {
      await app.roles.sync(
        { manager: { permissions: ['roles:write'], mayGrant: ['writer'] }, mine: {} } as never,
        SYSTEM_PRINCIPAL,
      );
      for (const until of [{ expiresAt: hours(1) }, { notBefore: hours(1) }]) {
        const actor = newSubject();
        await grant(actor, 'manager');
        await grant(actor, 'mine');
        await grant(actor, 'writer', until);
        const raise = (): Promise<unknown> =>
          app.roles.put('mine', { permissions: ['documents:write'] as never }, as(actor));
        await refused(raise, 'permission-denied');
      }
    });

    test('RBAC-24 who administers in a scope is no administrator: the last one everywhere stays', async () => {
      const admin = newSubject();
      const id = await grant(admin, 'admin');
      await grant(newSubject(), 'admin', { scope: 'project:7' });
      await refused(() => app.grants.revoke(id, SYSTEM_PRINCIPAL), 'conflict');
      expect(await app.changes.isLastAdministrator(admin)).toBe(true);
    });
  });
});

describe('kinds of scope at boot', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());
  const start = (scopes: unknown, imports: never[] = [], more: object = {}) => ({
    databaseUrl: database.appUrl,
    imports,
    access: { scopes: scopes as string[], ...more },
  });

  test.each<[string, unknown, object, RegExp]>([
    [
      'that nobody knows the scopes of',
      ['project'],
      {},
      /scopes names "project", and nobody knows which there are: call Scopes\.knownBy\('project'/,
    ],
    ['in upper case', ['Project'], {}, /"Project" is no kind/],
    ['with a colon', ['project:7'], {}, /"project:7" is no kind/],
    ['named twice', ['project', 'project'], {}, /named twice/],
    ['tenant left out of the scopes', [], { tenants: {} }, /needs the kind "tenant"/],
  ])('a kind %s stops the start', async (_what, scopes, more, fault) => {
    expect(await refusalOf(start(scopes, [], more))).toMatch(fault);
  });

  test('a directory for a kind that is not declared, and a second one for a kind, stop the start', async () => {
    expect(await refusalOf(start([], [ProjectsModule as never]))).toMatch(/"project" is not declared/);
    @Module({})
    class AgainModule {
      constructor(scopes: Scopes) {
        scopes.knownBy('project', { exists: () => Promise.resolve(true) });
      }
    }
    expect(await refusalOf(start(['project'], [ProjectsModule as never, AgainModule as never]))).toMatch(
      /called twice/,
    );
    const started = await startHostile(start(['project'], [ProjectsModule as never]));
    await started.close();
  });
});
