import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { startSample, type Caller, type Sample } from '../support/sample.js';
import { sample as fileOf, zeroTrust, type Run } from './zero-trust.js';

let sample: Sample;
let editor: Caller;
let document: string;
const environment = {
  ZERO_TRUST_MASTER_KEY: randomBytes(32).toString('base64'),
  PUBLIC_URL: 'https://portal.example.test',
};
beforeAll(async () => {
  sample = await startSample({ environment });
  editor = await sample.signIn('editor');
  document = ((await editor.post('/documents', { title: 'Plan', body: '' })).body as { id: string }).id;
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await sample.close();
});
beforeEach(() => {
  vi.stubEnv('DATABASE_URL', sample.database.appUrl);
  vi.stubEnv('DATABASE_AUDIT_URL', sample.database.auditUrl);
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
});

const explain = (...argv: string[]): Promise<Run> =>
  zeroTrust('explain', '--app', fileOf('src/app.module.ts'), ...argv);
const UUID = '[0-9a-f-]{36}';

describe('zero-trust explain', () => {
  test('names the grant and the roles that lead to a permission, by address and by id', async () => {
    const byAddress = await explain('--as', 'editor@example.test', '--permission', 'documents:read');
    expect(byAddress).toMatchObject({ code: 0, err: '' });
    const grant = new RegExp(`^  grant ${UUID}: editor → viewer, everywhere$`);
    const [first, second, ...more] = byAddress.out.split('\n');
    expect([first, more]).toEqual(['editor@example.test documents:read: granted by documents:read', []]);
    expect(second).toMatch(grant);

    const id = await sample.accountId('editor');
    const byId = await explain('--as', id, '--permission', 'documents:read', '--json');
    expect(JSON.parse(byId.out)).toMatchObject({
      decision: { granted: true, by: ['documents:read'] },
      grants: [{ roles: ['editor', 'viewer'], scope: null, expiresAt: null }],
    });
  });

  test('says why not, and exits with 1 where a yes was expected', async () => {
    const asked = ['--as', 'viewer@example.test', '--permission', 'documents:write'];
    const out =
      'viewer@example.test documents:write: refused, a demanded permission is not held\n  no grant leads to it';
    expect(await explain(...asked)).toEqual({ code: 0, out, err: '' });
    expect(await explain(...asked, '--expect-granted')).toEqual({
      code: 1,
      out,
      err: 'error: it is refused',
    });
  });

  test('loads the object as the application does, and names each rule that is asked with the permission', async () => {
    const resource = ['--resource', `document:${document}`];
    const own = await explain('--as', 'editor@example.test', '--permission', 'documents:write', ...resource);
    expect(own.out.split('\n').slice(0, 3)).toEqual([
      'editor@example.test documents:write: granted by documents:write, document: owned or shared for writing',
      '  rule document: owned or shared for writing: granted by documents:write, document: owned or shared for writing',
      '  rule document: owned: granted by documents:write, document: owned',
    ]);
    const foreign = await explain(
      '--as',
      'viewer@example.test',
      '--permission',
      'documents:read',
      ...resource,
    );
    expect(foreign.out).toContain('documents:read: refused, the object rule does not hold');
    const missing = await explain(
      ...['--as', 'viewer@example.test', '--permission', 'documents:read'],
      ...['--resource', `document:${randomUUID()}`],
    );
    expect(missing.out).toContain('documents:read: refused, there is no such object');
    // The very answer that the request gets.
    const viewer = await sample.signIn('viewer');
    expect((await viewer.get(`/documents/${document}`)).status).toBe(404);
    expect((await editor.get(`/documents/${document}`)).status).toBe(200);
  });

  test.each([
    ['an undeclared permission', ['--permission', 'documents:erase'], 'permission'],
    ['a type that nobody demands', ['--permission', 'documents:read', '--resource', 'invoice:7'], 'resource'],
    ['a resource without an id', ['--permission', 'documents:read', '--resource', 'document:'], 'resource'],
  ])('refuses %s in one line', async (_, asked, field) => {
    const { code, out, err } = await explain('--as', await sample.accountId('viewer'), ...asked);
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(new RegExp(`^error: .*${field}`));
    expect(err).not.toContain('\n');
  });

  test('refuses an address that nobody has', async () => {
    const { code, err } = await explain('--as', 'nobody@example.test', '--permission', 'documents:read');
    expect([code, err]).toEqual([1, 'error: there is no account with this e-mail address']);
  });
});
