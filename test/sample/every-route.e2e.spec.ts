import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AccessMatrixRow } from '../../src/access/inventory/access-matrix.js';
import { requestOf } from '../http/raw-client.js';
import { ADAPTERS } from '../support/application.js';
import { startSample, type Answer, type Caller, type Sample } from '../support/sample.js';

const PROBLEM = 'code instance status title type';
/** What each route answers with, field by field: whatever else an entity learns to hold stays inside. */
const FIELDS: Readonly<Record<string, string>> = {
  '/.well-known/jwks.json': 'keys[] { alg crv kid kty use x y }',
  '/admin/access/report': 'bypassing[] outdated unattributed ways[]',
  '/admin/access/routes':
    'routes[] { assurance handler method object path permissions[] policy roles[] transport }',
  '/admin/accounts': 'items[] { createdAt disabledAt displayName email id state } next',
  '/admin/accounts/:id/grants':
    'grants[] { createdAt expiresAt grantedBy id notBefore reason role scope subject }',
  // `event` is the entry as it was recorded: docs/audit.md, test/audit/ocsf.encoding.spec.ts.
  '/admin/audit': 'entries[] { edge event id recordedAt } next',
  '/admin/roles': 'roles[] { inherits[] mayGrant[] name permissions[] }',
  '/admin/roles/:name': 'inherits[] mayGrant[] name permissions[]',
  '/auth/me': 'acr amr[] authTime displayName email id permissions[] roles[] sessionId',
  '/auth/sessions': 'items[] { acr address amr[] createdAt current device id lastSeenAt }',
  '/documents': 'items[] { body createdAt id ownerId title updatedAt } next',
  '/documents/:id': 'body createdAt id ownerId title updatedAt',
  '/health/live': 'status',
  '/health/ready': 'status',
  '/invoices':
    'items[] { amountCents approvedAt approvedBy clientName createdAt createdBy currency iban id } next',
  '/invoices/:id': 'amountCents approvedAt approvedBy clientName createdAt createdBy currency iban id',
};

/** `{ items: [{ id }] }` → `items[] { id }`, over several answers. */
function shapeOf(answers: readonly unknown[]): string {
  const keys = new Set(answers.flatMap((each) => Object.keys(each as object)));
  return [...keys]
    .sort()
    .map((key) => {
      const values = answers.map((each) => (each as Record<string, unknown>)[key]);
      if (key === 'event' || !values.some(Array.isArray)) return key;
      const items = values.flat().filter((each) => typeof each === 'object' && each !== null);
      return items.length === 0 ? `${key}[]` : `${key}[] { ${shapeOf(items)} }`;
    })
    .join(' ');
}

/** Everything that comes back on a connection of its own, byte by byte. */
async function exchange(port: number, request: string): Promise<{ bytes: Buffer }> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => void chunks.push(chunk));
  socket.write(request);
  await once(socket, 'close');
  return { bytes: Buffer.concat(chunks) };
}

