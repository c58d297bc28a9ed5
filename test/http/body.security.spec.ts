import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADAPTERS, type RunningApplication } from '../support/application.js';
import { startEdge } from './edge.application.js';
import { requestOf, sendRaw, type RawAnswer } from './raw-client.js';

const JSON_TYPE = 'application/json';

describe.each(ADAPTERS)('bodies over %s', (adapter) => {
  let edge: RunningApplication;
  beforeAll(async () => {
    edge = await startEdge({ adapter });
  });
  afterAll(() => edge.close());

  async function post(
    body: string | Buffer,
    { type = JSON_TYPE, fields = [] }: { type?: string | undefined; fields?: readonly string[] } = {},
  ): Promise<RawAnswer> {
    const bytes = Buffer.from(body as string);
    const head = requestOf('POST /bound', [
      ...(type === '' ? [] : [`Content-Type: ${type}`]),
      `Content-Length: ${bytes.length}`,
      ...fields,
    ]);
    const { answers } = await sendRaw(edge.port, Buffer.concat([Buffer.from(head), bytes]));
    expect(answers).toHaveLength(1);
    return answers[0] as RawAnswer;
  }
  const outcomeOf = async (...sent: Parameters<typeof post>): Promise<unknown[]> => {
    const answer = await post(...sent);
    return [answer.status, (answer.body as { code?: string }).code];
  };

  test('a body that holds to its class arrives as that class', async () => {
    const answer = await post('{"title":"Grüße \u{1f600}"}');
    expect([answer.status, answer.body]).toEqual([
      201,
      { received: { title: 'Grüße \u{1f600}' }, isThing: true },
    ]);
  });

  test.each([
    ['__proto__', '{"title":"a","__proto__":{"polluted":1}}'],
    ['__proto__, escaped', '{"title":"a","\\u005f\\u005fproto\\u005f\\u005f":{"polluted":1}}'],
    ['__proto__ as the only key', '{"__proto__":{"title":"a","polluted":1}}'],
    ['__proto__ deep inside', '{"title":"a","free":{"b":[{"__proto__":{"polluted":1}}]}}'],
    ['constructor.prototype', '{"title":"a","constructor":{"prototype":{"polluted":1}}}'],
    ['constructor deep inside', '{"title":"a","free":{"constructor":{"prototype":{"polluted":1}}}}'],
    ['prototype', '{"title":"a","free":{"prototype":{"polluted":1}}}'],
    ['toString', '{"title":"a","toString":"polluted"}'],
    ['hasOwnProperty', '{"title":"a","free":{"hasOwnProperty":1}}'],
    ['__defineGetter__', '{"title":"a","__defineGetter__":1}'],
  ])('VAL-01 the key %s is refused, and nothing is polluted', async (_, body) => {
    expect(await outcomeOf(body)).toEqual([400, 'invalid-request']);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(Object.prototype.toString.call([])).toBe('[object Array]');
  });

  test.each([
    '?__proto__=1',
    '?__proto__[polluted]=1',
    '?__proto__.polluted=1',
    '?constructor=1',
    '?constructor[prototype][polluted]=1',
    '?prototype=1',
    '?text[__proto__]=1',
    '?%5f%5fproto%5f%5f=1',
    '?toString=1',
  ])('VAL-01 the query %s is refused, and nothing is polluted', async (query) => {
    const { answers } = await sendRaw(edge.port, requestOf(`GET /bound${query}`));
    expect(answers[0]?.status).toBe(400);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test('VAL-01 header fields and cookies that name a prototype pollute nothing', async () => {
    const { answers } = await sendRaw(
      edge.port,
      requestOf('GET /bound/headers', [
        '__proto__: polluted',
        'constructor: polluted',
        'Cookie: __proto__=polluted; a=j:{"__proto__":{"polluted":1}}',
      ]),
    );
    expect(answers[0]?.status).toBe(200);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test.each([
    '[]',
    '[{}]',
    '[{"title":"a"}]',
    '"s"',
    '1',
    'null',
    'true',
    '',
    ' ',
    '{}',
    '""',
    '0',
    'undefined',
  ])('VAL-03 a body of %j is refused', async (body) => {
    expect((await post(body)).status).toBe(400);
  });

  test('VAL-03 no body at all is refused as one without fields', async () => {
    for (const fields of [[], ['Content-Length: 0'], [`Content-Type: ${JSON_TYPE}`, 'Content-Length: 0']]) {
      const { answers } = await sendRaw(edge.port, requestOf('POST /bound', fields));
      expect(answers[0]?.body).toMatchObject({ status: 400, code: 'validation-failed' });
    }
  });

  test.each([
    ['cut off', '{"title":"a"'],
    ['a trailing comma', '{"title":"a",}'],
    ['single quotes', "{'title':'a'}"],
    ['a comment', '{"title":"a"/* */}'],
    ['NaN', '{"title":"a","count":NaN}'],
    ['Infinity', '{"title":"a","count":Infinity}'],
    ['a hexadecimal number', '{"title":"a","count":0x1}'],
    ['a leading zero', '{"title":"a","count":01}'],
    ['two values', '{"title":"a"}{"title":"b"}'],
    ['a line end in a text', '{"title":"a\nb"}'],
    ['a raw NUL', '{"title":"a\0b"}'],
    ['50,000 open brackets', '['.repeat(50_000)],
    ['a protection against JSON hijacking', ')]}\',\n{"title":"a"}'],
  ])('what is no JSON (%s) is 400, without a word of it in the answer', async (_, body) => {
    const answer = await post(body);
    expect(answer.body).toMatchObject({ status: 400, code: 'invalid-request' });
    expect(answer.text).not.toMatch(/JSON|position|token|unexpected/i);
  });

  test('a key that is there twice counts once, the last, on both adapters and before validation', async () => {
    expect((await post('{"title":{"$gt":""},"title":"b"}')).body).toMatchObject({ received: { title: 'b' } });
    expect(await outcomeOf('{"title":"b","title":{"$gt":""}}')).toEqual([400, 'validation-failed']);
  });

  test.each([
    ['a byte order mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('{"title":"a"}')])],
    ['UTF-16', Buffer.from('{"title":"a"}', 'utf16le')],
    ['UTF-16 with its mark', Buffer.from('\ufeff{"title":"a"}', 'utf16le')],
    ['Latin-1', Buffer.from('{"title":"\xe4"}', 'latin1')],
    ['an overlong slash', Buffer.from('{"title":"\xc0\xaf"}', 'latin1')],
    ['a surrogate in UTF-8', Buffer.from('{"title":"\xed\xa0\x80"}', 'latin1')],
    ['half of a character at the end', Buffer.from('{"title":"a"}\xe2\x82', 'latin1')],
    ['half a surrogate pair', '{"title":"\\ud800"}'],
    ['the halves in the wrong order', '{"title":"\\udc00\\ud800"}'],
    ['half a surrogate pair in a key', '{"title":"a","free":{"\\udfff":1}}'],
    ['NUL', '{"title":"a\\u0000b"}'],
    ['NUL in a key', '{"title":"a","free":{"\\u0000":1}}'],
    ['a number beyond all numbers', '{"title":"a","free":{"n":1e999}}'],
  ])('a text that the database would store as another one (%s) is 400', async (_, body) => {
    expect(await outcomeOf(body)).toEqual([400, 'invalid-request']);
  });

  test('NET-08 an object of more than 1,000 fields is refused before each of them is judged', async () => {
    const wide = (count: number): string =>
      `{"title":"a","free":{${Array.from({ length: count }, (_, at) => `"${at}":0`).join(',')}}}`;
    expect((await post(wide(1_000))).status).toBe(201);
    expect(await outcomeOf(wide(1_001))).toEqual([400, 'invalid-request']);
  });

  test('nesting is bounded, also before class-validator sees it', async () => {
    const nested = (depth: number): string =>
      `{"title":"a","free":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}`;
    expect((await post(nested(15))).status).toBe(201);
    expect(await outcomeOf(nested(16))).toEqual([400, 'invalid-request']);
    expect(await outcomeOf(nested(12_000))).toEqual([400, 'invalid-request']);
    expect(await outcomeOf(`{"title":"a","tags":${'['.repeat(40_000)}${']'.repeat(40_000)}}`)).toEqual([
      400,
      'invalid-request',
    ]);
  });

  test.each([
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/vnd.api+json',
    'application/problem+json',
    'application/json, text/plain',
    'application/json; boundary=x',
    'application/json;',
    'application/json; charset=utf-16',
    'application/json; charset=utf-7',
    'application/json; charset=iso-8859-1',
    'application/json;charset=utf-8;charset=utf-16',
    'application/jsonx',
    'xapplication/json',
    'application/json/x',
    '*/*',
    'application/octet-stream',
    'application/xml',
    'application/x-yaml',
    '',
  ])('a body of media type %j is 415, whatever is in it', async (type) => {
    expect(await outcomeOf('{"title":"a"}', { type })).toEqual([415, 'unsupported-media-type']);
  });

  test.each([
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"',
  ])('a body of media type %j is read', async (type) => {
    expect((await post('{"title":"a"}', { type })).status).toBe(201);
  });

  test('a second media type beside the first is refused, not chosen from', async () => {
    const fields = ['Content-Type: text/plain'];
    expect(await outcomeOf('{"title":"a"}', { fields })).toEqual([400, 'invalid-request']);
  });

  test('VAL-01 a form that names a prototype is 415 and pollutes nothing', async () => {
    const type = 'application/x-www-form-urlencoded';
    expect(await outcomeOf('a[__proto__][polluted]=1&title=a', { type })).toEqual([
      415,
      'unsupported-media-type',
    ]);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test.each([
    ['a broken boundary', 'multipart/form-data; boundary=', '--\r\n'],
    ['no boundary', 'multipart/form-data', '--x\r\n'],
    [
      'a field without a name',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--',
    ],
    [
      '10,000 parts',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'.repeat(10_000),
    ],
    [
      'a file with a path',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="a"; filename="../../x"\r\n\r\n1\r\n--x--',
    ],
  ])('VAL-23 multipart with %s is 415, and the service lives on', async (_, type, body) => {
    expect(await outcomeOf(body, { type })).toEqual([415, 'unsupported-media-type']);
    expect((await fetch(`${edge.url}/open`)).status).toBe(200);
  });

  test.each([
    ['gzip', gzipSync('{"title":"a"}')],
    ['gzip', gzipSync(Buffer.alloc(20_000_000, 'a'))],
    ['deflate', gzipSync('{}')],
    ['br', Buffer.from('{}')],
    ['identity', Buffer.from('{"title":"a"}')],
    ['gzip, gzip', gzipSync(gzipSync('{}'))],
  ])('a compressed body (%s) is 415 and never inflated', async (coding, body) => {
    expect(await outcomeOf(body, { fields: [`Content-Encoding: ${coding}`] })).toEqual([
      415,
      'unsupported-media-type',
    ]);
  });

  const filled = (bytes: number): string => `{"title":"${'a'.repeat(bytes - 12)}"}`;

  test('VAL-24 the limit is exact: as many bytes are read, one more is 413', async () => {
    expect((await post(filled(100_000))).status).toBe(201);
    // At the limit the class refuses the text: it was read.
    expect(await outcomeOf(filled(102_400))).toEqual([400, 'validation-failed']);
    expect(await outcomeOf(filled(102_401))).toEqual([413, 'payload-too-large']);
  });

  test('VAL-24 a body that is too large is 413 without a length as well, once it is over the limit', async () => {
    const body = filled(102_401);
    const chunk = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    const { answers } = await sendRaw(
      edge.port,
      requestOf('POST /bound', [`Content-Type: ${JSON_TYPE}`, 'Transfer-Encoding: chunked'], chunk),
    );
    expect(answers[0]?.body).toMatchObject({ status: 413, code: 'payload-too-large' });
  });

  test.each(['102401', '9007199254740993', '18446744073709551615'])(
    'VAL-24 a body that announces %s bytes is refused before any of them comes',
    async (length) => {
      const { answers } = await sendRaw(
        edge.port,
        requestOf('POST /bound', [`Content-Type: ${JSON_TYPE}`, `Content-Length: ${length}`]),
        { answers: 1 },
      );
      expect(answers[0]?.body).toMatchObject({ status: 413, code: 'payload-too-large' });
    },
  );

  test('VAL-24 another limit is the limit', async () => {
    const small = await startEdge({ adapter, http: { bodyLimitBytes: 20 } });
    const send = async (body: string): Promise<number> => {
      const headers = { 'content-type': JSON_TYPE };
      return (await fetch(`${small.url}/bound`, { method: 'POST', headers, body })).status;
    };
    try {
      expect(await send(filled(20))).toBe(201);
      expect(await send(filled(21))).toBe(413);
    } finally {
      await small.close();
    }
  });

  test('a body that cannot be parsed is 400 without credentials too, and a GET with a body is judged alike', async () => {
    const head = [`Content-Type: ${JSON_TYPE}`, 'Content-Length: 1'];
    const { answers } = await sendRaw(edge.port, requestOf('POST /own', head, '{'));
    expect([400, 405]).toContain(answers[0]?.status);
    const text = await sendRaw(edge.port, requestOf('GET /open', ['Content-Length: 2'], '{}'));
    expect(text.answers[0]?.status).toBe(415);
  });
});
