import { Module, type DynamicModule } from '@nestjs/common';
import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Clock } from '../../src/core/clock.js';
import { actingAs } from '../../src/testing/acting.credentials.js';
import type { Acting } from '../../src/testing/acting.js';
import { FrozenClock } from '../../src/testing/frozen.clock.js';
import { publishedEvents } from '../../src/testing/published-events.js';
import { ZeroTrustTestingModule } from '../../src/testing/zero-trust-testing.module.js';
import { ADAPTERS } from '../support/application.js';
import { JudgedModule, NightlyTask, OPTIONS, PERSON } from './judged.module.js';
import { startTested, type TestedApplication } from './tested.application.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe.each(ADAPTERS)('actingAs without a database on %s', (adapter) => {
  const clock = new FrozenClock(new Date('2026-03-01T12:00:00Z'));
  let tested: TestedApplication;
  beforeAll(async () => {
    tested = await startTested(
      adapter,
      { imports: [JudgedModule, ZeroTrustTestingModule.forRoot(OPTIONS)] },
      (builder) => builder.overrideProvider(Clock).useValue(clock),
    );
  });
  afterAll(() => tested.close());

  const get = async (path: string, as?: Acting, headers: Record<string, string> = {}): Promise<number> =>
    (await tested.ask('GET', path, { ...(as && actingAs(as)), ...headers })).status;
  const bodyOf = async (path: string, as: Acting, headers: Record<string, string> = {}): Promise<unknown> =>
    (await tested.ask('GET', path, { ...actingAs(as), ...headers })).body;
  const lastReason = (): string | undefined => publishedEvents(tested.app).at(-1)?.reason;

  test('RBAC-01 who holds nothing reaches what everybody reaches, and nobody is not even somebody', async () => {
    expect(await get('/me', {})).toBe(200);
    expect(await get('/read', {})).toBe(403);
    expect(await get('/me')).toBe(401);
    expect(await get('/read')).toBe(401);
    expect(await get('/open')).toBe(200);
  });

  test('the permissions that are named are held, and no other one', async () => {
    expect(await get('/read', { permissions: ['documents:read'] })).toBe(200);
    expect(await get('/write', { permissions: ['documents:read'] })).toBe(403);
    expect(await get('/write', { permissions: ['documents:read', 'documents:write'] })).toBe(200);
  });

  test('a role conveys what code declares of it, with what it inherits', async () => {
    expect(await get('/write', { roles: ['editor'] })).toBe(200);
    expect(await get('/write', { roles: ['viewer'] })).toBe(403);
    expect(await get('/write', { roles: ['viewer'], permissions: ['documents:write'] })).toBe(200);
  });

  test('the principal is who was said, authenticated when they first asked', async () => {
    expect(await bodyOf('/me', { subject: PERSON })).toEqual({
      kind: 'account',
      subject: PERSON,
      acr: 'aal1',
      amr: ['pwd'],
      authTime: clock.nowSeconds(),
    });
    expect(await bodyOf('/me', { acr: 'aal3', authTime: 1_700_000_000 })).toMatchObject({
      acr: 'aal3',
      amr: ['pwd', 'otp'],
      authTime: 1_700_000_000,
    });
    expect(await bodyOf('/me', { amr: ['hwk'] })).toMatchObject({ acr: 'aal1', amr: ['hwk'] });
  });

  test('each is somebody new unless the subject is said, and the same one for each request', async () => {
    const [one, other] = [actingAs(), actingAs()];
    const subjectOf = async (headers: Record<string, string>): Promise<string> =>
      ((await tested.ask('GET', '/me', headers)).body as { subject: string }).subject;
    expect(await subjectOf(one)).toBe(await subjectOf(one));
    expect(await subjectOf(one)).not.toBe(await subjectOf(other));
  });

  test('RBAC-21 the rule of an object is asked: its owner gets it, for others and when there is none it is not there', async () => {
    const scopes = { 'tenant:acme': { permissions: ['documents:read'] } } as const;
    expect(await bodyOf('/tasks/acme.7', { subject: PERSON, scopes })).toMatchObject({ projectId: '7' });
    expect(await get('/tasks/acme.7', { scopes })).toBe(404);
    expect(lastReason()).toBe('the object rule does not hold');
    expect(await get('/tasks/acme.none', { subject: PERSON, scopes })).toBe(404);
    expect(lastReason()).toBe('there is no such object');
    expect(await get('/tasks/NO', { subject: PERSON, scopes })).toBe(400);
  });

  test('what is held in a scope counts for the objects that lie in it', async () => {
    const member = (project: string): Acting => ({
      subject: PERSON,
      // Of the tenant, by something that is of no use for reading.
      ...{ tenant: 'acme', permissions: ['documents:share'] },
      scopes: { [`project:${project}`]: { roles: ['viewer'] } },
    });
    expect(await get('/tasks/acme.7', member('7'))).toBe(200);
    expect(await get('/tasks/acme.7', member('8'))).toBe(404);
    expect(lastReason()).toBe('a demanded permission is not held');
    expect(await get('/read', member('7'))).toBe(403);
  });

  test('V8.4.1 what is held in a tenant is held there alone, and an object of another one is not there', async () => {
    const acme: Acting = { subject: PERSON, tenant: 'acme', roles: ['viewer'] };
    expect(await bodyOf('/tenant', acme)).toEqual({ tenant: 'acme' });
    expect(await get('/read', acme)).toBe(403);
    expect(await get('/tasks/acme.7', acme)).toBe(200);
    expect(await get('/tasks/globex.7', acme)).toBe(404);
    // Not by what is held everywhere either.
    const permissions = ['documents:read', 'documents:read-any'] as const;
    const everywhere: Acting = { permissions, scopes: { 'tenant:acme': { roles: ['viewer'] } } };
    expect(await get('/tasks/acme.7', everywhere)).toBe(200);
    expect(await get('/tasks/globex.7', everywhere)).toBe(404);
    expect(lastReason()).toBe('the object belongs to another tenant');
  });

  test('V8.4.1 who holds something in two tenants says which one is meant, and never a third', async () => {
    const both: Acting = {
      scopes: { 'tenant:acme': { roles: ['viewer'] }, 'tenant:globex': { roles: ['viewer'] } },
    };
    expect(await get('/tenant', both)).toBe(403);
    expect(await bodyOf('/tenant', both, { 'x-tenant': 'globex' })).toEqual({ tenant: 'globex' });
    expect(await get('/tenant', both, { 'x-tenant': 'initech' })).toBe(403);
  });

  test('who may ask for a list is judged, whoever narrows it', async () => {
    const member: Acting = { scopes: { 'project:7': { roles: ['viewer'] } } };
    expect(await bodyOf('/list', member)).toEqual({ filter: 'ListFilter' });
    expect(await get('/list', { permissions: ['documents:share'] })).toBe(403);
  });

  test('services answer of the caller by the same holdings', async () => {
    expect(await bodyOf('/asked/held', { roles: ['editor'], permissions: ['documents:share'] })).toEqual({
      permissions: ['documents:read', 'documents:share', 'documents:write'],
      roles: ['editor'],
      holds: true,
      decision: { granted: true, by: ['documents:write'] },
    });
    expect(await bodyOf('/asked/held', {})).toMatchObject({ permissions: [], roles: [], holds: false });
    expect(await get('/asked/required', { permissions: ['documents:share'] })).toBe(200);
    expect(await get('/asked/required', {})).toBe(403);
    expect(await bodyOf('/asked/revealed', {})).toEqual({ id: '1', iban: '****' });
  });

  test('what the caller holds is never said of another subject', async () => {
    expect(await bodyOf('/asked/another', { roles: ['editor'] })).toEqual(['rejected', 'rejected']);
    expect(await bodyOf('/asked/another', { roles: ['editor'], subject: PERSON })).toEqual([
      'fulfilled',
      'fulfilled',
    ]);
  });

  test('a declared task holds what it declares, and nothing beside', async () => {
    expect(await tested.app.get(NightlyTask).run()).toEqual([true, false]);
  });

  test('work of a request runs in a unit of work, and fails with its request', async () => {
    const { body } = await tested.ask('POST', '/work', actingAs());
    expect(body).toEqual(['within true', 'before true', 'after false']);
    expect((await tested.ask('POST', '/work', { ...actingAs(), 'x-fail': '1' })).status).toBe(500);
  });

  test('what needs a database is an error, and never an empty answer', async () => {
    expect(await get('/asked/database', {})).toBe(500);
  });

  describe('credentials', () => {
    const status = async (headers: Record<string, string>): Promise<unknown> => {
      const { status: code, body } = await tested.ask('GET', '/me', headers);
      return [code, (body as { code: string }).code];
    };

    test('RBAC-30 a forged credential is refused, however much it looks like one', async () => {
      const { authorization } = actingAs();
      for (const forged of [
        `Bearer zt-test.${randomBytes(32).toString('base64url')}`,
        `${authorization}A`,
        authorization.slice(0, -1),
        'Bearer zt-test.',
        'Bearer something-else',
        authorization.replace('Bearer ', 'Bearer  '),
      ]) {
        expect(await status({ authorization: forged })).toEqual([401, 'invalid-credentials']);
      }
      expect(await status({ authorization: authorization.replace('Bearer', 'Basic') })).toEqual([
        401,
        'authentication-required',
      ]);
      expect(await status({ authorization })).toEqual([200, undefined]);
    });

    test('RBAC-30 a credential of another process is refused', async () => {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [
          '--input-type=module',
          '--eval',
          "import { actingAs } from 'nestjs-zero-trust/testing'; console.log(actingAs().authorization);",
        ],
        { cwd: root, env: { ...process.env, NODE_ENV: 'test' } },
      );
      expect(stdout).toMatch(/^Bearer zt-test\.[\w-]{43}\n$/);
      expect(await status({ authorization: stdout.trim() })).toEqual([401, 'invalid-credentials']);
    });

    test('an expired credential is refused, by the clock of the application', async () => {
      const headers = actingAs({ expiresInSeconds: 900 });
      expect(await status(headers)).toEqual([200, undefined]);
      clock.advanceSeconds(899);
      expect(await status(headers)).toEqual([200, undefined]);
      clock.advanceSeconds(1);
      expect(await status(headers)).toEqual([401, 'invalid-credentials']);
    });

    test('a credential beside an access cookie is ambiguous, and as a cookie or in a query it is none', async () => {
      const { authorization } = actingAs();
      const credential = authorization.slice('Bearer '.length);
      expect(await status({ authorization, cookie: '__Host-access=x' })).toEqual([
        400,
        'ambiguous-credentials',
      ]);
      expect(await status({ cookie: `__Host-access=${credential}` })).toEqual([401, 'invalid-credentials']);
      expect((await tested.ask('GET', `/me?access_token=${credential}`)).status).toBe(401);
    });

    test('headers cannot be changed afterwards, nor what was handed in to make them', async () => {
      const permissions: 'documents:read'[] = [];
      const headers = actingAs({ permissions });
      permissions.push('documents:read');
      expect((await tested.ask('GET', '/read', headers)).status).toBe(403);
      expect(Object.isFrozen(headers)).toBe(true);
    });
  });

  test.each<[string, Acting]>([
    ['permission', { permissions: ['documents:shred' as 'documents:read'] }],
    ['role', { roles: ['wizard'] }],
    ['kind of the scope', { scopes: { 'planet:7': {} } }],
  ])('what nobody declared is an error of the test and no refusal: a %s', async (what, as) => {
    expect(await get('/read', as)).toBe(500);
    expect(lastReason()).toMatch(new RegExp(`^actingAs: nobody declared the ${what} "`));
  });

  test('nobody acts as somebody who holds what nobody may hold together', async () => {
    expect(await get('/read', { roles: ['clerk'], scopes: { 'project:7': { roles: ['approver'] } } })).toBe(
      500,
    );
    expect(lastReason()).toBe('actingAs: nobody may hold these roles together: who makes does not approve');
  });
});