/** The rows of its table of routes: method, path, what is demanded, roles. */
const documentedRoutes = (): string[] =>
  [
    ...readFileSync(new URL('../../docs/sample.md', import.meta.url), 'utf8').matchAll(
      /^\| (GET|POST|PUT|PATCH|DELETE) +\| `([^`]+)` *\| ([^|]+?) *\| ([^|]+?) *\|$/gm,
    ),
  ].map((row) => row.slice(1).join(' | '));

describe.each(ADAPTERS)('every route of the sample on %s', (adapter) => {
  let sample: Sample;
  let callers: Readonly<Record<string, Caller>>;
  let superuser: pg.Client;
  let routes: readonly AccessMatrixRow[];
  const ids: Record<string, string> = {};
  beforeAll(async () => {
    sample = await startSample({ adapter });
    superuser = new pg.Client({ connectionString: sample.database.superuserUrl });
    await superuser.connect();
    const [admin, editor, clerk] = [
      await sample.signIn('admin'),
      await sample.signIn('editor'),
      await sample.signIn('clerk'),
    ];
    callers = { anonymous: sample.anonymous, admin, editor, clerk };
    const invoice = { clientName: 'ACME', iban: 'DE89370400440532013000', amountCents: 5, currency: 'EUR' };
    ids['/documents'] = (
      (await editor.post('/documents', { title: 'a', body: 'b' })).body as { id: string }
    ).id;
    ids['/invoices'] = ((await clerk.post('/invoices', invoice)).body as { id: string }).id;
    ids['/admin/accounts'] = await sample.accountId('viewer');
    ({ routes } = (await admin.get('/admin/access/routes')).body as { routes: AccessMatrixRow[] });
    expect(routes.length).toBeGreaterThan(30);
  });
  afterAll(async () => {
    await superuser.end();
    await sample.close();
  });

  const concrete = (path: string): string =>
    path
      .replace(':name', 'viewer')
      .replace(':id', ids[path.replace(/\/:id.*$/, '')] ?? '00000000-0000-4000-8000-000000000000');
  const pathsOf = (...methods: string[]): string[] =>
    routes.filter(({ method }) => methods.includes(method)).map(({ path }) => path);
  const unsafe = (): readonly AccessMatrixRow[] =>
    routes.filter(({ method }) => ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method));
  const each = async (
    paths: readonly string[],
    ask: (caller: Caller, path: string) => Promise<Answer>,
    check: (answer: Answer, what: string) => void,
  ): Promise<void> => {
    for (const path of paths) {
      for (const [name, caller] of Object.entries(callers)) {
        check(await ask(caller, concrete(path)), `${path} as ${name}`);
      }
    }
  };

  /** Everything that is stored, but the audit log and when a session was last seen. */
  async function stored(): Promise<Record<string, unknown>> {
    const { rows: tables } = await superuser.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
        WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'audit') ORDER BY 1`,
    );
    const contents: Record<string, unknown> = {};
    for (const { name } of tables) {
      const { rows } = await superuser.query<{ text: string }>(
        `SELECT (to_jsonb(each) - 'last_seen_at')::text AS text FROM ${name} AS each ORDER BY 1`,
      );
      contents[name] = rows.map(({ text }) => text);
    }
    return contents;
  }

  test('V3.5.3 no GET and no HEAD changes anything, whoever asks and whatever else the request names', async () => {
    const before = await stored();
    expect(Object.keys(before).length).toBeGreaterThan(10);
    expect(before['documents.document']).toHaveLength(1);
    const overriding = { 'x-http-method-override': 'DELETE', 'x-http-method': 'DELETE' };
    await each(
      pathsOf('GET'),
      (caller, path) => caller.send('GET', `${path}?_method=DELETE`, undefined, overriding),
      ({ status }, what) => {
        expect([200, 400, 401, 403, 404], what).toContain(status);
      },
    );
    await each(
      pathsOf('GET'),
      (caller, path) => caller.send('GET', path, undefined, overriding),
      ({ status }, what) => {
        expect([200, 401, 403, 404], what).toContain(status);
      },
    );
    await each(
      pathsOf('GET'),
      (caller, path) => caller.send('HEAD', path),
      () => undefined,
    );
    expect(await stored()).toEqual(before);
  });

  test('V4.1.1 V3.5.6 V14.3.2 each answer says that it is JSON in UTF-8 and is kept by nobody, whatever callback is asked for', async () => {
    for (const query of ['', '?callback=steal', '?jsonp=steal']) {
      await each(
        pathsOf('GET'),
        (caller, path) => caller.get(path + query),
        ({ status, headers, text }, what) => {
          const keys = what.startsWith('/.well-known/jwks.json');
          const good = keys ? 'application/jwk-set+json' : 'application/json';
          const type = status < 400 ? good : 'application/problem+json';
          expect(headers.get('content-type'), what).toBe(`${type}; charset=utf-8`);
          expect(headers.get('x-content-type-options'), what).toBe('nosniff');
          expect(text.startsWith('{'), what).toBe(true);
          // What is public, and meant to be kept for a while.
          if (!keys) expect(headers.get('cache-control'), what).toBe('no-store');
        },
      );
    }
    const empty = await (await sample.signIn('editor')).post('/auth/logout');
    expect([empty.status, empty.text, empty.headers.get('content-type')]).toEqual([204, '', null]);
  });

  test('V14.2.5 no spelling of a path makes a private answer look like a file that may be cached', async () => {
    for (const end of [
      '/x.css',
      ';x.js',
      '%0Ax.png',
      '%00.js',
      '%2Fx.css',
      '%3Bx.js',
      '%23.css',
      '.css',
      '/..%2Fx.js',
    ]) {
      for (const path of ['/auth/me', `/documents/${ids['/documents']!}`]) {
        const { status, headers, text } = await callers['editor']!.get(path + end);
        expect([400, 404], path + end).toContain(status);
        expect(headers.get('cache-control')).toBe('no-store');
        expect(text).not.toContain('editor@example.test');
      }
    }
  });

  test('V4.1.4 each path answers the methods that it has, and 405 with these to all others', async () => {
    const methodsOf = new Map<string, string[]>();
    for (const { method, path } of routes) methodsOf.set(path, [...(methodsOf.get(path) ?? []), method]);
    for (const [path, declared] of methodsOf) {
      const there = [...declared, ...(declared.includes('GET') ? ['HEAD'] : [])].sort();
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'LOCK', 'FOO']) {
        if (there.includes(method)) continue;
        // A literal path may stand in the way of one with a parameter.
        const { status, headers } = await callers['admin']!.send(method, concrete(path));
        expect([405, 400], `${method} ${path}`).toContain(status);
        if (status === 405) expect(headers.get('allow'), `${method} ${path}`).toBe(there.join(', '));
      }
    }
  });

  test('V3.5.2 no route that changes something reads what a form of another site could send', async () => {
    for (const { method, path } of unsafe()) {
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
      ]) {
        const response = await fetch(sample.url + concrete(path), {
          method,
          headers: { 'content-type': type, authorization: `Bearer ${callers['admin']!.token!}` },
          body: '{"email":"admin@example.test"}',
        });
        expect([response.status, method, path, type]).toEqual([415, method, path, type]);
      }
    }
  });

  test('V4.2.2 each answer has as many bytes as it announces, and HEAD and 204 have none', async () => {
    const port = Number(new URL(sample.url).port);
    const seen: string[] = [];
    for (const path of [...pathsOf('GET'), '/nowhere']) {
      for (const [name, { token }] of Object.entries(callers)) {
        const fields = [
          'Connection: close',
          ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
        ];
        for (const method of ['GET', 'HEAD']) {
          const request = requestOf(`${method} ${concrete(path)}`, fields);
          const { bytes } = await exchange(port, request);
          const end = bytes.indexOf('\r\n\r\n');
          const head = bytes.subarray(0, end).toString('latin1');
          const body = bytes.subarray(end + 4);
          const lengths = [...head.matchAll(/^content-length: (\d+)$/gim)].map(([, length]) =>
            Number(length),
          );
          const what = `${method} ${path} as ${name}`;
          expect([what, lengths.length, /^transfer-encoding:/im.test(head)]).toEqual([what, 1, false]);
          if (method === 'HEAD') expect([what, body.length]).toEqual([what, 0]);
          else expect([what, body.length]).toEqual([what, lengths[0]]);
          seen.push(what);
        }
      }
    }
    expect(seen.length).toBeGreaterThan(100);
    const { token } = await sample.signIn('editor');
    const fields = [`Authorization: Bearer ${token!}`, 'Content-Length: 0'];
    const { bytes } = await exchange(port, requestOf('POST /auth/logout', fields));
    const text = bytes.toString('latin1');
    expect(text).toMatch(/^HTTP\/1\.1 204 /);
    expect(text).not.toMatch(/^(content-length|transfer-encoding):/im);
    expect(text.endsWith('\r\n\r\n')).toBe(true);
  });

  test('V15.4.1 hundreds who ask at once each see themselves alone', async () => {
    const known = Object.entries(callers).filter(([name]) => name !== 'anonymous');
    const expected = new Map(
      await Promise.all(
        known.map(async ([name, caller]) => [name, (await caller.get('/auth/me')).text] as const),
      ),
    );
    expect(new Set(expected.values()).size).toBe(known.length);
    const answers = await Promise.all(
      Array.from({ length: 600 }, async (_, at) => {
        const [name, caller] = known[at % known.length]!;
        const { status, headers, text } = await caller.get('/auth/me');
        return { name, status, text, id: headers.get('x-request-id') };
      }),
    );
    for (const { name, status, text } of answers) expect([status, text]).toEqual([200, expected.get(name)]);
    expect(new Set(answers.map(({ id }) => id)).size).toBe(600);
  });

  test('V15.3.1 each answer has the fields that are written down for it, and nothing of a column that is new', async () => {
    const { rows: tables } = await superuser.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
        WHERE schemaname IN ('access', 'documents', 'identity', 'invoices', 'sessions')`,
    );
    for (const { name } of tables) {
      await superuser.query(`ALTER TABLE ${name} ADD COLUMN canary text NOT NULL DEFAULT 'canary-zq7'`);
    }
    const seen: Record<string, unknown[]> = {};
    await each(
      pathsOf('GET'),
      (caller, path) => caller.get(path),
      ({ status, body, text }, what) => {
        expect(text, what).not.toContain('canary');
        if (status >= 400) expect(shapeOf([body]), what).toBe(PROBLEM);
        else (seen[what.replace(/ as .*$/, '')] ??= []).push(body);
      },
    );
    const shapes = Object.entries(seen).map(([path, answers]) => [path, shapeOf(answers)]);
    expect(Object.fromEntries(shapes)).toEqual(FIELDS);
  });

  test('V8.1.1 V6.1.3 docs/sample.md names every way in with what it demands and who reaches it', () => {
    expect(documentedRoutes()).toEqual(
      routes.map(({ method, path, policy, permissions, assurance, roles }) =>
        [
          method,
          path,
          [policy === 'permission' ? permissions.join(' ') : policy, assurance].filter(Boolean).join(', '),
          roles.join(' '),
        ].join(' | '),
      ),
    );
  });
});
