import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADAPTERS } from '../support/application.js';
import { startSample, type Caller, type Sample } from '../support/sample.js';

interface DocumentBody {
  id: string;
  ownerId: string;
  title: string;
  body: string;
}

describe.each(ADAPTERS)('documents on %s', (adapter) => {
  let sample: Sample;
  let editor: Caller;
  let viewer: Caller;
  let clerk: Caller;

  beforeAll(async () => {
    sample = await startSample({ adapter });
    [editor, viewer, clerk] = await Promise.all([
      sample.signIn('editor'),
      sample.signIn('viewer'),
      sample.signIn('clerk'),
    ]);
  });
  afterAll(() => sample.close());

  const write = async (title = 'Minutes'): Promise<DocumentBody> => {
    const answer = await editor.post('/documents', { title, body: 'text' });
    expect(answer.status).toBe(201);
    return answer.body as DocumentBody;
  };

  test('the one who writes a document owns it, and reads, changes and deletes it', async () => {
    const document = await write();
    expect(document.ownerId).toBe(await sample.accountId('editor'));
    expect((await editor.get(`/documents/${document.id}`)).body).toEqual(document);
    const changed = await editor.patch(`/documents/${document.id}`, { title: 'Minutes of May' });
    expect([
      changed.status,
      (changed.body as DocumentBody).title,
      (changed.body as DocumentBody).body,
    ]).toEqual([200, 'Minutes of May', 'text']);
    expect((await editor.delete(`/documents/${document.id}`)).status).toBe(204);
    expect((await editor.get(`/documents/${document.id}`)).status).toBe(404);
  });

  test('RBAC-21 a document of somebody else answers as one that does not exist, for every method', async () => {
    const document = await write();
    const foreign = await viewer.get(`/documents/${document.id}`);
    const missing = await viewer.get(`/documents/${randomUUID()}`);
    expect([foreign.status, missing.status]).toEqual([404, 404]);
    const shape = ({ body }: { body: object }): object => ({ ...body, instance: '' });
    expect(shape(foreign)).toEqual(shape(missing));
    expect((await viewer.get('/documents')).body).toEqual({ items: [], next: null });
    // Without the permission nothing is said about the object at all.
    expect((await viewer.patch(`/documents/${document.id}`, { title: 'x' })).status).toBe(403);
    expect((await viewer.delete(`/documents/${document.id}`)).status).toBe(403);
    expect((await editor.get(`/documents/${document.id}`)).status).toBe(200);
  });

  test('RBAC-21 naming another owner, in the query or the body, changes nothing', async () => {
    await write();
    const owner = await sample.accountId('editor');
    expect((await viewer.get(`/documents?ownerId=${owner}`)).status).toBe(400);
    expect((await editor.post('/documents', { title: 't', body: 'b', ownerId: owner })).status).toBe(400);
  });

  test('a share for reading opens the document for reading alone', async () => {
    const document = await write();
    const accountId = await sample.accountId('viewer');
    expect(
      (await editor.post(`/documents/${document.id}/shares`, { accountId, access: 'read' })).status,
    ).toBe(204);
    expect((await viewer.get(`/documents/${document.id}`)).status).toBe(200);
    const listed = (await viewer.get('/documents')).body as { items: DocumentBody[] };
    expect(listed.items.map(({ id }) => id)).toContain(document.id);
    expect((await viewer.patch(`/documents/${document.id}`, { title: 'x' })).status).toBe(403);
    expect((await editor.delete(`/documents/${document.id}`)).status).toBe(204);
  });

  test('a share cannot be made by somebody who does not own the document', async () => {
    const document = await write();
    const accountId = await sample.accountId('viewer');
    expect(
      (await viewer.post(`/documents/${document.id}/shares`, { accountId, access: 'write' })).status,
    ).toBe(403);
    expect((await viewer.get(`/documents/${document.id}`)).status).toBe(404);
  });

  test('whoever lacks the permission is refused before anything is looked up', async () => {
    expect((await clerk.get('/documents')).status).toBe(403);
    expect((await clerk.get(`/documents/${randomUUID()}`)).status).toBe(403);
    expect((await viewer.post('/documents', { title: 'x', body: 'y' })).status).toBe(403);
    expect((await sample.anonymous.get('/documents')).status).toBe(401);
  });

  test('RBAC-28 without credentials nothing is said about body, id or existence', async () => {
    const document = await write();
    for (const answer of await Promise.all([
      sample.anonymous.post('/documents', { nonsense: true }),
      sample.anonymous.get('/documents/not-an-id'),
      sample.anonymous.get(`/documents/${document.id}`),
      sample.anonymous.patch(`/documents/${randomUUID()}`, { title: '' }),
    ])) {
      expect(answer.status).toBe(401);
      expect((answer.body as { code: string }).code).toBe('authentication-required');
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
  });

  test('VAL-26 what the client may not set is refused and nothing is written', async () => {
    const document = await write();
    for (const field of [
      'id',
      'ownerId',
      'createdAt',
      'updatedAt',
      'shares',
      'tenantId',
      '__v',
      'constructor',
    ]) {
      const answer = await editor.patch(`/documents/${document.id}`, {
        title: 'stolen',
        [field]: randomUUID(),
      });
      expect(answer.status, field).toBe(400);
    }
    expect((await editor.get(`/documents/${document.id}`)).body).toEqual(document);
  });

  test('null, wrong types and control characters are refused before they reach the database', async () => {
    const document = await write();
    for (const body of [
      { title: null },
      { body: null },
      { title: 7 },
      { title: ['a'] },
      { title: { a: 1 } },
      { title: '' },
      { title: 'a\u0000b' },
    ]) {
      expect((await editor.patch(`/documents/${document.id}`, body)).status, JSON.stringify(body)).toBe(400);
      expect(
        (await editor.post('/documents', { title: 't', body: 'b', ...body })).status,
        JSON.stringify(body),
      ).toBe(400);
    }
    expect((await editor.post('/documents', { title: 'x'.repeat(201), body: '' })).status).toBe(400);
  });

  test('VAL-14 a malformed id is a 400 or 404, never a 500', async () => {
    for (const id of [
      'abc',
      '0',
      '-1',
      '9223372036854775808',
      '1e309',
      '%20',
      'zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz',
      '%00',
      '..%2f..',
    ]) {
      expect([400, 404], id).toContain((await editor.get(`/documents/${id}`)).status);
      expect([400, 404], id).toContain(
        (await editor.post(`/documents/${id}/shares`, { accountId: randomUUID(), access: 'read' })).status,
      );
    }
  });

  test('VAL-11 the list takes a cursor and a limit and nothing that could become SQL', async () => {
    for (const query of [
      'sort=(select pg_sleep(3))',
      'order=ASC;--',
      'limit=1;--',
      'limit=-1',
      'limit=1e9',
      'limit=0',
      'limit=101',
      'limit=0x10',
      'limit=',
      'limit=%205',
      'limit=5&limit=6',
      'after=1',
      "after='",
      'page=0',
      'after[]=x',
      'select=body',
    ]) {
      expect((await editor.get(`/documents?${query}`)).status, query).toBe(400);
    }
  });

  test('the list is paged by cursor without gaps or repeats', async () => {
    const made = [];
    for (let index = 0; index < 5; index += 1) made.push((await write(`Page ${index}`)).id);
    const seen: string[] = [];
    let next: string | null = null;
    do {
      const answer: { body: { items: DocumentBody[]; next: string | null } } = await editor.get(
        `/documents?limit=2${next ? `&after=${next}` : ''}`,
      );
      seen.push(...answer.body.items.map(({ id }) => id));
      next = answer.body.next;
    } while (next);
    expect(new Set(seen).size).toBe(seen.length);
    expect(made.every((id) => seen.includes(id))).toBe(true);
  });

  test('two changes at once leave one of them whole, never a mixture or an error', async () => {
    const document = await write();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        editor.patch(`/documents/${document.id}`, { title: `t${index}`, body: `b${index}` }),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const last = (await editor.get(`/documents/${document.id}`)).body as DocumentBody;
    expect(last.title.slice(1)).toBe(last.body.slice(1));
  });
});
