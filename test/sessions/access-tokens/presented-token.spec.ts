import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  accessTokenOfRequest,
  presentedTokenOf,
} from '../../../src/sessions/access-tokens/presented-token.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { answerOf, startSessions, type Started } from '../sessions-application.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** Header lines as they are, past every client that would mend them. @returns the status. */
function raw(port: number, lines: readonly string[], path = '/whoami'): Promise<number> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(
        [`GET ${path} HTTP/1.1`, 'Host: test', 'Connection: close', ...lines, '', ''].join('\r\n'),
      );
    });
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
    socket.on('error', reject);
    socket.on('close', () => {
      resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]));
    });
  });
}

describe.each(['express', 'fastify'] as const)('The Authorization header on %s', (adapter) => {
  let started: Started;
  let token: string;
  let port: number;
  beforeAll(async () => {
    started = await startSessions({ database, adapter });
    ({ accessToken: token } = await started.open());
    port = Number(new URL(started.url).port);
  });
  afterAll(() => started.app.close());

  test('JWT-18 one form is accepted, and no other', async () => {
    expect(await raw(port, [`Authorization: Bearer ${token}`])).toBe(200);
    expect(await raw(port, [`authorization:Bearer ${token}`])).toBe(200);
    const refused = [
      ...[`bearer ${token}`, `BEARER ${token}`, `BeArEr ${token}`, `Bearer  ${token}`, `Bearer\t${token}`],
      ...[
        `Bearer ${token}, Bearer ${token}`,
        `Bearer ${token},${token}`,
        `Bearer ${token} x`,
        `Bearer "${token}"`,
      ],
      ...[
        'Bearer %zz',
        'Bearer',
        'Bearer =',
        `Bearer ${token}=`,
        `Bearer:${token}`,
        `Bearer${token}`,
        token,
        '',
      ],
      ...[
        `Basic ${Buffer.from('a:b').toString('base64')}`,
        `DPoP ${token}`,
        `Token ${token}`,
        `JWT ${token}`,
      ],
      `Bearer token=${token}`,
    ];
    for (const value of refused) {
      expect([value, await raw(port, [`Authorization: ${value}`])]).toEqual([value, 401]);
    }
  });

  test('JWT-18 two Authorization headers are refused, whichever is the good one', async () => {
    const good = `Authorization: Bearer ${token}`;
    expect(await raw(port, [good, good])).toBe(401);
    expect(await raw(port, [good, 'authorization: Bearer x'])).toBe(401);
    expect(await raw(port, ['AUTHORIZATION: Basic eDp5', good])).toBe(401);
    expect(started.events.at(-1)?.reason).toBe('several Authorization headers were sent');
  });

  test('JWT-18 a megabyte of header is refused before anybody reads it', async () => {
    expect(await raw(port, [`Authorization: Bearer ${'A'.repeat(1_000_000)}`])).toBe(431);
    expect(await raw(port, [`Authorization: Bearer ${'A'.repeat(10_000)}`])).toBe(401);
  });

  test('JWT-18 a token in the query is refused, also beside one in the header', async () => {
    expect(await raw(port, [], `/whoami?access_token=${token}`)).toBe(401);
    expect(await raw(port, [`Authorization: Bearer ${token}`], `/whoami?a=1&access_token=${token}`)).toBe(
      401,
    );
    expect(started.events.at(-1)?.reason).toBe('a token was sent in the query');
    expect(await raw(port, [`Authorization: Bearer ${token}`], '/whoami?my_access_token=1')).toBe(200);
  });

  test('no token at all, or another scheme, is a challenge without an error', async () => {
    for (const headers of [{}, { authorization: 'Basic eDp5' }] as Record<string, string>[]) {
      const answer = await answerOf(`${started.url}/whoami`, headers);
      expect([answer.status, answer.headers['www-authenticate'], answer.text]).toEqual([
        401,
        'Bearer',
        '{"code":"authentication-required"}',
      ]);
    }
  });

  test('a public route is open to a caller whose token is no longer good', async () => {
    expect((await started.ask('garbage', '/open')).status).toBe(200);
  });
});