describe('actingAs', () => {
  test.each<[string, object, string]>([
    ['an option that there is not', { permission: ['documents:read'] }, '"permission" is no option'],
    ['a permission that is none', { permissions: ['read'] }, '"read" is no permission'],
    ['permissions that are no list', { permissions: 'documents:read' }, 'are lists of names'],
    ['a role that can be none', { roles: ['Editor'] }, '"Editor" is no name of a role'],
    ['a subject that can hold nothing', { subject: 'alice@example.test' }, 'subject is a UUID'],
    ['a scope without an id', { scopes: { project: {} } }, '"project" is no scope'],
    [
      'a permission in a scope that is none',
      { scopes: { 'project:7': { permissions: ['x'] } } },
      '"x" is no',
    ],
    ['a tenant that can be none', { tenant: 'a b' }, 'tenant is no id'],
    ['a level that there is not', { acr: 'aal4' }, 'acr is one of aal1, aal2, aal3'],
    ['methods that are no list', { amr: 'pwd' }, 'amr is a list'],
    ['a time in milliseconds and a half', { authTime: 0.5 }, 'authTime is in whole seconds'],
    ['a life of no time', { expiresInSeconds: 0 }, 'expiresInSeconds is a whole number'],
  ])('refuses %s', (_, as, fault) => {
    expect(() => actingAs(as as Acting)).toThrow(TypeError);
    expect(() => actingAs(as as Acting)).toThrow(fault);
  });
});

