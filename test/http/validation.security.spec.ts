import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADAPTERS, type RunningApplication } from '../support/application.js';
import { startEdge } from './edge.application.js';
import { requestOf, sendRaw } from './raw-client.js';

describe.each(ADAPTERS)('validation over %s', (adapter) => {
  let edge: RunningApplication;
  beforeAll(async () => {
    edge = await startEdge({ adapter });
  });
  afterAll(() => edge.close());

  async function post(body: object): Promise<{ status: number; body: unknown }> {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${edge.url}/bound`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }
  async function get(path: string): Promise<{ status: number | undefined; body: unknown }> {
    const { answers } = await sendRaw(edge.port, requestOf(`GET ${path}`));
    return { status: answers[0]?.status, body: answers[0]?.body };
  }

  test.each([
    'flag=false',
    'flag=0',
    'flag=',
    'flag=true',
    'n=',
    'n=5',
    'n=[]',
    'n=0x10',
    'n=1e3',
    'n=%205',
    'n=NaN',
    'd=0',
    'd=[2020]',
    'd=2020-01-01',
  ])('VAL-07 the text %s does not become another type on the quiet', async (query) => {
    expect(await get(`/bound?${query}`)).toMatchObject({ status: 400, body: { code: 'validation-failed' } });
  });

  test.each([
    'flag=0',
    'flag=',
    'flag=no',
    'n=',
    'n=0x10',
    'n=1e3',
    'n=%205',
    'n=1.5',
    'items=1,,2',
    'items=0x10,',
  ])('VAL-07 %s is refused by the pipes of Nest too', async (query) => {
    expect((await get(`/bound/piped?${query}`)).status).toBe(400);
  });

  test('VAL-07 false is false where a pipe reads it', async () => {
    expect((await get('/bound/piped?flag=false&n=5&items=1,2')).body).toEqual({
      flag: false,
      n: 5,
      items: [1, 2],
    });
  });

  test.each([
    ['an operator', 'text[$gt]=', 'text%5B%24gt%5D='],
    ['an object', 'text[a]=b'],
    ['a list', 'text[]=a'],
    ['a text twice', 'text=a&text=b'],
    ['an index', 'text[0]=a'],
    ['an unknown field', 'text=a&role=admin'],
    ['a field in other letters', 'TEXT=a'],
  ])('VAL-09 %s in a query is refused', async (_, ...queries) => {
    for (const query of queries) {
      expect(await get(`/bound?${query}`)).toMatchObject({
        status: 400,
        body: { code: 'validation-failed' },
      });
    }
  });

  test.each([
    ['an operator of a document store', { title: { $gt: '' } }],
    ['a list for a text', { title: ['a', 'b'] }],
    ['a condition of TypeORM', { title: { _type: 'not', _value: null } }],
    ['an instance by its name', { title: { '@instanceof': 'FindOperator', _type: 'raw', _value: '1=1' } }],
    ['an object that converts itself', { title: { toJSON: 'a' } }],
    ['null for a text', { title: null }],
    ['a text object', { title: { length: 1, '0': 'a' } }],
  ])('VAL-09 %s in a body is refused', async (_, body) => {
    expect(await post(body)).toMatchObject({ status: 400, body: { code: 'validation-failed' } });
  });

  test.each([
    ['a text for a list', { tags: 'a' }],
    ['an object for a list', { tags: { '0': 'a', length: 1 } }],
    ['an object of great length for a list', { tags: { length: 1e9 } }],
    ['a list for an item', { tags: [['a']] }],
    ['a null item', { tags: [null] }],
    ['an object for a list of objects', { parts: { name: 'a' } }],
    ['a list of great length for a list of objects', { parts: { length: 1e9 } }],
    ['an empty list for an object', { parts: [[]] }],
    ['a list of lists of objects', { parts: [[{ name: 'a' }]] }],
    ['a null object', { parts: [null] }],
    ['a text for an object', { parts: ['a'] }],
    ['an unknown field inside', { parts: [{ name: 'a', role: 'admin' }] }],
    ['a wrong field inside', { parts: [{ name: 1 }] }],
    ['an empty list for one object', { main: [] }],
    ['a list for one object', { main: [{ name: 'a' }] }],
    ['a text for one object', { main: 'a' }],
    ['an empty list inside of one object', { main: { name: 'a', parts: [[]] } }],
  ])('VAL-03 %s is refused, however deep', async (_, fields) => {
    expect(await post({ title: 'a', ...fields })).toMatchObject({
      status: 400,
      body: { code: 'validation-failed' },
    });
  });

  test('lists and objects of the right shape pass', async () => {
    const fields = {
      title: 'a',
      tags: ['a'],
      parts: [{ name: 'a' }, { name: 'b' }],
      main: { name: 'a', parts: [] },
    };
    expect(await post(fields)).toMatchObject({ status: 201, body: { received: fields } });
  });

  test.each([
    ['2147483648'],
    ['9007199254740993'],
    ['1e21'],
    ['1e309'],
    ['-1'],
    ['1.5'],
    ['"1"'],
    ['"1,5"'],
    ['true'],
    ['[1]'],
    ['{}'],
  ])('VAL-17 %s is no count', async (count) => {
    const body = `{"title":"a","count":${count}}`;
    const { answers } = await sendRaw(
      edge.port,
      requestOf('POST /bound', ['Content-Type: application/json', `Content-Length: ${body.length}`], body),
    );
    expect(answers[0]?.status).toBe(400);
  });

  test.each([
    'abc',
    '0',
    '-1',
    '9223372036854775808',
    '1e309',
    '%20',
    'zzzzzzzz-zzzz-4zzz-8zzz-zzzzzzzzzzzz',
    '00000000-0000-4000-8000-00000000000',
    '{00000000-0000-4000-8000-000000000000}',
    '%27%20OR%201%3D1--',
    '%0a',
    'a'.repeat(2_000),
  ])('VAL-14 %s is no id', async (id) => {
    const { status } = await get(`/bound/id/${id}`);
    // What is too long for the router of Fastify is 414 there.
    expect([400, 404, 414]).toContain(status);
  });

  test.each(['abc', '0x10', '1e309', '%205', '5%20', '+5', '', '1_000', '٣'].map(encodeURI))(
    'VAL-14 %s is no number in a path',
    async (n) => {
      expect([400, 404]).toContain((await get(`/bound/number/${n}`)).status);
    },
  );

  test.each(['sort=(select pg_sleep(3))', 'sort=name;drop', 'sort=name,created', 'sort=NAME', 'sort[]=name'])(
    'VAL-11 %s is not in the list of what can be sorted by',
    async (query) => {
      const { status } = await get(`/bound?${query.replaceAll(' ', '%20')}`);
      expect(status).toBe(400);
    },
  );
});