describe('Header lines as Node.js hands them out', () => {
  /** The token, `undefined` for none, or why it was refused. */
  function read(rawHeaders: readonly string[], more: object = { url: '/' }): string | undefined {
    try {
      return accessTokenOfRequest({ rawHeaders, ...more }, false)?.token;
    } catch (error) {
      return (error as { detail: string }).detail;
    }
  }

  test('JWT-18 only Authorization is read, and no other header that is as long', () => {
    expect('if-none-match').toHaveLength('authorization'.length);
    expect(read(['If-None-Match', 'Bearer e.e.e'])).toBeUndefined();
    expect(read(['If-None-Match', 'Bearer e.e.e', 'AUTHORIZATION', 'Bearer a.b.c', 'Host', 'x'])).toBe(
      'a.b.c',
    );
    expect(read(['X-Note', 'authorization', 'Bearer e.e.e', 'x'])).toBeUndefined();
    expect(read([])).toBeUndefined();
    expect(read(['Authorization', 'Bearer a.b.c'], {})).toBe('a.b.c');
    expect(read(['Authorization', 'Bearer a.b.c'], { url: '/?access_tokens=1&x=?' })).toBe('a.b.c');
  });

  test('JWT-18 what begins as a bearer token is one, or is refused; other schemes are none of ours', () => {
    const malformed = 'the Authorization header is malformed';
    for (const value of [
      ...['', ' ', 'Bearer', 'Bearer ', ' Bearer a.b.c', '\tBearer a.b.c', 'Bearer a.b.c ', 'Bearer a.b.c x'],
      ...['Bearer  a.b.c', 'bearer a.b.c', 'Bearer a.b.c\n', 'Bearer=a.b.c', 'Bearer-a.b.c'],
    ]) {
      expect([value, read(['Authorization', value])]).toEqual([value, malformed]);
    }
    // A name without a value.
    expect(read(['Authorization'])).toBe(malformed);
    for (const value of ['xBearer a.b.c', 'JWT-Bearer a.b.c', 'Basic Bearer', 'Bearers a.b.c', 'undefined']) {
      expect([value, read(['Authorization', value])]).toEqual([value, undefined]);
    }
  });

  test('JWT-18 the operator is told what was sent twice, or in the query', () => {
    const good = ['Authorization', 'Bearer a.b.c'];
    expect(read([...good, ...good])).toBe('several Authorization headers were sent');
    expect(read(['Authorization', '', ...good])).toBe('several Authorization headers were sent');
    for (const url of ['/?access_token=x', '/?a=b&ACCESS_TOKEN=x', '/?access_token=']) {
      expect(read(good, { url })).toBe('a token was sent in the query');
      expect(read([], { url })).toBe('a token was sent in the query');
    }
    const both = { rawHeaders: good, headers: { cookie: '__Host-access=a.b.c' } };
    expect(() => accessTokenOfRequest(both, true)).toThrow('a bearer token and a cookie were sent');
  });

  test('with cookies off, an ordinary request is proved by none', () => {
    const execution = new ExecutionContextHost([
      { rawHeaders: [], headers: { cookie: '__Host-access=a.b.c' } },
    ]);
    expect(presentedTokenOf(execution, false)).toBeUndefined();
    expect(presentedTokenOf(execution, true)).toEqual({ token: 'a.b.c', delivery: 'cookie' });
    expect(accessTokenOfRequest({ raw: undefined }, true)).toBeUndefined();
  });
});

describe('Where other transports carry the token', () => {
  const request = { rawHeaders: ['Host', 'x', 'Authorization', 'Bearer a.b.c'], url: '/' };
  function on(type: string, ...args: unknown[]): string | undefined {
    const execution = new ExecutionContextHost(args);
    execution.setType(type);
    return presentedTokenOf(execution, true)?.token;
  }

  test('a websocket message is proved by the upgrade request, never by its own data', () => {
    expect(on('ws', { request }, { data: 1 }, 'event')).toBe('a.b.c');
    expect(on('ws', {}, { request, authorization: 'Bearer a.b.c' }, 'event')).toBeUndefined();
  });

  test('a GraphQL field is proved by the request that its context holds', () => {
    expect(on('graphql', {}, { req: request }, { req: request }, {})).toBe('a.b.c');
    expect(on('graphql', { req: request }, { req: request }, {}, {})).toBeUndefined();
  });

  test('a microservice message carries no token, whatever it holds', () => {
    const everything = { ...request, request, req: request, headers: { authorization: 'Bearer a.b.c' } };
    expect(on('rpc', everything, everything)).toBeUndefined();
    expect(on('carrier-pigeon', everything, everything, everything)).toBeUndefined();
  });

  test('what is no request is no proof', () => {
    for (const nothing of [undefined, null, 1, 'x', {}, { rawHeaders: 'Authorization' }, { raw: null }]) {
      expect(on('http', nothing)).toBeUndefined();
    }
  });
});