describe('outside of tests', () => {
  /** Runs with another NODE_ENV; `undefined` is one that is not set. */
  async function under<T>(environment: string | undefined, work: () => T | Promise<T>): Promise<T> {
    const before = process.env.NODE_ENV;
    if (environment === undefined) Reflect.deleteProperty(process.env, 'NODE_ENV');
    else process.env.NODE_ENV = environment;
    try {
      return await work();
    } finally {
      process.env.NODE_ENV = before;
    }
  }

  const OUTSIDE = ['production', undefined, '', 'development', 'staging', 'Test'];
  const REFUSED = /nestjs-zero-trust\/testing refuses to start:\n {2}- NODE_ENV is .*NODE_ENV=test/;

  test.each(OUTSIDE)(
    'with NODE_ENV %s no credential is made, and no module declared',
    async (environment) => {
      await under(environment, () => {
        expect(() => actingAs()).toThrow(REFUSED);
        expect(() => ZeroTrustTestingModule.forRoot(OPTIONS)).toThrow(REFUSED);
      });
    },
  );

  test('a module that was declared before is not made either', async () => {
    const declared: DynamicModule = ZeroTrustTestingModule.forRoot(OPTIONS);
    await under('production', async () => {
      await expect(startTested('express', { imports: [declared] })).rejects.toThrow(REFUSED);
    });
  });

  test('an application that was made before lets nobody in any more', async () => {
    const tested = await startTested('express', {
      imports: [JudgedModule, ZeroTrustTestingModule.forRoot(OPTIONS)],
    });
    const headers = actingAs();
    try {
      expect((await tested.ask('GET', '/me', headers)).status).toBe(200);
      await under('production', async () => {
        expect((await tested.ask('GET', '/me', headers)).status).toBe(503);
      });
    } finally {
      await tested.close();
    }
  });
});

test('an application cannot have an authenticator of its own beside: there would be two of them', async () => {
  const { Pipeline } = await import('../../src/core/pipeline.js');
  const { TestAuthenticator } = await import('../support/hostile.application.js');
  @Module({})
  class OwnIdentityModule {
    constructor(pipeline: InstanceType<typeof Pipeline>) {
      pipeline.useAuthenticator(new TestAuthenticator());
    }
  }
  Reflect.defineMetadata('design:paramtypes', [Pipeline], OwnIdentityModule);
  await expect(
    startTested('express', { imports: [OwnIdentityModule, ZeroTrustTestingModule.forRoot()] }),
  ).rejects.toThrow('stage "authenticate" was registered twice');
});

test('subjects are ids as an account has them', () => {
  expect(() => actingAs({ subject: randomUUID() })).not.toThrow();
});
